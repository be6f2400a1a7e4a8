package k3s

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

// The tests of this file run the scripts as a host gets them: the text of the command in a shell, the script by stdin, in
// a private root with stand-ins for what a container-like root lacks.

// throwAway is a private root.
type throwAway struct {
	t   *testing.T
	pid string
}

func newThrowAway(t *testing.T) *throwAway {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a private root takes root rights")
	}
	for _, tool := range []string{"unshare", "nsenter", "flock", "openssl", "update-ca-certificates", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing", tool)
		}
	}
	standIns, err := filepath.Abs("testdata/host")
	require.NoError(t, err)
	command := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
		filepath.Join(standIns, "root.sh"), t.TempDir(), standIns)
	command.Dir = "/"
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGKILL)
		_ = command.Wait()
	})
	line, _ := bufio.NewReader(output).ReadString('\n')
	if strings.TrimSpace(line) != "ready" {
		t.Skipf("no private root can be made here: %s", problems.String())
	}
	children, err := os.ReadFile("/proc/" + strconv.Itoa(command.Process.Pid) + "/task/" + strconv.Itoa(command.Process.Pid) + "/children")
	require.NoError(t, err)
	return &throwAway{t: t, pid: strings.TrimSpace(string(children))}
}

// shell runs a command text with input, as sshd would. It refuses to run anywhere but in the private root.
func (r *throwAway) shell(text, stdin string) (string, string, error) {
	r.t.Helper()
	command := exec.Command("nsenter", "--target", r.pid, "--mount", "--pid", "--root",
		"sh", "-c", "test -e /run/stand-in/private || exit 97; cd /; "+text)
	command.Env = []string{"PATH=/opt/stand-in:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	return stdout.String(), stderr.String(), err
}

// must runs a plain command that has to succeed.
func (r *throwAway) must(text string) string {
	r.t.Helper()
	stdout, stderr, err := r.shell(text, "")
	require.NoError(r.t, err, stderr)
	return stdout
}

// create runs a step as its creation does and returns standard output.
func (r *throwAway) create(s *step, later map[string]string) string {
	r.t.Helper()
	stdout, stderr, err := r.shell(s.create("root"), s.text(later))
	require.NoError(r.t, err, stderr)
	return stdout
}

// refused runs a step that has to fail and returns its message.
func (r *throwAway) refused(s *step, later map[string]string) string {
	r.t.Helper()
	_, stderr, err := r.shell(s.create("root"), s.text(later))
	require.Error(r.t, err)
	return stderr
}

// trustNothing spares tests that are about something else the second that the real program takes.
func (r *throwAway) trustNothing() { r.must("ln -s /bin/true /usr/local/sbin/update-ca-certificates") }

// probe asks the root how it is.
func (r *throwAway) probe(h *host) {
	r.t.Helper()
	var err error
	h.condition, err = parseCondition(r.create(probeStep(h), nil))
	require.NoError(r.t, err)
}

// files lists the root's own writes with their sums.
func (r *throwAway) files() string {
	return r.must(`find /etc/homelab-ai /etc/rancher /etc/systemd/system /etc/sysctl.d /etc/modules-load.d /etc/hosts \
		/usr/local/bin /usr/local/share/ca-certificates /var/lib/homelab-ai /var/lib/rancher /var/lib/kubelet -type f 2>/dev/null |
		sort | xargs sha256sum`)
}

// mirror serves stand-ins for the K3s binary: their versions are the arguments. The config gets the sums.
func mirror(t *testing.T, cfg *config.Config, version string) {
	t.Helper()
	template, err := os.ReadFile("testdata/host/k3s")
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		served, name, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
		if name != "k3s" && name != "k3s-arm64" || !strings.HasPrefix(served, "v") {
			http.NotFound(w, request)
			return
		}
		_, _ = w.Write(bytes.ReplaceAll(template, []byte("@VERSION@"), []byte(served)))
	}))
	t.Cleanup(server.Close)
	cfg.Cluster.BinaryMirror = server.URL
	release(t, cfg, version)
}

// release sets the version that the config wants.
func release(t *testing.T, cfg *config.Config, version string) {
	t.Helper()
	template, err := os.ReadFile("testdata/host/k3s")
	require.NoError(t, err)
	sum := sha256.Sum256(bytes.ReplaceAll(template, []byte("@VERSION@"), []byte(version)))
	text := hex.EncodeToString(sum[:])
	cfg.Versions.K3s = config.K3s{Version: version, SHA256: map[string]string{"amd64": text, "arm64": text}}
}

