package e2e

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
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/homelab-ai/homelab-ai/components"
	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/config"
)

// program is what `pulumi up` runs, inline; unlike the rehearsal's it asks the hosts whether they have drifted.
func program(ctx *pulumi.Context) error {
	cfg, err := config.Load(ctx)
	if err != nil {
		return err
	}
	return components.Deploy(ctx, cfg, components.WithProbe(k3s.SSHProbe))
}

// deployment is a stack with the true engine and plugins, in a temporary copy of the project.
type deployment struct {
	directory string
	stack     auto.Stack
	name      string
	cli       *cli
	env       map[string]string
}

// outcome is what one operation of the engine did.
type outcome struct {
	steps    []step
	same     int
	duration time.Duration
	// spans are when each resource's own operation began and ended.
	spans map[string]span
	// output is everything that the CLI printed.
	output string
}

// step is one changed resource.
type step struct{ typ, name, op string }

type span struct{ begin, end time.Time }

// stackFile is the text of the stack file: the committed one of the stack, changed by the test.
func newDeployment(t *testing.T, directory, name string, stackFile []byte) *deployment {
	t.Helper()
	d := &deployment{directory: directory, name: name, cli: &cli{path: parts.programs["pulumi"]}}
	for _, sub := range []string{"project", "state", "home", "logs"} {
		require.NoError(t, os.MkdirAll(filepath.Join(directory, sub), 0o700))
	}
	project, err := os.ReadFile("../../Pulumi.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(directory, "project", "Pulumi.yaml"), project, 0o600))
	d.writeStackFile(t, stackFile)
	passphrase := make([]byte, 16)
	_, _ = rand.Read(passphrase)
	d.env = map[string]string{
		"PATH": filepath.Dir(parts.programs["pulumi-resource-kubernetes"]) + ":" + os.Getenv("E2E_BIN") + ":" + os.Getenv("PATH"), "PULUMI_BACKEND_URL": "file://" + filepath.Join(directory, "state"),
		"PULUMI_CONFIG_PASSPHRASE": hex.EncodeToString(passphrase), "PULUMI_CONFIG_PASSPHRASE_FILE": "",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "PULUMI_SKIP_UPDATE_CHECK": "true",
		"PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true", "KUBECONFIG": "/nonexistent", "SSH_AUTH_SOCK": "",
		"HELM_CACHE_HOME": filepath.Join(directory, "home", "helm"),
	}
	d.open(t)
	return d
}

func (d *deployment) open(t *testing.T) {
	t.Helper()
	workspace, err := auto.NewLocalWorkspace(t.Context(), auto.WorkDir(filepath.Join(d.directory, "project")),
		auto.PulumiHome(filepath.Join(d.directory, "home")), auto.Pulumi(d.cli), auto.Program(program), auto.EnvVars(d.env))
	require.NoError(t, err)
	d.stack, err = auto.UpsertStack(t.Context(), d.name, workspace)
	require.NoError(t, err)
}

func (d *deployment) stackFile() string {
	return filepath.Join(d.directory, "project", "Pulumi."+d.name+".yaml")
}

func (d *deployment) writeStackFile(t *testing.T, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(d.stackFile(), content, 0o600))
}

// configure changes keys of the stack file as a user does: a dotted path below homelab-ai, such as
// "cluster.snapshots.retention". Nil removes the key. It returns the way back.
func (d *deployment) configure(t *testing.T, changes map[string]any) (undo func()) {
	t.Helper()
	before, err := os.ReadFile(d.stackFile())
	require.NoError(t, err)
	d.writeStackFile(t, changed(t, before, changes))
	return func() { d.writeStackFile(t, before) }
}

// changed sets dotted paths in a stack file. A number in a path is an index of a list.
func changed(t *testing.T, stackFile []byte, changes map[string]any) []byte {
	t.Helper()
	var file map[string]any
	require.NoError(t, yaml.Unmarshal(stackFile, &file))
	keys, _ := file["config"].(map[string]any)
	require.NotNil(t, keys, "the stack file has no config")
	for dotted, value := range changes {
		way := strings.Split(dotted, ".")
		way[0] = "homelab-ai:" + way[0]
		set(t, keys, way, value)
	}
	result, err := yaml.Marshal(file)
	require.NoError(t, err)
	return result
}

