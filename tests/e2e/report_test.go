package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

// report collects what one run measured.
type report struct {
	lab    *lab
	gitops bool

	firstPreview, up, quietPreview, quietUp, destroy *outcome

	updates   []time.Duration
	resources int
	kinds     map[string]int
	chain     []string
	chainTime time.Duration
	processes []string
	pods      map[string]budget
	declared  map[string]rehearsal.Amounts
	cases     []string
}

// budget is what the pods of a namespace request.
type budget struct {
	pods                 int
	milliCPU, memoryMiB  float64
	gpus                 float64
	claims, storageBytes float64
}

func newReport(l *lab, gitops bool) *report { return &report{lab: l, gitops: gitops} }

func (r *report) title() string {
	if r.gitops {
		return "Workloads as Argo CD Applications (`gitops.enabled: true`)"
	}
	return "Every chart as a Helm release (`gitops.enabled: false`)"
}

func (r *report) add(name string, passed bool, took time.Duration) {
	verdict := "passed"
	if !passed {
		verdict = "FAILED"
	}
	r.cases = append(r.cases, fmt.Sprintf("| %s | %s | %.0f s |", name, verdict, took.Seconds()))
}

// state counts the resources and finds the longest chain of dependent resources, with the time that its links took.
func (r *report) state(resources []apitype.ResourceV3, o *outcome) {
	r.resources, r.kinds = len(resources), map[string]int{}
	for _, res := range resources {
		kind, _, _ := strings.Cut(string(res.Type), ":")
		r.kinds[kind]++
	}
	for _, urn := range rehearsal.LongestChain(resources) {
		r.chain = append(r.chain, urn.Name())
		if s := o.spans[string(urn)]; s.end.After(s.begin) {
			r.chainTime += s.end.Sub(s.begin)
		}
	}
}

// budget asks the rehearsal what the declared resources request.
func (r *report) budget(t *testing.T, resources []apitype.ResourceV3) {
	t.Helper()
	var declared []rehearsal.Declared
	for _, res := range resources {
		declared = append(declared, rehearsal.Declared{Type: string(res.Type), Inputs: res.Inputs})
	}
	table, err := rehearsal.NewBudget(r.lab.config, declared)
	require.NoError(t, err)
	r.declared = table.Namespaces
}

// measurePods sums what the pods of the cluster request, per namespace.
func (r *report) measurePods(t *testing.T, client *api) {
	t.Helper()
	pods, err := client.list("/api/v1/pods")
	require.NoError(t, err)
	r.pods = map[string]budget{}
	for _, pod := range pods {
		if phase := pod.text("status", "phase"); phase == "Succeeded" || phase == "Failed" {
			continue
		}
		b := r.pods[pod.namespace()]
		b.pods++
		for _, container := range pod.items("spec", "containers") {
			b.milliCPU += quantity(container.at("resources", "requests", "cpu")) * 1000
			b.memoryMiB += quantity(container.at("resources", "requests", "memory")) / (1 << 20)
			b.gpus += quantity(container.at("resources", "requests", "nvidia.com/gpu"))
		}
		r.pods[pod.namespace()] = b
	}
	claims, err := client.list("/api/v1/persistentvolumeclaims")
	require.NoError(t, err)
	for _, claim := range claims {
		b := r.pods[claim.namespace()]
		b.claims++
		b.storageBytes += quantity(claim.at("spec", "resources", "requests", "storage"))
		r.pods[claim.namespace()] = b
	}
}

var quantityPattern = regexp.MustCompile(`^([0-9.]+)(m|[kKMGT]i?)?$`)

