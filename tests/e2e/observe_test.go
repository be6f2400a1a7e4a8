package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fingerprints describes every object of the cluster as its owner wrote it: without status, and without what the API
// server counts by itself. Events and leases come and go and are left out.
func fingerprints(t *testing.T, client *api) map[string]string {
	t.Helper()
	objects, err := client.everything()
	require.NoError(t, err)
	require.NotEmpty(t, objects)
	result := map[string]string{}
	for path, o := range objects {
		if strings.Contains(path, "/events/") || strings.Contains(path, "/leases/") {
			continue
		}
		metadata, _ := o["metadata"].(map[string]any)
		generation := fmt.Sprint(metadata["generation"])
		if strings.Contains(path, "argoproj.io") {
			generation = "" // Argo CD writes its status like any other field
		}
		uid := fmt.Sprint(metadata["uid"])
		for _, volatile := range []string{"managedFields", "resourceVersion", "generation"} {
			delete(metadata, volatile)
		}
		delete(o, "status")
		raw, err := json.Marshal(o)
		require.NoError(t, err)
		result[path] = uid + " generation " + generation + " " + shortHash(raw)
	}
	return result
}

// settled waits until the cluster's objects no longer change by themselves.
func settled(t *testing.T, client *api) map[string]string {
	t.Helper()
	last := fingerprints(t, client)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		time.Sleep(3 * time.Second)
		current := fingerprints(t, client)
		changes := differences(last, current)
		if len(changes) == 0 {
			return current
		}
		last = current
	}
	require.Fail(t, "the cluster does not come to rest")
	return nil
}

// refusals are the pods that the API server did not admit, and those that break the Pod Security level of their
// namespace: both stay silent in a release, which only sees a Deployment. Namespaces with a lower level than the one that
// is audited are told apart: what is recorded of them is no fault.
func (l *lab) refusals(t *testing.T) (found, lower []string) {
	t.Helper()
	client := l.attendant.client()
	events, err := client.list("/api/v1/events")
	require.NoError(t, err)
	require.NotEmpty(t, events)
	for _, event := range events {
		message := event.text("message")
		// Conflicts are tried again, and while a drained pod ends its successor waits for the quota: what stays refused
		// for such a reason is not rolled out.
		refused := event.text("reason") == "FailedCreate" && strings.Contains(message, "is forbidden") && !strings.Contains(message, "exceeded quota")
		if refused || event.text("reason") == "FailedScheduling" && strings.Contains(message, "nsufficient") {
			found = append(found, event.text("involvedObject", "kind")+" "+event.namespace()+"/"+event.text("involvedObject", "name")+": "+message)
		}
	}
	logs, err := filepath.Glob(filepath.Join(l.nodes[0].dir, "upper", "var", "lib", "rancher", "k3s", "server", "logs", "audit*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, logs, "K3s writes no audit log")
	enforced := map[string]string{}
	namespaces, err := client.list("/api/v1/namespaces")
	require.NoError(t, err)
	for _, namespace := range namespaces {
		enforced[namespace.name()] = namespace.text("metadata", "labels", "pod-security.kubernetes.io/enforce")
	}
	seen := map[string]bool{}
	for _, file := range logs {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, line := range strings.Split(string(raw), "\n") {
			if !strings.Contains(line, "pod-security.kubernetes.io/audit-violations") {
				continue
			}
			var entry object
			if json.Unmarshal([]byte(line), &entry) != nil {
				continue
			}
			annotations, _ := entry["annotations"].(map[string]any)
			text := entry.text("objectRef", "resource") + " " + entry.text("objectRef", "namespace") + "/" + entry.text("objectRef", "name") +
				": " + fmt.Sprint(annotations["pod-security.kubernetes.io/audit-violations"])
			namespace := entry.text("objectRef", "namespace")
			switch level := enforced[namespace]; {
			case level != "restricted" && level != "" || namespace == "kube-system":
				if !seen[namespace] {
					seen[namespace] = true
					lower = append(lower, namespace)
				}
			case !seen[text]:
				seen[text] = true
				found = append(found, text)
			}
		}
	}
	sort.Strings(found)
	sort.Strings(lower)
	return found, lower
}

// unready are the workloads that did not roll out.
func unready(t *testing.T, client *api) []string {
	t.Helper()
	var found []string
	looked := 0
	for _, kind := range []string{"deployments", "statefulsets", "daemonsets"} {
		list, err := client.list("/apis/apps/v1/" + kind)
		require.NoError(t, err)
		for _, o := range list {
			looked++
			if reason := rollout(kind, o); reason != "" {
				found = append(found, kind+" "+o.namespace()+"/"+o.name()+": "+reason)
			}
		}
	}
	require.NotZero(t, looked)
	sort.Strings(found)
	return found
}

// rollout says why a workload is not rolled out; empty when it is.
func rollout(kind string, o object) string {
	count := func(path ...string) int { n, _ := o.at(path...).(float64); return int(n) }
	if count("status", "observedGeneration") != count("metadata", "generation") {
		return "its controller has not seen the change"
	}
	wanted, updated, ready := count("spec", "replicas"), count("status", "updatedReplicas"), count("status", "readyReplicas")
	if kind == "daemonsets" {
		wanted, updated, ready = count("status", "desiredNumberScheduled"), count("status", "updatedNumberScheduled"), count("status", "numberReady")
	}
	if updated != wanted || ready != wanted {
		return fmt.Sprintf("%d wanted, %d updated, %d ready", wanted, updated, ready)
	}
	return ""
}

// cutSessions ends all SSH sessions of the machine, as a broken connection does: sshd's own processes of each session go,
// what the session had started gets a hang-up.
func (n *node) cutSessions(t *testing.T) {
	t.Helper()
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", n.root.process.Process.Pid))
	require.NoError(t, err)
	processes, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	cut := 0
	for _, process := range processes {
		its, err := os.Readlink(filepath.Join(process, "ns", "pid"))
		if err != nil || its != space {
			continue
		}
		title, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		if strings.HasPrefix(string(title), "sshd: root") {
			var pid int
			_, err := fmt.Sscan(filepath.Base(process), &pid)
			require.NoError(t, err)
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				cut++
			}
		}
	}
	require.NotZero(t, cut, "no SSH session is open")
}
