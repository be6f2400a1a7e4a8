package rehearsal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/require"
)

func TestStaging(t *testing.T) {
	t.Parallel()
	report := rehearse(t, Options{Stack: "staging", Program: Project})
	require.Empty(t, report.Phase("refused").Steps, "staging is not protected")
	require.NotEmpty(t, report.URLs)
}

func TestHomelab(t *testing.T) {
	t.Parallel()
	report := rehearse(t, Options{Stack: "homelab", Program: Project})
	require.True(t, slices.ContainsFunc(report.Phases, func(p Phase) bool { return p.Name == "refused" }),
		"protection was not put to the test")
}

// TestHighlyAvailable rehearses three servers and two agents, with all charts as Helm releases.
func TestHighlyAvailable(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "..", "Pulumi.homelab.yaml"))
	require.NoError(t, err)
	content, err = Variant(content, func(settings map[string]any) {
		HighlyAvailable(settings)
		Section(settings, "homelab-ai:gitops")["enabled"] = false
	})
	require.NoError(t, err)

	agents := meeting{expected: 2}
	report := rehearse(t, Options{
		Stack: "homelab", StackFile: content, Program: Project,
		Before: func(op string, urn resource.URN) {
			if op == "create" && (strings.HasSuffix(urn.Name(), "-install-lab-more-3") ||
				strings.HasSuffix(urn.Name(), "-install-lab-more-4")) {
				agents.attend()
			}
		},
	})
	require.True(t, agents.complete, "the agents were not installed side by side")

	journal := report.Phase("up").Journal
	installed := func(name string) Entry { return find(t, journal, "-install-"+name) }
	servers := []Entry{installed("lab-0"), installed("lab-more-1"), installed("lab-more-2")}
	for i := 1; i < len(servers); i++ {
		require.False(t, servers[i].Start.Before(servers[i-1].End), "servers join one after another")
	}
	for _, agent := range []string{"lab-more-3", "lab-more-4"} {
		require.False(t, installed(agent).Start.Before(servers[2].End), "agents come after all servers")
	}
}

// meeting is where those who must be at work at the same time wait for each other.
type meeting struct {
	expected int

	mu       sync.Mutex
	arrived  int
	all      chan struct{}
	complete bool
}

func (m *meeting) attend() {
	m.mu.Lock()
	if m.all == nil {
		m.all = make(chan struct{})
	}
	if m.arrived++; m.arrived == m.expected {
		m.complete = true
		close(m.all)
	}
	all := m.all
	m.mu.Unlock()
	select {
	case <-all:
	case <-time.After(30 * time.Second):
	}
}

// rehearse takes a stack through its life and checks what holds for every stack.
func rehearse(t *testing.T, options Options) *Report {
	t.Helper()
	session, err := Open(t.Context(), options)
	requireCLI(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	report, err := Run(t.Context(), session, nil)
	if err != nil {
		t.Log(session.Log())
	}
	require.NoError(t, err)

	up := report.Phase("up")
	require.ElementsMatch(t, report.Phase("preview").Steps, up.Steps, "up did something else than the preview said")
	requireOrder(t, up.Journal)
	requireOutputs(t, report.Resources, up.Components)
	requireCandidates(t, report)
	requireDestroy(t, report.Phase("destroy").Journal)
	require.Greater(t, len(LongestChain(report.Resources)), 5)

	total := report.Budget.Total()
	require.Positive(t, total.CPU.Sign())
	require.Positive(t, total.Memory.Sign())
	require.Positive(t, total.Storage.Sign())
	require.NotEmpty(t, session.Secrets())
	return report
}

// requireOrder checks that no host is changed before all were found fit, that Kubernetes is not spoken to before
// there is a kubeconfig, and that namespaces come before what is in them.
func requireOrder(t *testing.T, journal []Entry) {
	t.Helper()
	ca, kubeconfig := find(t, journal, "k3s-ca"), find(t, journal, "k3s-kubeconfig")
	var preflights, objects int
	for _, entry := range journal {
		switch {
		case strings.Contains(entry.URN.Name(), "-preflight-"):
			preflights++
			require.False(t, ca.Start.Before(entry.End), "%s came after the first change of a host", entry.URN.Name())
		case strings.HasPrefix(string(entry.URN.Type()), "kubernetes:"):
			objects++
			require.False(t, entry.Start.Before(kubeconfig.End), "%s came before the kubeconfig", entry.URN.Name())
		}
	}
	require.Positive(t, preflights)
	require.Positive(t, objects)
}

// requireOutputs checks that every component registered its outputs.
func requireOutputs(t *testing.T, resources []apitype.ResourceV3, registered []string) {
	t.Helper()
	var components int
	for _, r := range resources {
		if !r.Custom {
			components++
			require.Contains(t, registered, string(r.URN))
		}
	}
	require.Positive(t, components)
}

// requireCandidates checks that changed versions reach the hosts and the one chart, and nothing else in the cluster.
func requireCandidates(t *testing.T, report *Report) {
	t.Helper()
	there, back := report.Phase("candidate"), report.Phase("back")
	require.ElementsMatch(t, there.Steps, back.Steps, "the way back is another one")
	var hosts, charts int
	for _, step := range there.Steps {
		switch {
		case step.Type == "command:remote:Command":
			hosts++
		case strings.Contains(step.Name, Candidate):
			charts++
		default:
			require.Fail(t, "an unrelated resource changed", "%+v", step)
		}
	}
	require.Positive(t, hosts)
	require.Positive(t, charts)
}

// requireDestroy checks that objects go down with the cluster, and are not deleted one by one.
func requireDestroy(t *testing.T, journal []Entry) {
	t.Helper()
	var commands int
	for _, entry := range journal {
		require.False(t, strings.HasPrefix(string(entry.URN.Type()), "kubernetes:"), "%s was deleted by itself", entry.URN)
		if entry.URN.Type() == "command:remote:Command" {
			commands++
		}
	}
	require.Positive(t, commands)
}

func find(t *testing.T, journal []Entry, suffix string) Entry {
	t.Helper()
	i := slices.IndexFunc(journal, func(e Entry) bool { return strings.HasSuffix(e.URN.Name(), suffix) })
	require.GreaterOrEqual(t, i, 0, "nothing ran that is called %s", suffix)
	return journal[i]
}