// certificate runs the CA's step and splits what it prints.
func (r *throwAway) certificate(cfg *config.Config) string {
	certificate, _, _ := strings.Cut(r.create(caStep(cfg), nil), "-----BEGIN PRIVATE KEY-----")
	return certificate
}

func TestLifeOfAServer(t *testing.T) {
	t.Parallel()
	root := newThrowAway(t)
	before := root.files()
	cfg := lab(t, "lab-0=server")
	mirror(t, cfg, "v1.35.2+k3s1")
	hosts := hostsOf(t, cfg)
	h := hosts[0]
	preflight := func() *step {
		s := preflightStep(cfg, hosts, h)
		s.params["PORTS"] = "tcp/1" // the ports of the machine below are not this test's
		return s
	}
	install := func() *step { return installStep(cfg, hosts, h) }
	noToken := map[string]string{"JOIN_TOKEN": ""}

	// First installation.
	require.Contains(t, root.create(preflight(), nil), "lab-0 is fit")
	assert.Equal(t, before, root.files(), "preflight changes nothing")
	first := root.create(caStep(cfg), nil)
	assert.Equal(t, first, root.create(caStep(cfg), nil), "the CA is made once")
	ca := map[string]string{"CA_CERTIFICATE": root.certificate(cfg)}
	root.create(prepareStep(cfg, h), ca)
	root.create(install(), noToken)
	assert.Equal(t, "active", strings.TrimSpace(root.must("systemctl is-active --quiet k3s.service && echo active")))
	assert.Contains(t, root.must("cat /etc/hosts"), "192.168.1.200 registry.lab.home.arpa")
	assert.Contains(t, root.must("cat /run/stand-in/sysctl"), "vm.overcommit_memory = 1")
	assert.Equal(t, "600", strings.TrimSpace(root.must("stat -c %a /etc/homelab-ai/ca/ca.key")))
	root.must("openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt /etc/homelab-ai/ca/ca.crt")
	assert.True(t, strings.HasPrefix(root.create(tokenStep(cfg), nil), "K10"))
	assert.Contains(t, root.create(kubeconfigStep(cfg), nil), "server: https://192.168.1.20:6443")
	starts := func() int { return strings.Count(root.must("cat /run/stand-in/starts"), "k3s.service") }
	require.Equal(t, 1, starts())

	// Again: nothing changes, nothing restarts, nothing has drifted.
	installed := root.files()
	root.create(prepareStep(cfg, h), ca)
	root.create(install(), noToken)
	require.Equal(t, installed, root.files())
	require.Equal(t, 1, starts())
	require.Contains(t, root.create(preflight(), nil), "lab-0 is fit")
	root.probe(h)
	require.Len(t, h.condition, 2)
	for _, s := range []*step{prepareStep(cfg, h), install()} {
		revision, known := h.revision(s)
		assert.True(t, known)
		assert.Equal(t, "0", revision)
	}

	// A changed setting restarts once.
	cfg.Security.AuditRetention = 7
	root.create(install(), noToken)
	require.Equal(t, 2, starts())
	require.Contains(t, root.must("cat /etc/rancher/k3s/config.yaml"), "audit-log-maxage=7")

	// An upgrade in place; then what is refused.
	root.must("echo node/lab-0 >/run/stand-in/nodes")
	release(t, cfg, "v1.36.4+k3s1")
	require.Contains(t, root.create(preflight(), nil), "lab-0 is fit")
	root.create(install(), noToken)
	require.Equal(t, 3, starts())
	require.Contains(t, root.must("/usr/local/bin/k3s --version"), "v1.36.4+k3s1")
	upgraded := root.files()
	for version, message := range map[string]string{
		"v1.36.3+k3s1": "a downgrade can lose the cluster",
		"v1.35.9+k3s1": "a downgrade can lose the cluster",
		"v1.38.0+k3s1": "set versions.k3s to a v1.37 release first",
		"v2.0.0+k3s1":  "skips a minor version",
		"nightly":      "can not be compared",
	} {
		release(t, cfg, version)
		assert.Contains(t, root.refused(preflight(), nil), message, version)
		assert.Contains(t, root.refused(install(), noToken), message, version)
	}
	release(t, cfg, "v1.37.1+k3s1")
	cfg.Versions.K3s.SHA256 = map[string]string{"amd64": strings.Repeat("0", 64), "arm64": strings.Repeat("0", 64)}
	assert.Contains(t, root.refused(install(), noToken), "sha256 mismatch")
	release(t, cfg, "v1.36.4+k3s1")
	require.Equal(t, upgraded, root.files(), "a refusal changes nothing")
	require.Equal(t, 3, starts())

	// Destroyed: nothing of ours is left.
	for _, s := range []*step{install(), preflight()} {
		_, stderr, err := root.shell(s.delete("root"), s.text(noToken))
		require.NoError(t, err, stderr)
	}
	assert.Equal(t, before, root.files())
	assert.Equal(t, "127.0.0.1 localhost\n", root.must("cat /etc/hosts"))
	root.must("! grep -rq lab.CA /etc/ssl/certs/ca-certificates.crt && ! ls -d /var/lib/rancher /etc/rancher /var/lib/homelab-ai /etc/homelab-ai 2>/dev/null")
	_, stderr, err := root.shell(preflight().delete("root"), preflight().text(nil))
	require.NoError(t, err, stderr)
}