func set(t *testing.T, tree any, way []string, value any) {
	t.Helper()
	switch tree := tree.(type) {
	case map[string]any:
		if len(way) == 1 {
			if value == nil {
				delete(tree, way[0])
			} else {
				tree[way[0]] = value
			}
			return
		}
		if tree[way[0]] == nil {
			tree[way[0]] = map[string]any{}
		}
		set(t, tree[way[0]], way[1:], value)
	case []any:
		index := int(way[0][0] - '0')
		require.Less(t, index, len(tree))
		set(t, tree[index], way[1:], value)
	default:
		require.Fail(t, "not a mapping", "%v", way)
	}
}

func (d *deployment) preview(ctx context.Context) (*outcome, error) {
	return d.observe(func(stream chan<- events.EngineEvent, log io.Writer) error {
		_, err := d.stack.Preview(ctx, optpreview.EventStreams(stream), optpreview.ProgressStreams(log), optpreview.ErrorProgressStreams(log), optpreview.SuppressOutputs())
		return err
	})
}

func (d *deployment) up(ctx context.Context) (*outcome, error) {
	return d.observe(func(stream chan<- events.EngineEvent, log io.Writer) error {
		_, err := d.stack.Up(ctx, optup.EventStreams(stream), optup.ProgressStreams(log), optup.ErrorProgressStreams(log))
		return err
	})
}

func (d *deployment) refresh(ctx context.Context) (*outcome, error) {
	return d.observe(func(stream chan<- events.EngineEvent, log io.Writer) error {
		_, err := d.stack.Refresh(ctx, optrefresh.EventStreams(stream), optrefresh.ProgressStreams(log), optrefresh.ErrorProgressStreams(log))
		return err
	})
}

func (d *deployment) destroy(ctx context.Context) (*outcome, error) {
	return d.observe(func(stream chan<- events.EngineEvent, log io.Writer) error {
		_, err := d.stack.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.ProgressStreams(log), optdestroy.ErrorProgressStreams(log))
		return err
	})
}

// environment is what points the CLI at this deployment.
func (d *deployment) environment() []string {
	env := []string{"PULUMI_HOME=" + filepath.Join(d.directory, "home")}
	for key, value := range d.env {
		env = append(env, key+"="+value)
	}
	return env
}

// run calls the CLI itself for what the Automation API lacks.
func (d *deployment) run(ctx context.Context, arguments ...string) (string, error) {
	output, failure, _, err := d.cli.Run(ctx, filepath.Join(d.directory, "project"), nil, nil, nil, d.environment(), append(arguments, "--stack", d.name)...)
	if err != nil {
		err = errors.Join(err, errors.New(failure))
	}
	return output, err
}

// observe runs one operation and collects its events. The output goes to a log that the scan for secrets reads.
func (d *deployment) observe(operation func(chan<- events.EngineEvent, io.Writer) error) (*outcome, error) {
	result := &outcome{spans: map[string]span{}}
	var log lockedBuffer
	stream := make(chan events.EngineEvent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range stream {
			result.add(event)
		}
	}()
	begin := time.Now()
	err := operation(stream, &log)
	result.duration = time.Since(begin)
	select {
	case <-done:
	case <-time.After(5 * time.Second): // a CLI that failed early never opened the stream
	}
	result.output = log.String()
	if err != nil {
		log.WriteString("\n" + err.Error())
	}
	name := filepath.Join(d.directory, "logs", time.Now().UTC().Format("150405.000000")+".log")
	return result, errors.Join(err, os.WriteFile(name, []byte(log.String()), 0o600))
}

