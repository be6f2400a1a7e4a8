package rehearsal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Options say what is rehearsed.
type Options struct {
	// Root is the project's directory. Default: the directory of the go.mod above the working directory.
	Root string
	// Stack is the stack's name. REQUIRED.
	Stack string
	// StackFile replaces the committed Pulumi.<stack>.yaml. Default: the committed file.
	StackFile []byte
	// Program is what the engine runs. REQUIRED.
	Program pulumi.RunFunc
	// Progress gets Pulumi's own progress. Default: nobody.
	Progress io.Writer
	// Color is passed on to Pulumi: always, never or auto. Default: never.
	Color string
	// Before is called before each operation that a simulated provider carries out, from several goroutines at once;
	// while it waits, so does the operation. Default: nothing.
	Before func(op string, urn resource.URN)
}

// Session is one stack in a temporary copy of the project, with its own backend, passphrase and PULUMI_HOME.
type Session struct {
	options Options
	dir     string
	stack   auto.Stack
	journal *journal
	cluster *cluster
	cancel  chan bool
	log     lockedBuffer
}

// Step is one operation on one resource, as the engine announces it.
type Step struct {
	// Type is the resource's type token, Name its name, Op the engine's operation, such as create or update.
	Type, Name, Op string
}

// Result is what one operation of the engine did.
type Result struct {
	// Steps are the resources that change: everything but same and read.
	Steps []Step
	// Same is the number of resources that stay as they are.
	Same int
	// Components are the component resources whose outputs were registered.
	Components []string
	// Journal is what the simulated providers carried out, in order of completion.
	Journal []Entry
	// Duration is how long the operation took.
	Duration time.Duration
}

// eventGrace is how long the event stream may outlive its operation.
const eventGrace = 10 * time.Second

// ErrNoCLI means that no Pulumi CLI was found.
var ErrNoCLI = errors.New("no Pulumi CLI on PATH or in bin/: `make tools` builds one")

// Open prepares a session. The caller closes it.
func Open(ctx context.Context, options Options) (session *Session, err error) {
	if options.Root == "" {
		if options.Root, err = projectRoot(); err != nil {
			return nil, err
		}
	}
	if options.Color == "" {
		options.Color = "never"
	}
	cli, err := findCLI(options.Root)
	if err != nil {
		return nil, err
	}
	s := &Session{options: options, cancel: make(chan bool), cluster: newCluster()}
	s.journal = &journal{secrets: map[string]string{}}
	if s.dir, err = os.MkdirTemp("", "rehearsal-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if err := s.copyProject(); err != nil {
		return nil, err
	}
	env, err := s.environment()
	if err != nil {
		return nil, err
	}
	command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: cli, SkipVersionCheck: false})
	if err != nil {
		return nil, fmt.Errorf("starting the Pulumi CLI: %w", err)
	}
	workspace, err := auto.NewLocalWorkspace(ctx,
		auto.WorkDir(s.projectDir()),
		auto.PulumiHome(filepath.Join(s.dir, "home")),
		auto.Pulumi(command),
		auto.Program(options.Program),
		auto.EnvVars(env),
	)
	if err != nil {
		return nil, err
	}
	s.stack, err = auto.UpsertStack(ctx, options.Stack, workspace)
	return s, err
}

// Close removes everything that the session made.
func (s *Session) Close() error {
	close(s.cancel)
	return os.RemoveAll(s.dir)
}

// projectRoot is the nearest directory upwards that holds Pulumi.yaml.
func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no Pulumi.yaml in the working directory or above it")
		}
		dir = parent
	}
}

