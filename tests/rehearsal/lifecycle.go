package rehearsal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"golang.org/x/mod/semver"

	"github.com/homelab-ai/homelab-ai/config"
)

// Report is what a rehearsal showed.
type Report struct {
	// Phases in order.
	Phases []Phase
	// Resources after the first update.
	Resources []apitype.ResourceV3
	// Budget of the stack.
	Budget *Budget
	// URLs of the lab's services by name.
	URLs map[string]string
}

// Phase is one step of the stack's life.
type Phase struct {
	// Name of the phase.
	Name string
	// Result of the engine's operation.
	Result Result
}

// Phase returns a phase by name.
func (r *Report) Phase(name string) Result {
	for _, phase := range r.Phases {
		if phase.Name == name {
			return phase.Result
		}
	}
	return Result{}
}

// Candidate is the workload chart whose version is changed, together with K3s's.
const Candidate = "ollama"

// Run takes a stack through its life: preview, up, an update that changes nothing, a changed version and the way back,
// and destroy, which protection has to refuse first where the stack is protected. What is not as it must be ends it.
// say announces each phase; it may be nil.
func Run(ctx context.Context, session *Session, say func(string)) (*Report, error) {
	life := &life{ctx: ctx, session: session, say: say, report: &Report{}}
	if say == nil {
		life.say = func(string) {}
	}
	cfg, err := config.ParseStackFile(session.stackFile())
	if err != nil {
		return nil, err
	}
	for _, phase := range []func(*config.Config) error{
		life.first, life.unchanged, life.candidate, life.leaks, life.destroy,
	} {
		if err := phase(cfg); err != nil {
			return life.report, err
		}
	}
	return life.report, nil
}

type life struct {
	ctx     context.Context
	session *Session
	say     func(string)
	report  *Report
}

// do runs one operation as a phase.
func (l *life) do(name, announcement string, operation func(context.Context) (Result, error)) (Result, error) {
	l.say(announcement)
	result, err := operation(l.ctx)
	l.report.Phases = append(l.report.Phases, Phase{Name: name, Result: result})
	return result, err
}

func (l *life) first(cfg *config.Config) error {
	previewed, err := l.do("preview", "preview: what the first `up` will do", l.session.Preview)
	if err != nil {
		return err
	}
	updated, err := l.do("up", "up: from nothing to the whole lab", l.session.Up)
	if err != nil {
		return err
	}
	if len(previewed.Steps) != len(updated.Steps) {
		return fmt.Errorf("the preview announced %d changes, the update made %d", len(previewed.Steps), len(updated.Steps))
	}
	if l.report.Resources, err = l.session.Resources(); err != nil {
		return err
	}
	declared := make([]Declared, 0, len(l.report.Resources))
	for _, r := range l.report.Resources {
		declared = append(declared, Declared{Type: string(r.Type), Inputs: r.Inputs})
	}
	if l.report.Budget, err = NewBudget(cfg, declared); err != nil {
		return err
	}
	outputs, err := l.session.Outputs(l.ctx)
	if err != nil {
		return err
	}
	l.report.URLs = map[string]string{}
	for name, url := range mapping(outputs["urls"]) {
		l.report.URLs[name] = str(url)
	}
	return nil
}

func (l *life) unchanged(*config.Config) error {
	result, err := l.do("unchanged", "up again: nothing changed, so nothing may change", l.session.Up)
	if err == nil && len(result.Steps) > 0 {
		return fmt.Errorf("an update without a change made %d: %v", len(result.Steps), result.Steps)
	}
	return err
}

// candidate tries newer versions of K3s and of one workload, and goes back.
func (l *life) candidate(cfg *config.Config) error {
	before, err := l.session.inputs(l.ctx)
	if err != nil {
		return err
	}
	newer, err := candidates(cfg)
	if err != nil {
		return err
	}
	undo, err := l.session.Edit(func(content []byte) ([]byte, error) { return withVersions(content, newer) })
	if err != nil {
		return err
	}
	there, err := l.do("candidate", "up with candidate versions: "+newer.String(), l.session.Up)
	if err != nil {
		return err
	}
	if err := undo(); err != nil {
		return err
	}
	back, err := l.do("back", "up with the versions from before: the way back", l.session.Up)
	if err != nil {
		return err
	}
	if len(there.Steps) == 0 {
		return errors.New("the candidate versions changed nothing")
	}
	for _, result := range []Result{there, back} {
		for _, step := range result.Steps {
			if step.Op != string(apitype.OpUpdate) {
				return fmt.Errorf("a changed version must update in place, but %s %s is a %s", step.Type, step.Name, step.Op)
			}
		}
	}
	after, err := l.session.inputs(l.ctx)
	if err != nil {
		return err
	}
	for urn, inputs := range before {
		if !reflect.DeepEqual(inputs, after[urn]) {
			return fmt.Errorf("the way back left %s different from before", urn)
		}
	}
	return nil
}

func (l *life) leaks(*config.Config) error {
	found, err := l.session.Leaks()
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%d secret(s) can be read: %+v", len(found), found)
	}
	return nil
}