func (o *outcome) add(event events.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil:
		metadata := event.ResourcePreEvent.Metadata
		s := o.spans[metadata.URN]
		s.begin = time.Now()
		o.spans[metadata.URN] = s
		switch metadata.Op {
		case apitype.OpSame:
			o.same++
		case apitype.OpRead, apitype.OpReadDiscard, apitype.OpRefresh:
		default:
			o.steps = append(o.steps, step{typ: metadata.Type, name: resource.URN(metadata.URN).Name(), op: string(metadata.Op)})
		}
	case event.ResOutputsEvent != nil:
		s := o.spans[event.ResOutputsEvent.Metadata.URN]
		s.end = time.Now()
		o.spans[event.ResOutputsEvent.Metadata.URN] = s
	}
}

// changes are the steps as text, sorted.
func (o *outcome) changes() []string {
	var result []string
	for _, s := range o.steps {
		result = append(result, s.op+" "+s.typ+" "+s.name)
	}
	sort.Strings(result)
	return result
}

// state is the stack's deployment; with secrets in plain text only where asked.
func (d *deployment) state(ctx context.Context, plain bool) ([]apitype.ResourceV3, error) {
	arguments := []string{"stack", "export"}
	if plain {
		arguments = append(arguments, "--show-secrets")
	}
	output, err := d.run(ctx, arguments...)
	if err != nil {
		return nil, err
	}
	var exported apitype.UntypedDeployment
	if err := json.Unmarshal([]byte(output), &exported); err != nil {
		return nil, err
	}
	var content apitype.DeploymentV3
	err = json.Unmarshal(exported.Deployment, &content)
	return content.Resources, err
}

// cli runs the Pulumi CLI in a process group of its own, so that the engine and its plugins can be killed together.
type cli struct {
	path string

	mutex   sync.Mutex
	running *os.Process
}

var _ auto.PulumiCommand = (*cli)(nil)

// Version is what the Automation API asks for; the check itself is switched off.
func (c *cli) Version() semver.Version { return semver.MustParse("3.259.0") }

// Run runs the CLI once.
func (c *cli) Run(
	ctx context.Context, directory string, input io.Reader, outputs, failures []io.Writer, environment []string, arguments ...string,
) (string, string, int, error) {
	process := exec.CommandContext(ctx, c.path, append(arguments, "--non-interactive")...)
	process.Dir, process.Stdin = directory, input
	process.Env = append(os.Environ(), environment...)
	var output, failure bytes.Buffer
	process.Stdout = io.MultiWriter(append(outputs, &output)...)
	process.Stderr = io.MultiWriter(append(failures, &failure)...)
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.WaitDelay = 5 * time.Second
	if err := process.Start(); err != nil {
		return "", "", -1, err
	}
	c.mutex.Lock()
	c.running = process.Process
	c.mutex.Unlock()
	err := process.Wait()
	return output.String(), failure.String(), process.ProcessState.ExitCode(), err
}

// kill ends the CLI, the engine in it and all plugins at once, as a power cut would. Plugins have process groups of
// their own.
func (c *cli) kill() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var failures []error
	for _, pid := range family(c.running.Pid) {
		failures = append(failures, syscall.Kill(pid, syscall.SIGKILL))
	}
	return errors.Join(failures...)
}

// family is a process and all that descend from it, itself first.
func family(pid int) []int {
	parents := map[int]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		raw, _ := os.ReadFile(file)
		var child, parent int
		var state string
		_, rest, _ := strings.Cut(string(raw), ") ") // the name before it may hold spaces
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil {
			continue
		}
		if _, err := fmt.Sscan(filepath.Base(filepath.Dir(file)), &child); err == nil {
			parents[child] = parent
		}
	}
	result := []int{pid}
	for i := 0; i < len(result); i++ {
		for child, parent := range parents {
			if parent == result[i] {
				result = append(result, child)
			}
		}
	}
	return result
}

// lockedBuffer is a buffer that several streams may write to.
type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(content []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(content)
}

func (b *lockedBuffer) WriteString(text string) { _, _ = b.Write([]byte(text)) }

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
