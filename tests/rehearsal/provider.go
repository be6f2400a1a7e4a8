package rehearsal

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

// simulator answers for the resource types of one provider.
type simulator interface {
	// check completes and refuses inputs, given the inputs of the last update (nil at first).
	check(urn resource.URN, olds, news resource.PropertyMap) (resource.PropertyMap, []plugin.CheckFailure)
	// replaces tells whether a change at path makes a new resource, and whether the old one goes first.
	replaces(urn resource.URN, path string, olds, news resource.PropertyMap) bool
	// deleteFirst tells whether a replaced resource must go before its successor comes.
	deleteFirst(urn resource.URN, olds, news resource.PropertyMap) bool
	// create returns the identity and the state of a new resource; nothing may be kept in a preview.
	create(urn resource.URN, inputs resource.PropertyMap, preview bool) (string, resource.PropertyMap, error)
	// update returns the state after the change.
	update(urn resource.URN, id string, state, inputs resource.PropertyMap, preview bool) (resource.PropertyMap, error)
	// remove deletes a resource.
	remove(urn resource.URN, id string, state resource.PropertyMap) error
	// configure takes the settings of a provider resource.
	configure(inputs resource.PropertyMap)
}

// Entry is one operation that a simulated provider carried out. Previews are not recorded.
type Entry struct {
	// Op is create, update or delete.
	Op string
	// URN names the resource.
	URN resource.URN
	// Start and End are when the operation began and ended.
	Start, End time.Time
}

// journal collects entries and the secrets that the simulated providers drew.
type journal struct {
	mu      sync.Mutex
	entries []Entry
	secrets map[string]string
}

func (j *journal) record(op string, urn resource.URN, start time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, Entry{Op: op, URN: urn, Start: start, End: time.Now()})
}

// keep remembers a secret under the name of what drew it, to look for it later where it must not be.
func (j *journal) keep(name, value string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.secrets[name] = value
}

func (j *journal) copy() map[string]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.secrets)
}

func (j *journal) take() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	entries := j.entries
	j.entries = nil
	return entries
}

// provider adapts a simulator to the engine's plugin protocol.
type provider struct {
	plugin.UnimplementedProvider

	version   string
	simulator simulator
	journal   *journal
	// before is called before each operation. It may be nil.
	before func(op string, urn resource.URN)
}

var _ plugin.GrpcProvider = (*provider)(nil)

// Attach is how the engine makes itself known to a provider that runs already.
func (p *provider) Attach(string) error { return nil }

// Close is called when the engine is done with the provider; the session ends it.
func (p *provider) Close() error { return nil }

func (p *provider) Handshake(
	context.Context, plugin.ProviderHandshakeRequest,
) (*plugin.ProviderHandshakeResponse, error) {
	return &plugin.ProviderHandshakeResponse{AcceptSecrets: true}, nil
}

func (p *provider) GetPluginInfo(context.Context) (plugin.PluginInfo, error) {
	version := semver.MustParse(p.version)
	return plugin.PluginInfo{Version: &version}, nil
}

func (p *provider) SignalCancellation(context.Context) error { return nil }

func (p *provider) CheckConfig(
	_ context.Context, req plugin.CheckConfigRequest,
) (plugin.CheckConfigResponse, error) {
	return plugin.CheckConfigResponse{Properties: req.News}, nil
}

// DiffConfig follows the Kubernetes provider: another clusterIdentifier makes another cluster; the same one keeps it
// whatever else changes; without one a changed or unknown kubeconfig replaces the provider and all its objects.
func (p *provider) DiffConfig(
	_ context.Context, req plugin.DiffConfigRequest,
) (plugin.DiffConfigResponse, error) {
	diff := req.OldInputs.DiffIncludeUnknowns(req.NewInputs)
	if diff == nil {
		return plugin.DiffResult{Changes: plugin.DiffNone}, nil
	}
	result := plugin.DiffResult{Changes: plugin.DiffSome, ChangedKeys: diff.ChangedKeys()}
	const identifier = resource.PropertyKey("clusterIdentifier")
	switch {
	case diff.Updated(identifier):
		result.ReplaceKeys = []resource.PropertyKey{identifier}
	case diff.Same(identifier) && req.NewInputs.HasValue(identifier):
	case diff.Changed("kubeconfig"):
		result.ReplaceKeys = []resource.PropertyKey{"kubeconfig"}
	}
	return result, nil
}

func (p *provider) Configure(_ context.Context, req plugin.ConfigureRequest) (plugin.ConfigureResponse, error) {
	p.simulator.configure(req.Inputs)
	return plugin.ConfigureResponse{}, nil
}

