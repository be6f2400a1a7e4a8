package rehearsal

import (
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Mocks answer the Go SDK in place of the engine, with the same simulated providers as a rehearsal has, and keep every
// registration. They are for tests that look at the graph and need no engine.
type Mocks struct {
	mu            sync.Mutex
	journal       *journal
	simulators    map[string]simulator
	registrations []pulumi.MockResourceArgs
	outputs       int
}

// NewMocks returns mocks for one run of a program.
func NewMocks() (*Mocks, error) {
	ca, err := newAuthority("graph")
	if err != nil {
		return nil, err
	}
	cluster, journal := newCluster(), &journal{secrets: map[string]string{}}
	journal.keep("lab CA key", ca.key)
	return &Mocks{journal: journal, simulators: map[string]simulator{
		"kubernetes": &kubernetesRules{cluster: cluster},
		"command":    &commandRules{hosts: newHosts(journal, cluster, ca)},
		"random":     &randomRules{journal: journal},
	}}, nil
}

// NewResource implements pulumi.MockResourceMonitor.
func (m *Mocks) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	m.mu.Lock()
	m.registrations = append(m.registrations, args)
	m.mu.Unlock()
	state, id := args.Inputs.Copy(), args.Name
	switch {
	case !args.Custom:
		return "", state, nil
	case args.TypeToken == "pulumi:index:Stash":
		state["output"] = state["input"]
	case strings.HasPrefix(args.TypeToken, "pulumi:providers:"):
		if s, ok := m.simulators[strings.TrimPrefix(args.TypeToken, "pulumi:providers:")]; ok {
			s.configure(args.Inputs)
		}
	default:
		name, _, _ := strings.Cut(args.TypeToken, ":")
		s, ok := m.simulators[name]
		if !ok {
			break
		}
		urn := resource.NewURN("mock", "mock", "", tokens.Type(args.TypeToken), args.Name)
		inputs, _ := s.check(urn, nil, args.Inputs)
		var err error
		if id, state, err = s.create(urn, inputs, false); err != nil {
			return "", nil, err
		}
	}
	for _, key := range args.RegisterRPC.GetAdditionalSecretOutputs() {
		if value, ok := state[resource.PropertyKey(key)]; ok && !value.IsSecret() {
			state[resource.PropertyKey(key)] = resource.MakeSecret(value)
		}
	}
	return id, state, nil
}

// Call implements pulumi.MockResourceMonitor. The program calls no functions of providers.
func (m *Mocks) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) { return args.Args, nil }

// RegisterResourceOutputs is called once per component whose outputs were registered, and for the stack.
func (m *Mocks) RegisterResourceOutputs() (*emptypb.Empty, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outputs++
	return &emptypb.Empty{}, nil
}

// Registrations returns every resource that was registered, in order.
func (m *Mocks) Registrations() []pulumi.MockResourceArgs {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]pulumi.MockResourceArgs(nil), m.registrations...)
}

// Outputs returns how often outputs were registered: once per component, and for the stack.
func (m *Mocks) Outputs() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.outputs
}

// Secrets returns what was drawn as a secret, by the name of what drew it.
func (m *Mocks) Secrets() map[string]string { return m.journal.copy() }