func TestDriftIsSeenAndRepaired(t *testing.T) {
	t.Parallel()
	root := newThrowAway(t)
	root.trustNothing()
	cfg := lab(t, "lab-0=server")
	mirror(t, cfg, "v1.36.4+k3s1")
	hosts := hostsOf(t, cfg)
	h := hosts[0]
	ca := map[string]string{"CA_CERTIFICATE": root.certificate(cfg)}
	// One setting is this root's own; the others are the machine's.
	root.must("mkdir /run/stand-in/settings && echo 0 >/run/stand-in/settings/kernel.panic && " +
		"mount --bind /run/stand-in/settings/kernel.panic /proc/sys/kernel/panic")
	root.create(prepareStep(cfg, h), ca)
	require.Equal(t, "10\n", root.must("cat /proc/sys/kernel/panic"))
	root.create(installStep(cfg, hosts, h), map[string]string{"JOIN_TOKEN": ""})
	declared := root.files()

	cases := map[string]struct {
		harm string
		step *step
		told string
	}{
		"binary":    {"echo '# changed' >>/usr/local/bin/k3s", installStep(cfg, hosts, h), "/usr/local/bin/k3s"},
		"config":    {"echo 'debug: true' >>/etc/rancher/k3s/config.yaml", installStep(cfg, hosts, h), "/etc/rancher/k3s/config.yaml"},
		"unit":      {"rm /etc/systemd/system/k3s.service", installStep(cfg, hosts, h), "/etc/systemd/system/k3s.service missing"},
		"stopped":   {"systemctl stop k3s.service", installStep(cfg, hosts, h), "k3s.service inactive"},
		"sysctl":    {"echo 'kernel.panic = 0' >/etc/sysctl.d/90-homelab-ai.conf", prepareStep(cfg, h), "/etc/sysctl.d/90-homelab-ai.conf"},
		"setting":   {"echo 4711 >/run/stand-in/settings/kernel.panic", prepareStep(cfg, h), "sysctl:kernel.panic 4711"},
		"hosts":     {"echo '127.0.0.1 localhost' >/etc/hosts", prepareStep(cfg, h), "/etc/hosts"},
		"ca":        {"rm /etc/homelab-ai/ca/ca.crt", prepareStep(cfg, h), "/etc/homelab-ai/ca/ca.crt missing"},
		"trust":     {"rm /usr/local/share/ca-certificates/homelab-ai.crt", prepareStep(cfg, h), "homelab-ai.crt missing"},
		"admission": {"rm /etc/rancher/k3s/psa.yaml", installStep(cfg, hosts, h), "/etc/rancher/k3s/psa.yaml missing"},
	}
	strip := func(files string) string { // the notes of the steps hold the revision
		var kept []string
		for _, line := range strings.Split(files, "\n") {
			if !strings.HasSuffix(line, ".done") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "\n")
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			root.probe(h)
			healthy, _ := h.revision(c.step)
			root.must(c.harm)
			root.probe(h)
			require.Contains(t, strings.Join(h.condition[c.step.verb].drift, "\n"), c.told)
			revision, known := h.revision(c.step)
			require.True(t, known)
			require.NotEqual(t, healthy, revision)
			root.probe(h)
			again, _ := h.revision(c.step)
			require.Equal(t, revision, again, "preview and update see the same")

			later := ca
			if c.step.verb == "install" {
				later = map[string]string{"JOIN_TOKEN": ""}
			}
			_, stderr, err := root.shell(c.step.update("root", revision), c.step.text(later))
			require.NoError(t, err, stderr)
			assert.Equal(t, strip(declared), strip(root.files()))
			root.probe(h)
			after, _ := h.revision(c.step)
			assert.Equal(t, revision, after, "the next update changes nothing")
		})
	}
}

