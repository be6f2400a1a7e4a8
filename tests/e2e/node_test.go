package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// node is a throw-away machine: a private root with an sshd of its own.
type node struct {
	name    string
	address string
	// HostKey is the public key that the machine proves itself with.
	hostKey string
	keys    string // directory with the client's key pair
	state   string // what the stand-ins of the machine note
	root    *root
	dir     string
}

// newNode makes a machine and waits until its sshd answers.
func newNode(t *testing.T, w *world, directory, name, address string) *node {
	t.Helper()
	n := &node{name: name, address: address, keys: filepath.Join(directory, "keys"), dir: filepath.Join(directory, "node-"+name)}
	n.state = filepath.Join(n.dir, "state")
	require.NoError(t, os.MkdirAll(n.state, 0o755))
	hostKey := filepath.Join(n.dir, "ssh_host_ed25519_key")
	require.NoError(t, command(parts.programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", hostKey))
	private, err := os.ReadFile(hostKey)
	require.NoError(t, err)
	public, err := os.ReadFile(hostKey + ".pub")
	require.NoError(t, err)
	n.hostKey = strings.TrimSpace(string(public))
	authorized, err := os.ReadFile(filepath.Join(n.keys, "id_ed25519.pub"))
	require.NoError(t, err)

	// Its clock is the real machine's, which is nobody's to set.
	require.NoError(t, os.WriteFile(filepath.Join(n.state, "systemd-timesyncd.service.state"), []byte("active\n"), 0o644))

	machine := filepath.Join(w.directory, "machine")
	spec := &rootSpec{
		Directory: n.dir, Hostname: name,
		Binds:    map[string]string{"/opt/kubernetes/stages.yaml": filepath.Join(directory, "stages.yaml")},
		Writable: map[string]string{"/run/machine": n.state},
		Hidden:   []string{"/root"},
		Files: map[string]rootFile{
			"/run/ssh/host_key":         {Content: string(private), Mode: 0o600},
			"/run/ssh/authorized_keys":  {Content: string(authorized), Mode: 0o600},
			"/run/ssh/sshd_config":      {Content: sshdConfig, Mode: 0o600},
			"/run/sshd/.keep":           {Mode: 0o644},
			"/run/systemd/system/.keep": {Mode: 0o644},
			"/etc/resolv.conf":          {Content: "nameserver " + w.gateway.String() + "\n", Mode: 0o644},
			"/etc/hosts":                {Content: "127.0.0.1 localhost\n" + address + " " + name + "\n", Mode: 0o644},
			"/etc/hostname":             {Content: name + "\n", Mode: 0o644},
			"/run/lock/.keep":           {Mode: 0o644},
		},
		Environment: []string{"PATH=" + nodePath, "LANG=C.UTF-8"},
		Command:     []string{"/usr/local/lib/machine/machine", "init", parts.programs["sshd"], "-D", "-e", "-f", "/run/ssh/sshd_config"},
	}
	spec.Binds["/usr/local/lib/machine/machine"] = machine
	for _, standIn := range []string{"systemctl", "sysctl", "modprobe", "journalctl"} {
		spec.Binds["/usr/local/sbin/"+standIn] = machine
	}
	for _, program := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"} {
		spec.Binds["/opt/kubernetes/bin/"+program] = parts.programs[program]
	}
	n.root, err = w.startRoot(spec, lanBridge, fmt.Sprintf("%s/%d", address, w.lan.Bits()), w.gateway.String(), filepath.Join(n.dir, "sshd.log"))
	require.NoError(t, err)
	t.Cleanup(n.root.stop)
	require.Eventually(t, func() bool { _, err := n.ssh("true"); return err == nil }, 10*time.Second, 50*time.Millisecond,
		"sshd of %s does not answer; see %s", name, filepath.Join(n.dir, "sshd.log"))
	// The real machine's list of authorities may lag behind its own files; the throw-away one's does not.
	n.mustSSH(t, "update-ca-certificates")
	return n
}

// nodePath puts the stand-ins first.
const nodePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const sshdConfig = `Port 22
HostKey /run/ssh/host_key
AuthorizedKeysFile /run/ssh/authorized_keys
PidFile /run/ssh/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
MaxStartups 100
MaxSessions 100
SetEnv PATH=` + nodePath + `
Subsystem sftp internal-sftp
`

// newClientKey makes the key pair that logs in to the machines.
func newClientKey(t *testing.T, directory string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(directory, 0o700))
	require.NoError(t, command(parts.programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", filepath.Join(directory, "id_ed25519")))
}

// ssh runs a command on the machine and returns its standard output.
func (n *node) ssh(script string) (string, error) {
	known := filepath.Join(n.dir, "known_hosts")
	if err := os.WriteFile(known, []byte(n.address+" "+n.hostKey+"\n"), 0o600); err != nil {
		return "", err
	}
	run := exec.Command(parts.programs["ssh"], "-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile="+known, "-o", "StrictHostKeyChecking=yes",
		"-o", "ConnectTimeout=5", "-i", filepath.Join(n.keys, "id_ed25519"), "root@"+n.address, script)
	var output, failure bytes.Buffer
	run.Stdout, run.Stderr = &output, &failure
	if err := run.Run(); err != nil {
		return output.String(), fmt.Errorf("%w: %s", err, failure.String())
	}
	return output.String(), nil
}

// mustSSH is ssh for commands that have to succeed.
func (n *node) mustSSH(t *testing.T, script string) string {
	t.Helper()
	output, err := n.ssh(script)
	require.NoError(t, err)
	return output
}

// starts counts how often K3s was started on this machine.
func (n *node) starts() int {
	raw, _ := os.ReadFile(filepath.Join(n.state, "k3s.starts"))
	return bytes.Count(raw, []byte("\n"))
}

// volatile are paths that a Debian system writes anew by itself.
var volatile = regexp.MustCompile(`^(root/\.cache|var/cache|var/log|var/lib/dpkg/(lock|status-old)|etc/ssl/certs/java/|etc/ld\.so\.cache)`)

// files lists what the machine has written so far: path, type, size and content of every entry of its own layer.
func (n *node) files(t *testing.T) map[string]string {
	t.Helper()
	upper := filepath.Join(n.dir, "upper")
	found := map[string]string{}
	err := filepath.WalkDir(upper, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		name, _ := filepath.Rel(upper, path)
		if entry.IsDir() || volatile.MatchString(name) {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}
		description := info.Mode().String()
		if info.Mode().IsRegular() {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			description += " " + shortHash(raw)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, _ := os.Readlink(path)
			description += " -> " + target
		}
		if !sameBelow(path, "/"+name, info) {
			found[name] = description
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

// sameBelow tells whether a file of the machine's layer was written anew just as it is on the real machine.
func sameBelow(path, below string, info fs.FileInfo) bool {
	original, err := os.Lstat(below)
	if err != nil || original.Mode() != info.Mode() {
		return false
	}
	if info.Mode().IsRegular() {
		ours, err := os.ReadFile(path)
		theirs, otherErr := os.ReadFile(below)
		return err == nil && otherErr == nil && bytes.Equal(ours, theirs)
	}
	ours, err := os.Readlink(path)
	theirs, otherErr := os.Readlink(below)
	return err == nil && otherErr == nil && ours == theirs
}

// differences names what is new, changed or gone between two lists of files.
func differences(before, after map[string]string) []string {
	var result []string
	for path, description := range after {
		if old, known := before[path]; !known {
			result = append(result, "new: "+path)
		} else if old != description {
			result = append(result, "changed: "+path)
		}
	}
	for path := range before {
		if _, kept := after[path]; !kept {
			result = append(result, "gone: "+path)
		}
	}
	sort.Strings(result)
	return result
}