// findCLI returns a directory whose bin/pulumi is a Pulumi CLI: the project's own, or one on PATH.
func findCLI(root string) (string, error) {
	if _, err := os.Stat(filepath.Join(root, "bin", "pulumi")); err == nil {
		return root, nil
	}
	path, err := exec.LookPath("pulumi")
	if err != nil {
		return "", ErrNoCLI
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if filepath.Base(filepath.Dir(path)) != "bin" {
		return "", fmt.Errorf("the Pulumi CLI at %s is not in a directory named bin: `make tools` links it", path)
	}
	return filepath.Dir(filepath.Dir(path)), nil
}

func (s *Session) projectDir() string { return filepath.Join(s.dir, "project") }

func (s *Session) stackFile() string {
	return filepath.Join(s.projectDir(), "Pulumi."+s.options.Stack+".yaml")
}

// copyProject copies the project's files, apart from the code, which runs inline.
func (s *Session) copyProject() error {
	for _, dir := range []string{s.projectDir(), filepath.Join(s.dir, "state"), filepath.Join(s.dir, "home")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(s.options.Root, "Pulumi*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.projectDir(), filepath.Base(file)), content, 0o600); err != nil {
			return err
		}
	}
	if s.options.StackFile != nil {
		return os.WriteFile(s.stackFile(), s.options.StackFile, 0o600)
	}
	if _, err := os.Stat(s.stackFile()); err != nil {
		return fmt.Errorf("there is no stack %s: %w", s.options.Stack, err)
	}
	return nil
}

// environment serves the simulated providers and returns what points the engine at them, and at nothing else.
func (s *Session) environment() (map[string]string, error) {
	ca, err := newAuthority("rehearsal")
	if err != nil {
		return nil, err
	}
	s.journal.keep("lab CA key", ca.key)
	simulators := []struct {
		name, version string
		simulator     simulator
	}{
		{"kubernetes", kubernetesVersion, &kubernetesRules{cluster: s.cluster}},
		{"command", commandVersion, &commandRules{hosts: newHosts(s.journal, s.cluster, ca)}},
		{"random", randomVersion, &randomRules{journal: s.journal}},
	}
	attached := make([]string, 0, len(simulators))
	for _, each := range simulators {
		port, err := serve(&provider{
			version: each.version, simulator: each.simulator, journal: s.journal, before: s.options.Before,
		}, s.cancel)
		if err != nil {
			return nil, fmt.Errorf("serving the simulated provider %s: %w", each.name, err)
		}
		attached = append(attached, fmt.Sprintf("%s:%d", each.name, port))
	}
	passphrase := make([]byte, 16)
	_, _ = rand.Read(passphrase) // never fails, see crypto/rand
	return map[string]string{
		"PULUMI_BACKEND_URL":                          "file://" + filepath.Join(s.dir, "state"),
		"PULUMI_CONFIG_PASSPHRASE":                    hex.EncodeToString(passphrase),
		"PULUMI_CONFIG_PASSPHRASE_FILE":               "",
		"PULUMI_DEBUG_PROVIDERS":                      strings.Join(attached, ","),
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		"PULUMI_SKIP_UPDATE_CHECK":                    "true",
		"PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK":    "true",
		"PULUMI_STACK":                                "",
	}, nil
}

// Edit changes the stack's configuration as a user does, in the file; the returned function undoes it.
func (s *Session) Edit(change func(content []byte) ([]byte, error)) (undo func() error, err error) {
	before, err := os.ReadFile(s.stackFile())
	if err != nil {
		return nil, err
	}
	after, err := change(before)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.stackFile(), after, 0o600); err != nil {
		return nil, err
	}
	return func() error { return os.WriteFile(s.stackFile(), before, 0o600) }, nil
}

// Preview shows what Up would do.
func (s *Session) Preview(ctx context.Context) (Result, error) {
	return s.observe(func(stream chan<- events.EngineEvent) error {
		_, err := s.stack.Preview(ctx,
			optpreview.EventStreams(stream),
			optpreview.Color(s.options.Color),
			optpreview.ProgressStreams(s.writers()...),
			optpreview.ErrorProgressStreams(s.writers()...),
		)
		return err
	})
}

// Up converges the stack.
func (s *Session) Up(ctx context.Context) (Result, error) {
	return s.observe(func(stream chan<- events.EngineEvent) error {
		_, err := s.stack.Up(ctx,
			optup.EventStreams(stream),
			optup.Color(s.options.Color),
			optup.ProgressStreams(s.writers()...),
			optup.ErrorProgressStreams(s.writers()...),
		)
		return err
	})
}

// Destroy deletes all resources of the stack.
func (s *Session) Destroy(ctx context.Context) (Result, error) {
	return s.observe(func(stream chan<- events.EngineEvent) error {
		_, err := s.stack.Destroy(ctx,
			optdestroy.EventStreams(stream),
			optdestroy.Color(s.options.Color),
			optdestroy.ProgressStreams(s.writers()...),
			optdestroy.ErrorProgressStreams(s.writers()...),
		)
		return err
	})
}