func (p *provider) Check(_ context.Context, req plugin.CheckRequest) (plugin.CheckResponse, error) {
	inputs, failures := p.simulator.check(req.URN, req.Olds, req.News)
	return plugin.CheckResponse{Properties: inputs, Failures: failures}, nil
}

func (p *provider) Diff(_ context.Context, req plugin.DiffRequest) (plugin.DiffResult, error) {
	changes := plugin.NewDetailedDiffFromObjectDiff(req.OldInputs.DiffIncludeUnknowns(req.NewInputs), true)
	for path := range changes {
		if ignored(req.IgnoreChanges, path) {
			delete(changes, path)
			continue
		}
		if p.simulator.replaces(req.URN, path, req.OldInputs, req.NewInputs) {
			changes[path] = changes[path].ToReplace()
		}
	}
	result := plugin.DiffResult{Changes: plugin.DiffNone}
	for _, change := range changes {
		result.Changes = plugin.DiffSome
		if change.Kind.IsReplace() {
			result.DeleteBeforeReplace = p.simulator.deleteFirst(req.URN, req.OldInputs, req.NewInputs)
		}
	}
	result.DetailedDiff = changes
	return result, nil
}

func (p *provider) Create(_ context.Context, req plugin.CreateRequest) (plugin.CreateResponse, error) {
	start := p.begin("create", req.URN, req.Preview)
	id, state, err := p.simulator.create(req.URN, req.Properties, req.Preview)
	if err != nil {
		return plugin.CreateResponse{}, err
	}
	if !req.Preview {
		p.journal.record("create", req.URN, start)
	}
	return plugin.CreateResponse{ID: resource.ID(id), Properties: state, Status: resource.StatusOK}, nil
}

func (p *provider) Update(_ context.Context, req plugin.UpdateRequest) (plugin.UpdateResponse, error) {
	start := p.begin("update", req.URN, req.Preview)
	state, err := p.simulator.update(req.URN, string(req.ID), req.OldOutputs, req.NewInputs, req.Preview)
	if err != nil {
		return plugin.UpdateResponse{}, err
	}
	if !req.Preview {
		p.journal.record("update", req.URN, start)
	}
	return plugin.UpdateResponse{Properties: state, Status: resource.StatusOK}, nil
}

func (p *provider) Delete(_ context.Context, req plugin.DeleteRequest) (plugin.DeleteResponse, error) {
	start := p.begin("delete", req.URN, false)
	if err := p.simulator.remove(req.URN, string(req.ID), req.Outputs); err != nil {
		return plugin.DeleteResponse{}, err
	}
	p.journal.record("delete", req.URN, start)
	return plugin.DeleteResponse{Status: resource.StatusOK}, nil
}

func (p *provider) Read(_ context.Context, req plugin.ReadRequest) (plugin.ReadResponse, error) {
	return plugin.ReadResponse{
		ReadResult: plugin.ReadResult{ID: req.ID, Inputs: req.Inputs, Outputs: req.State},
		Status:     resource.StatusOK,
	}, nil
}

func (p *provider) Invoke(_ context.Context, req plugin.InvokeRequest) (plugin.InvokeResponse, error) {
	return plugin.InvokeResponse{}, fmt.Errorf("the rehearsal does not simulate the function %s", req.Tok)
}

func (p *provider) begin(op string, urn resource.URN, preview bool) time.Time {
	start := time.Now()
	if !preview && p.before != nil {
		p.before(op, urn)
	}
	return start
}

// ignored tells whether path is covered by one of the ignoreChanges paths.
func ignored(paths []string, path string) bool {
	for _, ignore := range paths {
		if path == ignore || strings.HasPrefix(path, ignore+".") || strings.HasPrefix(path, ignore+"[") {
			return true
		}
	}
	return false
}

// serve offers a provider on a loopback port until cancel is closed.
func serve(p *provider, cancel chan bool) (int, error) {
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: cancel,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterResourceProviderServer(server, plugin.NewProviderServer(p))
			return nil
		},
	})
	return handle.Port, err
}

// plain strips secrets, which compare and convert like their values.
func plain(v resource.PropertyValue) resource.PropertyValue {
	for v.IsSecret() {
		v = v.SecretValue().Element
	}
	return v
}

// text returns the string at a path of keys, or "".
func text(m resource.PropertyMap, keys ...resource.PropertyKey) string {
	v := lookup(m, keys...)
	if v.IsString() {
		return v.StringValue()
	}
	return ""
}

// lookup returns the value at a path of keys, or null.
func lookup(m resource.PropertyMap, keys ...resource.PropertyKey) resource.PropertyValue {
	v := resource.NewProperty(m)
	for _, key := range keys {
		if v = plain(v); !v.IsObject() {
			return resource.NewNullProperty()
		}
		v = v.ObjectValue()[key]
	}
	return plain(v)
}
