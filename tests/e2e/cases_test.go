package e2e

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReleases deploys every chart as a Helm release.
func TestReleases(t *testing.T) {
	needParts(t)
	deliver(t, false)
}

// TestApplications deploys workloads as Applications, which the real Argo CD syncs.
func TestApplications(t *testing.T) {
	needParts(t)
	if len(parts.gitops) > 0 {
		skip(t, "delivery by Argo CD lacks:\n  "+strings.Join(parts.gitops, "\n  "))
	}
	deliver(t, true)
}

// TestAgent adds a second machine: it joins, is emptied and upgraded after the server, and leaves clean.
func TestAgent(t *testing.T) {
	needParts(t)
	l := newLab(t, false, map[string]string{"staging-1": "192.168.1.31"})
	clean := []map[string]string{l.nodes[0].files(t), l.nodes[1].files(t)}
	l.mustUp(t)
	l.requireHealthy(t)
	require.Empty(t, l.mustUp(t).changes())
	l.upgrade(t)
	require.Equal(t, 2, l.nodes[1].starts())
	l.destroyed(t, clean, newReport(l, false))
}

// deliver runs all cases on one lab, from nothing to nothing; each goes on where the one before it ended.
func deliver(t *testing.T, gitops bool) {
	l := newLab(t, gitops, nil)
	clean := make([]map[string]string, len(l.nodes))
	for i, n := range l.nodes {
		clean[i] = n.files(t)
	}
	r := newReport(l, gitops)
	defer r.write(t)

	cases := []struct {
		name string
		run  func(*testing.T)
	}{
		{"preview on nothing equals the rehearsal's", func(t *testing.T) { l.previewOnNothing(t, r) }},
		{"a wrong host key is refused", l.wrongHostKey},
		{"a wrong checksum is refused", l.wrongChecksum},
		{"a cut connection is survived", l.cutConnection},
		{"up", func(t *testing.T) { l.firstUp(t, r) }},
		{"certificates, addresses and trust are real", l.surroundingsWork},
		{"a second up changes nothing", func(t *testing.T) { l.secondUp(t, r) }},
		{"a value is rolled out when up returns", func(t *testing.T) { l.valueUpdate(t, r) }},
		{"a config change restarts K3s once", l.configChange},
		{"K3s is upgraded", l.upgrade},
		{"a downgrade is refused", l.downgrade},
		{"a killed Helm operation is recovered", l.killedOperation},
		{"drift is found and repaired", l.drift},
		{"no secret leaks", l.noLeaks},
		{"destroy leaves the machines clean", func(t *testing.T) { l.destroyed(t, clean, r) }},
	}
	for _, c := range cases {
		begin := time.Now()
		passed := t.Run(c.name, c.run)
		t.Logf("%s: %.1f s", c.name, time.Since(begin).Seconds())
		r.add(c.name, passed, time.Since(begin))
		if !passed {
			t.Fatalf("the cases after %q need it", c.name)
		}
	}
}

// patience is the most that one operation may take.
const patience = 15 * time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// mustUp converges the stack.
func (l *lab) mustUp(t *testing.T) *outcome {
	t.Helper()
	o, err := l.stack.up(within(t))
	if err != nil {
		l.explain(t, o)
	}
	require.NoError(t, err)
	return o
}

// explain shows what is known about a failed operation.
func (l *lab) explain(t *testing.T, o *outcome) {
	t.Helper()
	t.Log(tail(o.output, 6000))
	t.Log(l.attendant.complaints())
}

func tail(text string, size int) string {
	if len(text) > size {
		return "... " + text[len(text)-size:]
	}
	return text
}