func TestPreflightTellsAllFindingsAtOnce(t *testing.T) {
	t.Parallel()
	root := newThrowAway(t)
	cfg := lab(t, "lab-0=server", "lab-1=server", "lab-2=server")
	mirror(t, cfg, "v1.36.4+k3s1")
	cfg.Cluster.Nodes[0].GPU = "nvidia"
	cfg.Cluster.Minimum = config.Minimum{Cores: 4096, Memory: "64Ti", Disk: "64Pi", ClockSkew: "5s"}
	busy := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(busy.Close)
	peer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("pong")) }))
	t.Cleanup(peer.Close)
	hosts := hostsOf(t, cfg)
	s := preflightStep(cfg, hosts, hosts[0])
	require.Equal(t, "192.168.1.21:6443 192.168.1.22:6443", s.params["PEERS"])
	s.params["PEERS"] = "127.0.0.1:" + port(peer.URL)
	s.params["PORTS"] = "tcp/" + port(busy.URL)
	s.params["MIRROR"] = busy.URL
	root.must(`printf 'ID=arch\nPRETTY_NAME="Arch Linux"\n' >/etc/os-release
		echo 'cpuset cpu pids' >/sys/fs/cgroup/cgroup.controllers
		echo wireguard >/run/stand-in/missing-modules
		mkdir -p /etc/kubernetes /var/lib/rancher/k3s/server && touch /etc/kubernetes/kubelet.conf`)
	before := root.files()
	message := root.refused(s, nil)
	for _, finding := range []string{
		"distribution: Arch Linux", "cores: ", "memory: ", "disk: ", "cgroup: controller memory is off",
		"kernel: module wireguard is missing", "port: " + port(busy.URL) + "/tcp is in use",
		"kubernetes: another one lives here (/etc/kubernetes/kubelet.conf)", "kubernetes: a K3s that is not the lab's lives here (/var/lib/rancher/k3s/server)",
		"cluster: the server at 127.0.0.1:" + port(peer.URL) + " runs K3s already", "gpu: the node says nvidia", "mirror: " + busy.URL + "/v1.36.4%2Bk3s1/k3s does not answer (404)",
	} {
		assert.Contains(t, message, "\n- "+finding)
	}
	assert.Equal(t, 12, strings.Count(message, "\n- "), message)
	assert.Equal(t, before, root.files())

	// A host that was refused is not the lab's: cleaning leaves it alone.
	root.must("mkdir -p /var/lib/rancher/k3s/server && touch /var/lib/rancher/k3s/server/precious")
	_, stderr, err := root.shell(s.delete("root"), s.text(nil))
	require.NoError(t, err, stderr)
	root.must("test -e /var/lib/rancher/k3s/server/precious")
}

// TestPreparationOfAGPU runs with an apt that notes what it is asked for, and a curl that brings the key.
func TestPreparationOfAGPU(t *testing.T) {
	t.Parallel()
	root := newThrowAway(t)
	root.trustNothing()
	cfg := lab(t, "lab-0=server")
	cfg.Cluster.Nodes[0].GPU = "nvidia"
	cfg.Cluster.TimeServers = []string{"192.168.1.1", "time.home.arpa"}
	const key = "a signing key\n"
	sum := sha256.Sum256([]byte(key))
	cfg.Versions.Host.NVIDIAContainerToolkit = config.HostPackage{Version: "1.20.1-1", KeySHA256: strings.Repeat("0", 64)}
	ca := map[string]string{"CA_CERTIFICATE": root.certificate(cfg)}
	root.must(`printf '#!/bin/sh\necho "$*" >>/run/stand-in/apt\n' >/usr/local/sbin/apt-get
		cp /usr/local/sbin/apt-get /usr/local/sbin/apt-mark
		printf '#!/bin/sh\ncat /run/stand-in/installed 2>/dev/null\n' >/usr/local/sbin/dpkg-query
		printf '#!/bin/sh\nfor f in "$@"; do [ "$last" != -o ] || out=$f; last=$f; done; echo "a signing key" >"$out"\n' >/usr/local/sbin/curl
		chmod +x /usr/local/sbin/*`)
	step := func() *step { return prepareStep(cfg, hostsOf(t, cfg)[0]) }

	assert.Contains(t, root.refused(step(), ca), "nothing was installed")
	root.must("! test -e /run/stand-in/apt && ! ls /etc/apt/keyrings/homelab-ai* /etc/apt/sources.list.d/homelab-ai* 2>/dev/null")

	cfg.Versions.Host.NVIDIAContainerToolkit.KeySHA256 = hex.EncodeToString(sum[:])
	root.create(step(), ca)
	assert.Contains(t, root.must("cat /run/stand-in/apt"), "nvidia-container-toolkit=1.20.1-1 nvidia-container-toolkit-base=1.20.1-1")
	assert.Equal(t, key, root.must("cat /etc/apt/keyrings/homelab-ai-nvidia.asc"))
	assert.Equal(t, "deb [signed-by=/etc/apt/keyrings/homelab-ai-nvidia.asc] https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n",
		root.must("cat /etc/apt/sources.list.d/homelab-ai-nvidia.list"))
	assert.Equal(t, "[Time]\nNTP=192.168.1.1 time.home.arpa\n", root.must("cat /etc/systemd/timesyncd.conf.d/homelab-ai.conf"))
	assert.Contains(t, root.must("cat /run/stand-in/starts"), "systemd-timesyncd.service")

	root.must("printf 1.20.1-1 >/run/stand-in/installed; rm /run/stand-in/apt")
	cfg.Cluster.TimeServers = nil
	root.create(step(), ca)
	assert.NotContains(t, root.must("cat /run/stand-in/apt"), "install", "the pinned version is left alone")
	root.must("! test -e /etc/systemd/timesyncd.conf.d/homelab-ai.conf")
}