func (l *life) destroy(cfg *config.Config) error {
	if cfg.Protected() {
		size, before := l.session.cluster.size(), len(l.report.Resources)
		result, err := l.do("refused", "destroy: protection must refuse", l.session.Destroy)
		if err == nil {
			return errors.New("a protected stack was destroyed")
		}
		if !strings.Contains(err.Error(), "protect") {
			return err
		}
		if len(result.Journal) > 0 || l.session.cluster.size() != size {
			return errors.New("a refused destroy removed something all the same")
		}
		if left, err := l.session.Resources(); err != nil || len(left) != before {
			return fmt.Errorf("a refused destroy left %d of %d resources in the state: %w", len(left), before, err)
		}
		l.say("protection refused; now it is lifted")
		if err := l.session.Unprotect(l.ctx); err != nil {
			return err
		}
	}
	if _, err := l.do("destroy", "destroy: everything goes", l.session.Destroy); err != nil {
		return err
	}
	left, err := l.session.Resources()
	if err != nil {
		return err
	}
	if len(left) > 0 || l.session.cluster.size() > 0 {
		return fmt.Errorf("after destroy %d resources and %d objects are left", len(left), l.session.cluster.size())
	}
	return nil
}

// versions are the candidates: the next patch of K3s and of one chart. Nothing is downloaded in a rehearsal, so they
// need not exist.
type versions struct {
	k3s, chart string
}

func (v versions) String() string { return fmt.Sprintf("K3s %s, %s %s", v.k3s, Candidate, v.chart) }

func candidates(cfg *config.Config) (versions, error) {
	k3s, err := nextPatch(cfg.Versions.K3s.Version)
	if err != nil {
		return versions{}, err
	}
	chart, err := nextPatch(cfg.Versions.Charts[Candidate].Version)
	return versions{k3s: k3s, chart: chart}, err
}

func nextPatch(version string) (string, error) {
	canonical := "v" + strings.TrimPrefix(version, "v")
	if !semver.IsValid(canonical) {
		return "", fmt.Errorf("%q is no version", version)
	}
	build := semver.Build(canonical)
	var patch int
	core := strings.TrimSuffix(canonical, build)
	if _, err := fmt.Sscanf(core[strings.LastIndex(core, ".")+1:], "%d", &patch); err != nil {
		return "", fmt.Errorf("%q has no patch number: %w", version, err)
	}
	next := fmt.Sprintf("%s.%d%s", semver.MajorMinor(core), patch+1, build)
	if !strings.HasPrefix(version, "v") {
		next = next[1:]
	}
	return next, nil
}

// withVersions sets versions in a stack file.
func withVersions(content []byte, v versions) ([]byte, error) {
	return Variant(content, func(settings map[string]any) {
		overrides := Section(settings, "homelab-ai:versions")
		Section(overrides, "charts", Candidate)["version"] = v.chart
		checksum := sha256.Sum256([]byte(v.k3s))
		k3s := Section(overrides, "k3s")
		k3s["version"] = v.k3s
		k3s["sha256"] = map[string]any{
			"amd64": hex.EncodeToString(checksum[:]), "arm64": hex.EncodeToString(checksum[:]),
		}
	})
}

// Print writes what a rehearsal showed, for people.
func (r *Report) Print(out io.Writer) {
	kinds := map[string]int{}
	for _, resource := range r.Resources {
		kinds[kindOf(resource)]++
	}
	fmt.Fprintf(out, "Resources: %d (", len(r.Resources))
	for i, kind := range sortedKeys(kinds) {
		if i > 0 {
			fmt.Fprint(out, ", ")
		}
		fmt.Fprintf(out, "%d %s", kinds[kind], kind)
	}
	fmt.Fprintln(out, ")")

	chain := LongestChain(r.Resources)
	fmt.Fprintf(out, "\nLongest chain of dependent resources: %d\n", len(chain))
	for _, urn := range chain {
		fmt.Fprintf(out, "  %s (%s)\n", urn.Name(), urn.Type().DisplayName())
	}
	fmt.Fprintln(out, "\nWhat the lab requests of its nodes, jobs and hooks left out:")
	fmt.Fprintln(out)
	r.Budget.Print(out)

	fmt.Fprintln(out, "\nURLs:")
	for _, name := range sortedKeys(r.URLs) {
		fmt.Fprintf(out, "  %-12s %s\n", name, r.URLs[name])
	}
	fmt.Fprintln(out, "\n"+Unproven)
}

// Unproven is what a rehearsal leaves open.
const Unproven = "Not proven: providers are simulated, so no host was touched, no chart rendered, no image pulled and no pod started."

func kindOf(r apitype.ResourceV3) string {
	switch {
	case !r.Custom:
		return "components"
	case isProvider(r):
		return "providers"
	case r.Type == stashType:
		return "values in state"
	case strings.HasPrefix(string(r.Type), "command:"):
		return "commands on hosts"
	case strings.HasPrefix(string(r.Type), "random:"):
		return "generated secrets"
	case string(r.Type) == releaseType:
		return "Helm releases"
	case strings.HasSuffix(string(r.Type), ":Application"):
		return "Applications"
	default:
		return "Kubernetes objects"
	}
}

// Resources returns the stack's resources as they are stored: secrets are ciphertext.
func (s *Session) Resources() ([]apitype.ResourceV3, error) {
	path := filepath.Join(s.dir, "state", ".pulumi", "stacks", "*", s.options.Stack+".json")
	files, err := filepath.Glob(path)
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("no single state file at %s: %v", path, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	return parseState(content)
}