// wrongHostKey: a machine that proves itself with another key gets nothing.
func (l *lab) wrongHostKey(t *testing.T) {
	other := filepath.Join(l.directory, "other_key")
	require.NoError(t, command(parts.programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", other))
	public, err := os.ReadFile(other + ".pub")
	require.NoError(t, err)
	defer l.stack.configure(t, map[string]any{"cluster.nodes.0.hostKey": strings.TrimSpace(string(public))})()
	before := l.nodes[0].files(t)
	o, err := l.stack.up(within(t))
	require.Error(t, err)
	require.Contains(t, o.output+err.Error(), "host key")
	require.Empty(t, differences(before, l.nodes[0].files(t)), "something was written to a machine that did not prove itself")
}

// wrongChecksum: a binary that is not the pinned one is never installed.
func (l *lab) wrongChecksum(t *testing.T) {
	release := l.release(firstRelease)
	release["sha256"] = map[string]any{"amd64": strings.Repeat("0", 64), "arm64": strings.Repeat("0", 64)}
	defer l.stack.configure(t, map[string]any{"versions.k3s": release})()
	o, err := l.stack.up(within(t))
	require.Error(t, err)
	require.Contains(t, o.output, "sha256", "the message names the check")
	require.Contains(t, o.output, strings.Repeat("0", 64), "the message names the pinned checksum")
	_, err = l.nodes[0].ssh("test -e /usr/local/bin/k3s")
	require.Error(t, err, "the binary was installed")
	require.Zero(t, l.nodes[0].starts())
}

// cutConnection: the SSH session dies in the middle of the download.
func (l *lab) cutConnection(t *testing.T) {
	resume := l.mirror.stall()
	finished := make(chan error, 1)
	go func() { _, err := l.stack.up(within(t)); finished <- err }()
	select {
	case <-l.mirror.begun:
	case err := <-finished:
		resume()
		require.Fail(t, "up ended before the download", "%v", err)
	case <-time.After(2 * time.Minute):
		resume()
		require.Fail(t, "the download never began")
	}
	l.nodes[0].cutSessions(t)
	err := <-finished
	resume()
	require.Error(t, err, "up did not notice the broken connection")
	require.Zero(t, l.nodes[0].starts())
}

// firstUp: the whole platform, from where the cut connection left it.
func (l *lab) firstUp(t *testing.T, r *report) {
	o := l.mustUp(t)
	r.up = o
	require.NotContains(t, o.output, "would violate PodSecurity")
	l.requireHealthy(t)
	require.Equal(t, 1, l.nodes[0].starts(), "K3s was started more than once")
	resources, err := l.stack.state(t.Context(), false)
	require.NoError(t, err)
	requireEncrypted(t, resources)
	r.state(resources, o)
	r.budget(t, resources)
	r.processes = l.attendant.kubelet.names()
	r.measurePods(t, l.attendant.client())
}

// requireHealthy checks what a release or Application does not tell.
func (l *lab) requireHealthy(t *testing.T) {
	t.Helper()
	client := l.attendant.client()
	require.NotNil(t, client)
	assert.Eventually(t, func() bool { return len(unready(t, client)) == 0 }, 30*time.Second, time.Second)
	require.Empty(t, unready(t, client), l.attendant.complaints())
	refused, lower := l.refusals(t)
	require.Empty(t, refused)
	l.lower = lower
	require.Empty(t, l.attendant.kubelet.failures())
}

// surroundingsWork: what the real controllers did is there, and the exported kubeconfig opens the cluster.
func (l *lab) surroundingsWork(t *testing.T) {
	client := l.attendant.client()
	authority := []byte(l.nodes[0].mustSSH(t, "cat /etc/homelab-ai/ca/ca.crt"))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(authority))

	secret, err := client.get("/api/v1/namespaces/nginx-ingress/secrets/lab-wildcard")
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(secret.text("data", "tls.crt"))
	require.NoError(t, err)
	block, _ := pem.Decode(raw)
	require.NotNil(t, block)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	_, err = certificate.Verify(x509.VerifyOptions{DNSName: l.config.Services.OpenWebUI.Host, Roots: roots})
	require.NoError(t, err, "the ingress's certificate is not signed by the lab's CA")

	services, err := client.list("/api/v1/namespaces/nginx-ingress/services")
	require.NoError(t, err)
	var addresses []string
	for _, service := range services {
		for _, ingress := range service.items("status", "loadBalancer", "ingress") {
			addresses = append(addresses, ingress.text("ip"))
		}
	}
	require.Equal(t, []string{l.config.Network.IngressAddress}, addresses, "MetalLB gave the ingress another address")

	bundle, err := client.get("/api/v1/namespaces/open-webui/configmaps/lab-ca")
	require.NoError(t, err)
	require.Contains(t, bundle.text("data", "ca.crt"), strings.TrimSpace(string(authority)), "the CA was not handed out to tenants")

	kubeconfig, err := l.stack.run(t.Context(), "stack", "output", "kubeconfig", "--show-secrets")
	require.NoError(t, err)
	user, err := newAPI([]byte(kubeconfig))
	require.NoError(t, err)
	nodes, err := user.list("/api/v1/nodes")
	require.NoError(t, err)
	require.Len(t, nodes, len(l.nodes))
}

// secondUp: nothing changes, neither for Pulumi nor in the cluster.
func (l *lab) secondUp(t *testing.T, r *report) {
	before := settled(t, l.attendant.client())
	preview, err := l.stack.preview(within(t))
	require.NoError(t, err)
	require.Empty(t, preview.changes())
	r.quietPreview = preview
	o := l.mustUp(t)
	require.Empty(t, o.changes())
	require.NotZero(t, o.same)
	r.quietUp = o
	require.Empty(t, differences(before, fingerprints(t, l.attendant.client())))
	require.Equal(t, 1, l.nodes[0].starts())
}

// valueUpdate: a changed chart value has reached the pods when up returns.
func (l *lab) valueUpdate(t *testing.T, r *report) {
	const annotation = "example.org/revision"
	for round := 1; round <= 3; round++ {
		l.stack.configure(t, map[string]any{"values.open-webui.podAnnotations": map[string]any{annotation: fmt.Sprint(round)}})
		o := l.mustUp(t)
		r.updates = append(r.updates, o.duration)
		require.NotEmpty(t, o.changes())
		found := 0
		for _, kind := range []string{"deployments", "statefulsets"} {
			list, err := l.attendant.client().list("/apis/apps/v1/namespaces/open-webui/" + kind)
			require.NoError(t, err)
			for _, workload := range list {
				if workload.text("spec", "template", "metadata", "annotations", annotation) == fmt.Sprint(round) {
					found++
					require.Empty(t, rollout(kind, workload), "up returned before the roll-out")
				}
			}
		}
		require.NotZero(t, found, "no workload carries the value of round %d when up returns", round)
		require.Empty(t, l.mustUp(t).changes())
	}
}

// configChange: one restart, not more.
func (l *lab) configChange(t *testing.T) {
	starts := l.nodes[0].starts()
	l.stack.configure(t, map[string]any{"cluster.snapshots.retention": 7})
	require.NotEmpty(t, l.mustUp(t).changes())
	require.Equal(t, starts+1, l.nodes[0].starts())
	require.Contains(t, l.nodes[0].mustSSH(t, "cat /etc/rancher/k3s/config.yaml"), "7")
	require.Empty(t, l.mustUp(t).changes())
	require.Equal(t, starts+1, l.nodes[0].starts())
}

// upgrade: the other release, in place.
func (l *lab) upgrade(t *testing.T) {
	starts := l.nodes[0].starts()
	l.stack.configure(t, map[string]any{"versions.k3s": l.release(secondRelease)})
	l.mustUp(t)
	require.Equal(t, starts+1, l.nodes[0].starts())
	require.Contains(t, l.nodes[0].mustSSH(t, "k3s --version"), secondRelease)
	nodes, err := l.attendant.client().list("/api/v1/nodes")
	require.NoError(t, err)
	require.Len(t, nodes, len(l.nodes))
	for _, n := range nodes {
		require.Equal(t, secondRelease, n.text("status", "nodeInfo", "kubeletVersion"))
		require.NotEqual(t, true, n.at("spec", "unschedulable"), "the node stayed cordoned")
	}
	require.Empty(t, l.mustUp(t).changes())
	l.requireHealthy(t)
}

// downgrade: refused with the reason, and nothing happens.
func (l *lab) downgrade(t *testing.T) {
	starts := l.nodes[0].starts()
	undo := l.stack.configure(t, map[string]any{"versions.k3s": l.release(firstRelease)})
	o, err := l.stack.up(within(t))
	undo()
	require.Error(t, err)
	require.Contains(t, o.output, "downgrade")
	require.Equal(t, starts, l.nodes[0].starts())
	require.Contains(t, l.nodes[0].mustSSH(t, "k3s --version"), secondRelease)
	l.mustUp(t)
	require.Equal(t, starts, l.nodes[0].starts())
}

// killedOperation: the engine dies while Helm waits for an upgrade, which leaves the release pending.
func (l *lab) killedOperation(t *testing.T) {
	const namespace, chart = "metallb-system", "metallb"
	release := l.attendant.kubelet.hold(namespace)
	l.stack.configure(t, map[string]any{"values.metallb.controller.podAnnotations": map[string]any{"example.org/revision": "1"}})
	finished := make(chan error, 1)
	go func() { _, err := l.stack.up(within(t)); finished <- err }()
	pending := func() bool { return l.newestRevision(namespace, chart) == "pending-upgrade" }
	assert.Eventually(t, pending, 3*time.Minute, 100*time.Millisecond, "the upgrade never began")
	require.NoError(t, l.stack.cli.kill())
	require.Error(t, <-finished)
	release()
	require.True(t, pending(), "the release is not pending: nothing to recover")

	_, err := l.stack.run(t.Context(), "cancel", "--yes") // the lock that the killed engine left behind
	require.NoError(t, err)
	o, err := l.stack.up(within(t))
	require.Error(t, err, "a pending release went unnoticed")
	require.Contains(t, o.output, namespace+"/"+chart, "the error does not name the release")
	require.Contains(t, o.output, "make recover", "the error does not name the way out")

	output, err := l.recover(t)
	require.NoError(t, err, output)
	require.Contains(t, output, chart)
	require.Equal(t, "deployed", l.newestRevision(namespace, chart), output)
	l.mustUp(t)
	require.Empty(t, l.mustUp(t).changes())
	l.requireHealthy(t)
}

// newestRevision is the status of a Helm release.
func (l *lab) newestRevision(namespace, release string) string {
	secrets, err := l.attendant.client().list("/api/v1/namespaces/" + namespace + "/secrets?labelSelector=owner%3Dhelm,name%3D" + release)
	if err != nil {
		return err.Error()
	}
	status, newest := "none", 0
	for _, secret := range secrets {
		var version int
		if _, err := fmt.Sscan(secret.text("metadata", "labels", "version"), &version); err == nil && version > newest {
			status, newest = secret.text("metadata", "labels", "status"), version
		}
	}
	return status
}

// recover runs the recovery tool as `make recover` does.
func (l *lab) recover(t *testing.T) (string, error) {
	t.Helper()
	tool := exec.CommandContext(t.Context(), filepath.Join(l.world.directory, "recover"), "--stack", l.stack.name, "--project", filepath.Join(l.stack.directory, "project"))
	tool.Env = append(os.Environ(), l.stack.environment()...)
	tool.Env = append(tool.Env, "PATH="+filepath.Dir(parts.programs["pulumi"])+":"+os.Getenv("PATH"))
	output, err := tool.CombinedOutput()
	return string(output), err
}

// drift: what a hand changed is found and put right.
func (l *lab) drift(t *testing.T) {
	client := l.attendant.client()
	const policies = "/apis/networking.k8s.io/v1/namespaces/ollama/networkpolicies"
	before, err := client.list(policies)
	require.NoError(t, err)
	require.NotEmpty(t, before)
	require.NoError(t, client.remove(policies+"/"+before[0].name()))
	_, err = l.stack.refresh(within(t))
	require.NoError(t, err)
	o := l.mustUp(t)
	require.NotEmpty(t, o.changes(), "the deleted policy went unnoticed")
	after, err := client.list(policies)
	require.NoError(t, err)
	require.Len(t, after, len(before))

	for _, file := range []string{"/etc/rancher/k3s/config.yaml", "/etc/sysctl.d/90-homelab-ai.conf"} {
		declared := l.nodes[0].mustSSH(t, "cat "+file)
		l.nodes[0].mustSSH(t, "echo '# by hand' >> "+file)
		preview, err := l.stack.preview(within(t))
		require.NoError(t, err)
		repair := l.mustUp(t)
		require.NotEmpty(t, repair.changes(), "the changed %s went unnoticed", file)
		require.Contains(t, preview.output+repair.output, file, "neither preview nor up names the changed file")
		require.Equal(t, declared, l.nodes[0].mustSSH(t, "cat "+file))
		require.Empty(t, l.mustUp(t).changes())
	}
	l.requireHealthy(t)
}

// noLeaks: nothing that was generated shows anywhere; and the search finds what is planted.
func (l *lab) noLeaks(t *testing.T) {
	scan := l.secrets(t)
	require.Greater(t, len(scan.needles), 20)
	require.Empty(t, l.look(t, scan))
	require.Greater(t, scan.scanned, 50)

	var planted string
	for name, needle := range scan.needles {
		if strings.HasSuffix(name, "in plain text") && strings.HasPrefix(name, "output ") {
			planted = string(needle)
		}
	}
	require.NotEmpty(t, planted)
	leak := filepath.Join(l.stack.directory, "logs", "planted.log")
	text := base64.StdEncoding.EncodeToString([]byte("user=admin password=" + planted + "\n"))
	require.NoError(t, os.WriteFile(leak, []byte(text), 0o600))
	found := l.look(t, scan)
	require.NoError(t, os.Remove(leak))
	require.NotEmpty(t, found, "a planted leak was not found")
	for _, hit := range found {
		require.Contains(t, hit, leak)
	}
}

// destroyed: nothing stays on the machines.
func (l *lab) destroyed(t *testing.T, clean []map[string]string, r *report) {
	o, err := l.stack.destroy(within(t))
	if err != nil {
		l.explain(t, o)
	}
	require.NoError(t, err)
	r.destroy = o
	resources, err := l.stack.state(t.Context(), false)
	require.NoError(t, err)
	require.Empty(t, resources)
	for i, n := range l.nodes {
		require.Empty(t, differences(clean[i], n.files(t)), n.name)
		processes := n.mustSSH(t, "cat /proc/[0-9]*/comm | sort -u")
		for _, gone := range []string{"k3s", "etcd", "kube-apiserver", "kwok"} {
			require.NotContains(t, strings.Split(processes, "\n"), gone, n.name)
		}
	}
}