func TestPreflightComparesClocks(t *testing.T) {
	t.Parallel()
	root := newThrowAway(t)
	cfg := lab(t, "lab-0=server")
	mirror(t, cfg, "v1.36.4+k3s1")
	hosts := hostsOf(t, cfg)
	fixed := func(date string) *step {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			if date != "" {
				w.Header().Set("Date", date)
			}
		}))
		t.Cleanup(server.Close)
		s := preflightStep(cfg, hosts, hosts[0])
		s.params["MIRROR"], s.params["PORTS"] = server.URL, "tcp/1"
		return s
	}
	assert.Contains(t, root.refused(fixed("Sat, 01 Jan 2000 00:00:00 GMT"), nil), "clock: ")
	assert.Contains(t, root.refused(fixed("Sat, 01 Jan 2135 00:00:00 GMT"), nil), "clock: -")
	assert.Contains(t, root.create(fixed(""), nil), "clock: not compared")

	// A cache between hides the time of its answer, whichever way it words it; the redirect to it tells the time.
	kept := func(date string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Age", "1000")
			w.Header().Set("Date", date)
		}
	}
	now, made := time.Now().UTC().Format(http.TimeFormat), time.Now().Add(-1000*time.Second).UTC().Format(http.TimeFormat)
	for _, date := range []string{now, made} {
		cache := httptest.NewServer(kept(date))
		t.Cleanup(cache.Close)
		redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			http.Redirect(w, request, cache.URL, http.StatusFound)
		}))
		t.Cleanup(redirect.Close)
		s := fixed("")
		s.params["MIRROR"] = redirect.URL
		said := root.create(s, nil)
		assert.Contains(t, said, "lab-0 is fit")
		assert.NotContains(t, said, "clock")
		s.params["MIRROR"] = cache.URL
		assert.Contains(t, root.create(s, nil), "clock: not compared")
	}
}

