package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

// stackName is the stack whose committed file the suite deploys.
const stackName = "staging"

// lab is one stack on its machines, with everything around it that plays the real surroundings.
type lab struct {
	world     *world
	directory string
	config    *config.Config
	nodes     []*node
	mirror    *mirror
	stack     *deployment
	attendant *attendant
	// lower are namespaces whose pods need a lower Pod Security level than the tightest.
	lower []string
}

// newLab makes machines, mirrors and a stack for the committed stack file; nothing is deployed yet. Agents named here are
// added to the committed nodes, by address.
func newLab(t *testing.T, gitops bool, agents map[string]string) *lab {
	t.Helper()
	committed := "../../Pulumi." + stackName + ".yaml"
	cfg, err := config.ParseStackFile(committed)
	require.NoError(t, err)
	l := &lab{world: theWorld, config: cfg, directory: filepath.Join(theWorld.directory, "run", t.Name())}
	require.NoError(t, os.MkdirAll(l.directory, 0o755))
	require.NoError(t, l.world.connect(netip.MustParsePrefix(cfg.Network.LANCIDR), netip.MustParseAddr(cfg.Network.Gateway),
		netip.MustParsePrefix(cfg.Cluster.PodCIDR), netip.MustParsePrefix(cfg.Cluster.ServiceCIDR)))
	t.Cleanup(func() { require.NoError(t, l.world.disconnect()) })

	stages, err := os.ReadFile("stages.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(l.directory, "stages.yaml"), []byte(strings.ReplaceAll(string(stages), "PROCESSES", processPattern())), 0o644))
	keys := filepath.Join(l.directory, "keys")
	newClientKey(t, keys)
	for _, n := range cfg.Cluster.Nodes {
		l.nodes = append(l.nodes, newNode(t, l.world, l.directory, n.Name, n.Address))
	}
	for name, address := range agents {
		l.nodes = append(l.nodes, newNode(t, l.world, l.directory, name, address))
	}
	l.mirror = newMirror(t, l.world.gateway, map[string]string{
		firstRelease: filepath.Join(l.world.directory, "k3s-first"), secondRelease: filepath.Join(l.world.directory, "k3s-second"),
	})
	raw, err := os.ReadFile(committed)
	require.NoError(t, err)
	l.stack = newDeployment(t, filepath.Join(l.directory, "pulumi"), stackName, changed(t, raw, l.adaptations(gitops)))
	l.attendant = attend(t, l)
	t.Cleanup(func() { l.keep(t) })
	return l
}

// keep copies the logs of a failed run to the directory that E2E_KEEP names.
func (l *lab) keep(t *testing.T) {
	t.Helper()
	target := os.Getenv("E2E_KEEP")
	if target == "" || !t.Failed() {
		return
	}
	target = filepath.Join(target, filepath.Base(t.Name()))
	for name, source := range map[string]string{"pulumi": filepath.Join(l.stack.directory, "logs"), "pods": filepath.Join(l.directory, "pod-logs"), "machine": l.nodes[0].state} {
		if err := errors.Join(os.MkdirAll(target, 0o755), os.RemoveAll(filepath.Join(target, name)), command("cp", "-r", source, filepath.Join(target, name))); err != nil {
			t.Log(err)
		}
	}
}

// adaptations are the keys in which the test's stack differs from the committed one.
func (l *lab) adaptations(gitops bool) map[string]any {
	changes := map[string]any{
		"cluster.ssh":          map[string]any{"user": "root", "privateKeyFile": filepath.Join(l.directory, "keys", "id_ed25519")},
		"cluster.minimum":      map[string]any{"cores": 1, "memory": "1Gi", "disk": "1Gi"},
		"cluster.binaryMirror": l.mirror.binariesURL(),
		"chartMirror":          l.mirror.chartsURL(),
		"gitops.enabled":       gitops,
		"versions.k3s":         l.release(firstRelease),
	}
	var nodes []any
	for i, n := range l.nodes {
		settings := map[string]any{"name": n.name, "role": "agent", "host": n.address, "hostKey": n.hostKey}
		if i < len(l.config.Cluster.Nodes) {
			committed := l.config.Cluster.Nodes[i]
			settings["role"] = committed.Role
			settings["capacity"] = map[string]any{"cpu": committed.Capacity.CPU, "memory": committed.Capacity.Memory, "storage": committed.Capacity.Storage}
		}
		nodes = append(nodes, settings)
	}
	changes["cluster.nodes"] = nodes
	for key, version := range l.mirror.overrides() {
		changes["versions.charts."+key+".version"] = version
	}
	return changes
}

// release is a catalogue entry of the k3s stand-in.
func (l *lab) release(version string) map[string]any {
	sum := l.mirror.sum(version)
	return map[string]any{"version": version, "sha256": map[string]any{"amd64": sum, "arm64": sum}}
}

// attendant keeps the surroundings of the cluster in step with it: processes for pods, the service proxy, the filler.
type attendant struct {
	lab     *lab
	kubelet *kubelet
	mutex   sync.Mutex
	api     *api
	failure error
	stop    chan struct{}
	done    chan struct{}
}

func attend(t *testing.T, l *lab) *attendant {
	t.Helper()
	a := &attendant{lab: l, stop: make(chan struct{}), done: make(chan struct{})}
	logs := filepath.Join(l.directory, "pod-logs")
	require.NoError(t, os.MkdirAll(logs, 0o755))
	a.kubelet = &kubelet{world: l.world, directory: filepath.Join(l.directory, "pods"), logs: logs, pods: map[string]*process{}, held: map[string]bool{}, ran: map[string]bool{}}
	go a.loop()
	t.Cleanup(func() { close(a.stop); <-a.done })
	return a
}

// attendance is how often the attendant looks.
const attendance = 200 * time.Millisecond

func (a *attendant) loop() {
	defer close(a.done)
	proxy := &serviceProxy{alive: a.kubelet.alive, listeners: map[string]*serviceListener{}}
	filler := &filler{address: a.lab.config.Network.IngressAddress}
	defer proxy.close()
	defer a.kubelet.close()
	var known []byte
	for {
		select {
		case <-a.stop:
			return
		case <-time.After(attendance):
		}
		kubeconfig, err := os.ReadFile(filepath.Join(a.lab.nodes[0].dir, "upper", "etc", "rancher", "k3s", "k3s.yaml"))
		if errors.Is(err, os.ErrNotExist) && known != nil { // the cluster is gone
			a.kubelet.close()
			proxy.close()
			known = nil
			a.set(nil, nil)
		}
		if err != nil {
			continue
		}
		if !bytes.Equal(kubeconfig, known) {
			client, err := newAPI(bytes.ReplaceAll(kubeconfig, []byte("127.0.0.1"), []byte(a.lab.nodes[0].address)))
			if err != nil {
				continue // half written
			}
			known = kubeconfig
			a.kubelet.api, proxy.api, filler.api = client, client, client
			a.set(client, nil)
		}
		a.set(a.client(), errors.Join(a.kubelet.update(), proxy.update(), filler.update()))
	}
}

func (a *attendant) set(client *api, failure error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.api, a.failure = client, failure
}

// client is the cluster's API, or nil while there is no cluster.
func (a *attendant) client() *api {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.api
}

// complaints say what the attendant could not do, for the message of a failed step.
func (a *attendant) complaints() string {
	a.mutex.Lock()
	failure := a.failure
	a.mutex.Unlock()
	return fmt.Sprintf("surroundings: %v\nprocesses: %s", failure, strings.Join(a.kubelet.failures(), "\n"))
}