// Unprotect lifts the protection of all resources, as `pulumi state unprotect --all` does.
func (s *Session) Unprotect(ctx context.Context) error {
	workspace := s.stack.Workspace()
	var env []string
	for key, value := range workspace.GetEnvVars() {
		env = append(env, key+"="+value)
	}
	env = append(env, "PULUMI_HOME="+workspace.PulumiHome())
	_, stderr, _, err := workspace.PulumiCommand().Run(ctx, workspace.WorkDir(), nil, nil, nil, env,
		"state", "unprotect", "--all", "--yes", "--stack", s.options.Stack)
	if err != nil {
		return fmt.Errorf("lifting the protection: %w\n%s", err, stderr)
	}
	return nil
}

// inputs returns the inputs of all resources with secrets in the clear, in memory only.
func (s *Session) inputs(ctx context.Context) (map[resource.URN]map[string]any, error) {
	exported, err := s.stack.Export(ctx)
	if err != nil {
		return nil, err
	}
	var deployment apitype.DeploymentV3
	if err := json.Unmarshal(exported.Deployment, &deployment); err != nil {
		return nil, err
	}
	inputs := map[resource.URN]map[string]any{}
	for _, r := range deployment.Resources {
		inputs[r.URN] = r.Inputs
	}
	return inputs, nil
}

func parseState(content []byte) ([]apitype.ResourceV3, error) {
	var state struct {
		Checkpoint struct {
			Latest *apitype.DeploymentV3 `json:"latest"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return nil, err
	}
	if state.Checkpoint.Latest == nil {
		return nil, nil
	}
	return state.Checkpoint.Latest.Resources, nil
}

// Outputs returns the stack's outputs that are no secrets.
func (s *Session) Outputs(ctx context.Context) (map[string]any, error) {
	outputs, err := s.stack.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	open := map[string]any{}
	for key, output := range outputs {
		if !output.Secret {
			open[key] = output.Value
		}
	}
	return open, nil
}

// Log returns everything that Pulumi printed so far.
func (s *Session) Log() string { return s.log.String() }

// Secrets returns what was drawn as a secret so far, by the name of what drew it.
func (s *Session) Secrets() map[string]string { return s.journal.copy() }

func (s *Session) writers() []io.Writer {
	writers := []io.Writer{&s.log}
	if s.options.Progress != nil {
		writers = append(writers, s.options.Progress)
	}
	return writers
}

// observe runs one operation of the engine and collects its events.
func (s *Session) observe(operation func(chan<- events.EngineEvent) error) (Result, error) {
	var result Result
	s.journal.take()
	start := time.Now()
	stream := make(chan events.EngineEvent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range stream {
			result.add(event)
		}
	}()
	err := operation(stream)
	select {
	case <-done:
	case <-time.After(eventGrace): // a CLI that failed early never opened the stream
	}
	result.Duration = time.Since(start)
	result.Journal = s.journal.take()
	if err != nil {
		err = fmt.Errorf("%s: %w", s.options.Stack, err)
	}
	return result, err
}

func (r *Result) add(event events.EngineEvent) {
	if e := event.ResourcePreEvent; e != nil {
		switch name := resource.URN(e.Metadata.URN).Name(); {
		case strings.HasPrefix(e.Metadata.Type, "pulumi:providers:") && strings.HasPrefix(name, "default"):
			// the engine's own
		case e.Metadata.Op == apitype.OpSame:
			r.Same++
		case e.Metadata.Op == apitype.OpRead, e.Metadata.Op == apitype.OpReadDiscard, e.Metadata.Op == apitype.OpRefresh:
		default:
			r.Steps = append(r.Steps, Step{Type: e.Metadata.Type, Name: name, Op: string(e.Metadata.Op)})
		}
	}
	if e := event.ResOutputsEvent; e != nil && e.Metadata.New != nil && !e.Metadata.New.Custom {
		r.Components = append(r.Components, e.Metadata.URN)
	}
}

// lockedBuffer is a buffer that several streams may write to.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