// quantity reads a Kubernetes quantity; zero where there is none.
func quantity(value any) float64 {
	match := quantityPattern.FindStringSubmatch(fmt.Sprint(value))
	if match == nil {
		return 0
	}
	var number float64
	_, _ = fmt.Sscan(match[1], &number)
	factors := map[string]float64{"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
	if factor, known := factors[match[2]]; known {
		number *= factor
	}
	return number
}

// names are the programs that ran as processes for pods.
func (k *kubelet) names() []string {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	var result []string
	for name := range k.ran {
		result = append(result, name)
	}
	sort.Strings(result)
	return result
}

// written are the sections of this run so far; each delivery adds one.
var written []string

// write renders docs/measurements.md in a run that requires everything, or the file that E2E_REPORT names.
func (r *report) write(t *testing.T) {
	t.Helper()
	path := os.Getenv("E2E_REPORT")
	if path == "" {
		if os.Getenv("E2E_REQUIRE") != "1" {
			return
		}
		path = "../../docs/measurements.md"
	}
	written = append(written, r.section())
	require.NoError(t, os.WriteFile(path, []byte(r.head()+strings.Join(written, "\n")), 0o644))
}

func (r *report) head() string {
	served := r.lab.mirror
	overridden := []string{}
	catalogue := config.DefaultCatalogue().Charts
	for key, packaged := range served.overrides() {
		overridden = append(overridden, fmt.Sprintf("%s %s (catalogue: %s)", key, packaged, catalogue[key].Version))
	}
	sort.Strings(overridden)
	stripped := []string{}
	for name, chart := range served.charts {
		if chart.withoutSchema {
			stripped = append(stripped, name)
		}
	}
	sort.Strings(stripped)
	return strings.Join([]string{
		"# Measurements",
		"",
		"Written by `E2E_REQUIRE=1 make e2e`; do not edit. What the suite is and needs: [e2e.md](e2e.md).",
		"",
		"| | |",
		"|---|---|",
		"| date | " + time.Now().UTC().Format("2006-01-02 15:04 UTC") + " |",
		"| machine | " + machineLine() + " |",
		"| engine | pulumi " + version(parts.programs["pulumi"], "version") + ", with the true plugins kubernetes, command and random |",
		"| control plane | kube-apiserver " + version(parts.programs["kube-apiserver"], "--version") + ", etcd " + version(parts.programs["etcd"], "--version") + ", controller-manager, scheduler, kwok " + version(parts.programs["kwok"], "--version") + " |",
		"| hosts | real sshd, shell and tools on an overlay of the machine's own root; K3s, `systemctl`, `sysctl` and `modprobe` are stand-ins |",
		"| charts not in the catalogue's version | " + orNone(overridden) + " |",
		"| charts served without their values schema (it refers to the web) | " + orNone(stripped) + " |",
		"",
		"## Not proven here",
		"",
		"- Pods are simulated by kwok, apart from the controllers named below: no container image is pulled or run, no network",
		"  policy is enforced, nothing listens behind NGINX, no model is loaded.",
		"- K3s itself, its kubelet, containerd, flannel and etcd snapshots: a stand-in runs a true control plane with the",
		"  settings that K3s would be given.",
		"- Kernel settings and modules, services of the distribution, time synchronisation, GPU drivers: stand-ins answer.",
		"- Volumes and the addresses in the status of Ingresses are written by the test; MetalLB announces nothing.",
		"- More than one server. An agent on a second machine joins, is upgraded after the server and leaves clean.",
		"",
		"",
	}, "\n")
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (r *report) section() string {
	lines := []string{"## " + r.title(), "", "| case | result | duration |", "|---|---|---|"}
	lines = append(lines, r.cases...)
	lines = append(lines, "", "| operation | duration | resources |", "|---|---|---|")
	for _, row := range []struct {
		name string
		o    *outcome
	}{
		{"preview on nothing", r.firstPreview},
		{"up (after the cut connection)", r.up},
		{"preview without a change", r.quietPreview},
		{"up without a change", r.quietUp},
		{"destroy", r.destroy},
	} {
		if row.o != nil {
			lines = append(lines, fmt.Sprintf("| %s | %.1f s | %d changed, %d same |", row.name, row.o.duration.Seconds(), len(row.o.steps), row.o.same))
		}
	}
	for _, update := range r.updates {
		lines = append(lines, fmt.Sprintf("| one chart value changed | %.1f s | |", update.Seconds()))
	}
	kinds := []string{}
	for kind, count := range r.kinds {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, count))
	}
	sort.Strings(kinds)
	lines = append(lines, "",
		fmt.Sprintf("%d resources: %s. Run as processes: %s.", r.resources, strings.Join(kinds, ", "), orNone(r.processes)), "",
		"Namespaces with pods that the tightest Pod Security level would refuse (their own level admits them): "+orNone(r.lab.lower)+".", "",
		fmt.Sprintf("Longest chain of dependent resources, %.1f s of `up`: %s.", r.chainTime.Seconds(), strings.Join(r.chain, " → ")), "")
	return strings.Join(append(lines, r.budgetTable()...), "\n")
}

func machineLine() string {
	model := runtime.GOARCH
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for scanner := bufio.NewScanner(file); scanner.Scan(); {
			if key, value, found := strings.Cut(scanner.Text(), ":"); found && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var info syscall.Sysinfo_t
	_ = syscall.Sysinfo(&info)
	var kernel syscall.Utsname
	_ = syscall.Uname(&kernel)
	release := ""
	for _, c := range kernel.Release {
		if c == 0 {
			break
		}
		release += string(rune(c))
	}
	return fmt.Sprintf("%d cores (%s), %d GiB of memory, Linux %s, %s", runtime.NumCPU(), model, info.Totalram>>30, release, runtime.Version())
}

func version(program string, arguments ...string) string {
	output, _ := exec.Command(program, arguments...).CombinedOutput()
	return versionPattern.FindString(string(output))
}

var versionPattern = regexp.MustCompile(`v?[0-9]+\.[0-9]+\.[0-9]+`)

// budgetTable compares what the rehearsal says is requested with what the pods of the rendered charts request.
func (r *report) budgetTable() []string {
	names := map[string]bool{}
	for name := range r.pods {
		names[name] = true
	}
	for name := range r.declared {
		names[name] = true
	}
	ordered := []string{}
	for name := range names {
		ordered = append(ordered, name)
	}
	sort.Strings(ordered)
	lines := []string{
		"Requested per namespace: what the rehearsal's budget table says, and the sums over the pods and claims of the cluster.", "",
		"| namespace | pods | CPU, rehearsal | CPU, pods | memory, rehearsal | memory, pods | GPU, rehearsal | GPU, pods | storage, rehearsal | storage, claims |",
		"|---|---|---|---|---|---|---|---|---|---|",
	}
	for _, name := range ordered {
		b, d := r.pods[name], r.declared[name]
		lines = append(lines, fmt.Sprintf("| %s | %d | %.0fm | %.0fm | %.0f Mi | %.0f Mi | %.0f | %.0f | %.1f Gi | %.1f Gi |", name, b.pods,
			d.CPU.AsApproximateFloat64()*1000, b.milliCPU, d.Memory.AsApproximateFloat64()/(1<<20), b.memoryMiB,
			d.GPU.AsApproximateFloat64(), b.gpus, d.Storage.AsApproximateFloat64()/(1<<30), b.storageBytes/(1<<30)))
	}
	return append(lines, "")
}