func TestAgentJoinsDrainsAndLeaves(t *testing.T) {
	t.Parallel()
	root := newThrowAway(t) // the first server and the agent share it, one after the other
	root.trustNothing()
	cfg := lab(t, "lab-0=server", "lab-1=agent")
	mirror(t, cfg, "v1.36.4+k3s1")
	hosts := hostsOf(t, cfg)
	root.create(prepareStep(cfg, hosts[0]), map[string]string{"CA_CERTIFICATE": root.certificate(cfg)})
	root.create(installStep(cfg, hosts, hosts[0]), map[string]string{"JOIN_TOKEN": ""})
	root.must("printf 'node/lab-0\n' >/run/stand-in/nodes; echo v1.36.4+k3s1 >/run/stand-in/kubelet")
	log := func() string { return root.must("cat /run/stand-in/kubectl 2>/dev/null; rm -f /run/stand-in/kubectl") }

	assert.Contains(t, root.create(drainStep(cfg, hosts[1]), nil), "has not joined yet")
	root.must("echo node/lab-1 >>/run/stand-in/nodes")
	root.create(drainStep(cfg, hosts[1]), nil)
	assert.Empty(t, log(), "a node of the wanted version is left alone")

	root.must("echo v1.35.1+k3s1 >/run/stand-in/kubelet")
	root.create(drainStep(cfg, hosts[1]), nil)
	assert.Equal(t, "lab-1", strings.TrimSpace(root.must("cat /run/stand-in/turn")))
	assert.Contains(t, log(), "drain lab-1 ")
	root.create(readyStep(cfg, hosts[1]), nil)
	assert.Contains(t, log(), "uncordon lab-1")
	root.must("! test -e /run/stand-in/turn")
	s := drainStep(cfg, hosts[1])
	_, stderr, err := root.shell(s.delete("root"), s.text(nil))
	require.NoError(t, err, stderr)
	assert.Contains(t, log(), "delete node lab-1")

	// A server is emptied before its own upgrade, and schedulable again after it.
	release(t, cfg, "v1.37.0+k3s1")
	root.create(installStep(cfg, hosts, hosts[0]), map[string]string{"JOIN_TOKEN": ""})
	said := log()
	assert.Contains(t, said, "cordon lab-0")
	assert.Contains(t, said, "drain lab-0 ")
	assert.Contains(t, said, "uncordon lab-0")

	// The agent's own side.
	s = installStep(cfg, hosts, hosts[0])
	_, stderr, err = root.shell(s.delete("root"), s.text(map[string]string{"JOIN_TOKEN": ""}))
	require.NoError(t, err, stderr)
	root.create(installStep(cfg, hosts, hosts[1]), map[string]string{"JOIN_TOKEN": "K10token"})
	assert.Equal(t, "600", strings.TrimSpace(root.must("stat -c %a /etc/homelab-ai/join-token")))
	root.must("systemctl is-active --quiet k3s-agent.service")
	root.must("! test -e /etc/rancher/k3s/psa.yaml")
}

func TestCutRunsAreFinished(t *testing.T) {
	t.Parallel()
	root := newThrowAway(t)
	cfg := lab(t, "lab-0=server")
	mirror(t, cfg, "v1.36.4+k3s1")
	hosts := hostsOf(t, cfg)
	s := installStep(cfg, hosts, hosts[0])
	later := map[string]string{"JOIN_TOKEN": ""}
	whole := s.text(later)

	// Half a script does nothing.
	_, stderr, err := root.shell(s.create("root"), whole[:len(whole)-200])
	require.Error(t, err)
	assert.Contains(t, stderr, "the script did not arrive whole")
	root.must("! test -e /var/lib/homelab-ai")

	// A run that ends between any two of its parts is taken up: each part is made to fail once.
	for _, part := range []string{"fetch", "drain", "write", "start", "wait_ready", "fingerprint"} {
		cut := strings.Replace(whole, "\ncase $1 in\ninstall) install", "\n"+part+"() { fail cut in "+part+"; }\ncase $1 in\ninstall) install", 1)
		require.NotEqual(t, whole, cut)
		_, stderr, err := root.shell(s.create("root"), cut)
		require.Error(t, err)
		require.Contains(t, stderr, "cut in "+part)
		// What is left can be removed...
		_, stderr, err = root.shell(s.delete("root"), whole)
		require.NoError(t, err, stderr)
		root.must("! test -e /usr/local/bin/k3s && ! test -e /etc/rancher")
		// ...or finished.
		_, _, err = root.shell(s.create("root"), cut)
		require.Error(t, err)
		root.create(s, later)
		root.must("test -e /var/lib/homelab-ai/install.done && systemctl is-active --quiet k3s.service")
	}

	// A second run waits for the first.
	slow := strings.Replace(whole, "\ncase $1 in\ninstall) install", "\nfetch() { sleep 1; touch /run/stand-in/first; }\ncase $1 in\ninstall) install", 1)
	fast := strings.Replace(whole, "\ncase $1 in\ninstall) install", "\nfetch() { [ -e /run/stand-in/first ] || fail too early; }\ncase $1 in\ninstall) install", 1)
	done := make(chan error, 1)
	go func() {
		_, _, err := root.shell(s.create("root"), slow)
		done <- err
	}()
	root.must("while flock -n /run/lock/homelab-ai.lock true; do sleep 0.05; done")
	_, stderr, err = root.shell(s.create("root"), fast)
	require.NoError(t, err, stderr)
	require.NoError(t, <-done)
}

func port(url string) string { return url[strings.LastIndex(url, ":")+1:] }
