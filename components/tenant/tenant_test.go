package tenant

import (
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

// recorder is a mocked engine that keeps what was registered, by resource name.
type recorder struct {
	mu        sync.Mutex
	resources map[string]pulumi.MockResourceArgs
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resources[args.Name] = args
	return args.Name + "-id", args.Inputs, nil
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, errors.New("no function is called here")
}

// inputs of a resource as plain JSON values.
func (r *recorder) inputs(t *testing.T, name string) map[string]any {
	t.Helper()
	require.Contains(t, r.resources, name)
	return r.resources[name].Inputs.Mappable()
}

// of lists the names of the resources of one type.
func (r *recorder) of(token string) []string {
	var names []string
	for name, made := range r.resources {
		if made.TypeToken == token {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func run(t *testing.T, program func(ctx *pulumi.Context) error) (*recorder, error) {
	t.Helper()
	r := &recorder{resources: map[string]pulumi.MockResourceArgs{}}
	return r, pulumi.RunErr(program, pulumi.WithMocks("homelab-ai", "staging", r))
}

func around() *Surroundings {
	return &Surroundings{
		ServerAddresses: []string{"192.168.1.20", "192.168.1.21"}, NodeAddresses: []string{"192.168.1.20", "192.168.1.21", "192.168.1.30"},
		APIServerPort: 6443, PodCIDR: "10.0.0.0/16", ServiceCIDR: "10.1.0.0/16", LANCIDR: "192.168.1.0/24",
		IngressNamespace: "nginx-ingress", ClusterDNS: "10.1.0.10",
	}
}

func args() *Args {
	return &Args{Surroundings: around(), Namespace: "chat", Level: Baseline}
}

const (
	policyToken         = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	namespaceToken      = "kubernetes:core/v1:Namespace"
	namespacePatchToken = "kubernetes:core/v1:NamespacePatch"
)

func TestNewTenantIsGuarded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var name string
	r, err := run(t, func(ctx *pulumi.Context) error {
		a := args()
		a.Protect, a.Labels, a.Flows = true, map[string]string{"team": "lab"}, []Flow{FromIngress(TCP(8080))}
		tenant, err := New(ctx, "open-webui", a)
		if err != nil {
			return err
		}
		assert.Equal(t, "chat", tenant.Namespace)
		tenant.Name.ApplyT(func(n string) string {
			mu.Lock()
			defer mu.Unlock()
			name = n
			return n
		})
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, "chat", name)

	require.Equal(t, []string{"open-webui-namespace"}, r.of(namespaceToken))
	assert.Empty(t, r.of(namespacePatchToken))
	namespace := r.resources["open-webui-namespace"]
	assert.True(t, namespace.RegisterRPC.GetProtect())
	assert.Equal(t, map[string]any{
		"name": "chat", "labels": map[string]any{
			"team": "lab", "homelab-ai/tenant": "true",
			"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "latest",
			"pod-security.kubernetes.io/audit": "restricted", "pod-security.kubernetes.io/audit-version": "latest",
			"pod-security.kubernetes.io/warn": "baseline", "pod-security.kubernetes.io/warn-version": "latest",
		},
	}, r.inputs(t, "open-webui-namespace")["metadata"])

	assert.Equal(t, []string{"open-webui-default-deny", "open-webui-dns", "open-webui-from-ingress"}, r.of(policyToken))
	account := r.inputs(t, "open-webui-default-account")
	assert.Equal(t, "kubernetes:core/v1:ServiceAccountPatch", r.resources["open-webui-default-account"].TypeToken)
	assert.Equal(t, false, account["automountServiceAccountToken"])
	assert.Equal(t, map[string]any{"name": "default", "namespace": "chat"}, account["metadata"])
	assert.NotContains(t, r.resources["open-webui-default-account"].Inputs["metadata"].ObjectValue(), "annotations")

	component := r.resources["open-webui"]
	for name, made := range r.resources {
		if name != "open-webui" {
			assert.Contains(t, made.RegisterRPC.GetParent(), component.TypeToken, "%s is a child", name)
		}
	}
}

func TestNameWaitsForEveryGuard(t *testing.T) {
	t.Parallel()
	r, err := run(t, func(ctx *pulumi.Context) error {
		tenant, err := New(ctx, "ollama", args())
		if err != nil {
			return err
		}
		_, err = tenant.NewClaim(ctx, "models", &ClaimArgs{Size: "50Gi", Class: "local-path"})
		return err
	})
	require.NoError(t, err)
	dependencies := strings.Join(r.resources["ollama-models-claim"].RegisterRPC.GetDependencies(), " ")
	guards := 0
	for name := range r.resources {
		if name == "ollama" || name == "ollama-models-claim" {
			continue
		}
		guards++
		assert.Contains(t, dependencies, "::"+name, "the claim waits for %s", name)
	}
	assert.Equal(t, 6, guards, "namespace, default deny, DNS, limits, quota, account")
}

func TestAdoptPatchesOnly(t *testing.T) {
	t.Parallel()
	r, err := run(t, func(ctx *pulumi.Context) error {
		a := args()
		a.Namespace, a.Level, a.Flows = "kube-system", Unenforced, SystemFlows()
		_, err := Adopt(ctx, "system", a)
		return err
	})
	require.NoError(t, err)
	assert.Empty(t, r.of(namespaceToken), "a namespace that exists is never declared, or destroy would delete it")
	require.Equal(t, []string{"system-namespace"}, r.of(namespacePatchToken))
	metadata := r.inputs(t, "system-namespace")["metadata"].(map[string]any)
	assert.Equal(t, "kube-system", metadata["name"])
	assert.Equal(t, map[string]any{
		"homelab-ai/tenant":                "true",
		"pod-security.kubernetes.io/audit": "baseline", "pod-security.kubernetes.io/audit-version": "latest",
		"pod-security.kubernetes.io/warn": "privileged", "pod-security.kubernetes.io/warn-version": "latest",
	}, metadata["labels"])
	for _, guard := range []string{"system-default-deny", "system-dns", "system-limits", "system-quota", "system-default-account"} {
		require.Contains(t, r.resources, guard)
		assert.Equal(t, "kube-system", r.inputs(t, guard)["metadata"].(map[string]any)["namespace"], guard)
	}
	assert.Len(t, r.of(policyToken), 2+len(SystemFlows()))
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for level, want := range map[Level][3]string{
		Restricted: {"restricted", "restricted", "restricted"},
		Baseline:   {"baseline", "restricted", "baseline"},
		Privileged: {"privileged", "restricted", "privileged"},
		Unenforced: {"", "baseline", "privileged"},
	} {
		labels := (&Args{Level: level}).labels()
		got := [3]string{}
		for i, mode := range []string{"enforce", "audit", "warn"} {
			if label, ok := labels["pod-security.kubernetes.io/"+mode]; ok {
				got[i] = string(label.(pulumi.String))
			}
		}
		assert.Equal(t, want, got, level)
	}
}

func TestUserLabelsCannotLowerTheLevel(t *testing.T) {
	t.Parallel()
	labels := (&Args{Level: Restricted, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"}}).labels()
	assert.Equal(t, pulumi.String("restricted"), labels["pod-security.kubernetes.io/enforce"])
}

func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Args){
		"a namespace is required":             func(a *Args) { a.Namespace = "" },
		"the surroundings are required":       func(a *Args) { a.Surroundings = nil },
		`"strict" is no Pod Security level`:   func(a *Args) { a.Level = "strict" },
		`"" is no Pod Security level: use te`: func(a *Args) { a.Level = "" },
	} {
		r, err := run(t, func(ctx *pulumi.Context) error {
			a := args()
			change(a)
			_, err := New(ctx, "site", a)
			return err
		})
		require.ErrorContains(t, err, "tenant site: ")
		require.ErrorContains(t, err, want)
		assert.Empty(t, r.resources)
	}
	_, err := run(t, func(ctx *pulumi.Context) error {
		_, err := Adopt(ctx, "site", nil)
		return err
	})
	require.ErrorContains(t, err, "a namespace is required")
}

func TestQuotaAndLimitRange(t *testing.T) {
	t.Parallel()
	r, err := run(t, func(ctx *pulumi.Context) error {
		a := args()
		a.Quota = Quota{CPU: "16", Memory: "48Gi", Pods: 5, Claims: 3, Storage: "1Ti", GPU: 2}
		a.LimitRange = LimitRange{CPU: "100m", Memory: "128Mi", MemoryLimit: "2Gi"}
		if _, err := New(ctx, "set", a); err != nil {
			return err
		}
		_, err := New(ctx, "default", args())
		return err
	})
	require.NoError(t, err)
	hard := func(name string) any { return r.inputs(t, name+"-quota")["spec"].(map[string]any)["hard"] }
	assert.Equal(t, map[string]any{
		"requests.cpu": "16", "requests.memory": "48Gi", "requests.storage": "1Ti", "pods": "5",
		"persistentvolumeclaims": "3", "requests.nvidia.com/gpu": "2", "requests.amd.com/gpu": "2",
	}, hard("set"))
	assert.Equal(t, map[string]any{
		"requests.cpu": "4", "requests.memory": "8Gi", "requests.storage": "100Gi", "pods": "20",
		"persistentvolumeclaims": "10", "requests.nvidia.com/gpu": "0", "requests.amd.com/gpu": "0",
	}, hard("default"), "no GPU unless it is asked for")
	limits := func(name string) any {
		return r.inputs(t, name+"-limits")["spec"].(map[string]any)["limits"].([]any)[0]
	}
	assert.Equal(t, map[string]any{
		"type": "Container", "defaultRequest": map[string]any{"cpu": "100m", "memory": "128Mi"},
		"default": map[string]any{"memory": "2Gi"},
	}, limits("set"))
	assert.Equal(t, map[string]any{
		"type": "Container", "defaultRequest": map[string]any{"cpu": "25m", "memory": "64Mi"},
		"default": map[string]any{"memory": "1Gi"},
	}, limits("default"))
}

func TestClaim(t *testing.T) {
	t.Parallel()
	r, err := run(t, func(ctx *pulumi.Context) error {
		tenant, err := New(ctx, "ollama", args())
		if err != nil {
			return err
		}
		if _, err := tenant.NewClaim(ctx, "models", &ClaimArgs{Size: "50Gi", Class: "local-path", Protect: true}); err != nil {
			return err
		}
		_, err = tenant.NewClaim(ctx, "shared", &ClaimArgs{Size: "1Gi", Class: "nfs", AccessMode: "ReadWriteMany"})
		return err
	})
	require.NoError(t, err)
	claim := r.resources["ollama-models-claim"]
	assert.True(t, claim.RegisterRPC.GetProtect())
	assert.True(t, claim.RegisterRPC.GetDeleteBeforeReplaceDefined(), "the provider would delete the old claim first")
	assert.False(t, claim.RegisterRPC.GetDeleteBeforeReplace())
	got := r.inputs(t, "ollama-models-claim")
	assert.Equal(t, map[string]any{
		"name": "models", "namespace": "chat", "annotations": map[string]any{"pulumi.com/skipAwait": "true"},
	}, got["metadata"])
	assert.Equal(t, map[string]any{
		"accessModes": []any{"ReadWriteOnce"}, "storageClassName": "local-path",
		"resources": map[string]any{"requests": map[string]any{"storage": "50Gi"}},
	}, got["spec"])
	assert.Equal(t, []any{"ReadWriteMany"}, r.inputs(t, "ollama-shared-claim")["spec"].(map[string]any)["accessModes"])
	assert.False(t, r.resources["ollama-shared-claim"].RegisterRPC.GetProtect())

	for _, incomplete := range []*ClaimArgs{nil, {Size: "1Gi"}, {Class: "local-path"}} {
		_, err := (&Tenant{name: "ollama"}).NewClaim(nil, "models", incomplete)
		require.EqualError(t, err, "claim models of tenant ollama: size and class are required")
	}
}

func TestTakenClaimIsExplained(t *testing.T) {
	t.Parallel()
	exists := `persistentvolumeclaims "models" already exists`
	assert.True(t, taken("create", []string{exists, "older"}))
	assert.False(t, taken("update", []string{exists}))
	assert.False(t, taken("create", []string{"exceeded quota", exists}))
	assert.False(t, taken("create", nil))
}

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	r, err := run(t, func(ctx *pulumi.Context) error {
		tenant, err := New(ctx, "chat", args())
		if err != nil {
			return err
		}
		_, err = tenant.NewSecret(ctx, "admin", map[string]pulumi.StringInput{"password": pulumi.String("of this test")})
		return err
	})
	require.NoError(t, err)
	data := r.resources["chat-admin-secret"].Inputs["data"]
	require.True(t, data.IsSecret(), "plain input becomes secret")
	value := data.SecretValue().Element.ObjectValue()["password"]
	decoded, err := base64.StdEncoding.DecodeString(value.StringValue())
	require.NoError(t, err)
	assert.Equal(t, "of this test", string(decoded))
	_, err = (&Tenant{name: "chat"}).NewSecret(nil, "admin", nil)
	require.EqualError(t, err, "secret admin of tenant chat has no data")
}

func TestAround(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{
		Cluster: config.Cluster{
			PodCIDR: "10.0.0.0/16", ServiceCIDR: "10.1.0.0/16", Endpoint: "192.168.1.5",
			Nodes: []config.Node{
				{Role: "server", Host: "lab-0.lan", Address: "192.168.1.20"},
				{Role: "agent", Host: "192.168.1.30"},
			},
		},
		Network: config.Network{LANCIDR: "192.168.1.0/24"},
	}
	assert.Equal(t, &Surroundings{
		ServerAddresses: []string{"192.168.1.20", "192.168.1.5"}, NodeAddresses: []string{"192.168.1.20", "192.168.1.30"},
		APIServerPort: 6443, PodCIDR: "10.0.0.0/16", ServiceCIDR: "10.1.0.0/16", LANCIDR: "192.168.1.0/24",
		IngressNamespace: "nginx-ingress", ClusterDNS: "10.1.0.10",
	}, Around(cfg))
	for _, endpoint := range []string{"api.lab.home.arpa", "192.168.1.20"} {
		cfg.Cluster.Endpoint = endpoint
		assert.Equal(t, []string{"192.168.1.20"}, Around(cfg).ServerAddresses, endpoint)
	}
}

// ruleFor renders one flow through a whole tenant.
func ruleFor(t *testing.T, flow Flow) map[string]any {
	t.Helper()
	r, err := run(t, func(ctx *pulumi.Context) error {
		a := args()
		a.Flows = []Flow{flow}
		_, err := New(ctx, "x", a)
		return err
	})
	require.NoError(t, err)
	require.Len(t, r.of(policyToken), 3)
	for name, made := range r.resources {
		if made.TypeToken == policyToken && name != "x-default-deny" && name != "x-dns" {
			return r.inputs(t, name)["spec"].(map[string]any)
		}
	}
	return nil
}

type m = map[string]any

func block(cidr string) any { return m{"ipBlock": m{"cidr": cidr}} }

func inNamespace(name string) m {
	return m{"namespaceSelector": m{"matchLabels": m{"kubernetes.io/metadata.name": name}}}
}

func port(protocol string, number float64) any { return m{"protocol": protocol, "port": number} }

func TestFlows(t *testing.T) {
	t.Parallel()
	prometheus := inNamespace("monitoring")
	prometheus["podSelector"] = m{"matchLabels": m{"app": "prometheus"}}
	ingress := func(rule m) m {
		return m{"podSelector": m{}, "policyTypes": []any{"Ingress"}, "ingress": []any{rule}}
	}
	egress := func(rule m) m {
		return m{"podSelector": m{}, "policyTypes": []any{"Egress"}, "egress": []any{rule}}
	}
	limited := ingress(m{"from": []any{inNamespace("nginx-ingress")}})
	limited["podSelector"] = m{"matchLabels": m{"app": "web"}}
	cases := map[string]struct {
		flow Flow
		want m
	}{
		"from pods": {
			From("monitoring", map[string]string{"app": "prometheus"}, TCP(9090)),
			ingress(m{"from": []any{prometheus}, "ports": []any{port("TCP", 9090)}}),
		},
		"from a namespace":     {From("monitoring", nil), ingress(m{"from": []any{inNamespace("monitoring")}})},
		"to a namespace":       {To("ollama", nil, TCP(11434)), egress(m{"to": []any{inNamespace("ollama")}, "ports": []any{port("TCP", 11434)}})},
		"from every namespace": {FromEveryNamespace(UDP(53)), ingress(m{"from": []any{m{"namespaceSelector": m{}}}, "ports": []any{port("UDP", 53)}})},
		"to the API server": {
			ToAPIServer(), egress(m{"to": []any{block("192.168.1.20/32"), block("192.168.1.21/32")}, "ports": []any{port("TCP", 6443)}}),
		},
		"to nodes": {
			ToNodes(TCP(10250)),
			egress(m{"to": []any{block("192.168.1.20/32"), block("192.168.1.21/32"), block("192.168.1.30/32")}, "ports": []any{port("TCP", 10250)}}),
		},
		"from the ingress": {FromIngress(TCP(8080)), ingress(m{"from": []any{inNamespace("nginx-ingress")}, "ports": []any{port("TCP", 8080)}})},
		"to the ingress":   {ToIngress(), egress(m{"to": []any{inNamespace("nginx-ingress")}, "ports": []any{port("TCP", 80), port("TCP", 443)}})},
		"to the internet": {
			External(TCP(443)),
			egress(m{"to": []any{m{"ipBlock": m{"cidr": "0.0.0.0/0", "except": []any{
				"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
			}}}}, "ports": []any{port("TCP", 443)}}),
		},
		"to ranges": {ExternalTo([]string{"192.168.1.5/32"}, TCP(53), UDP(53)), egress(m{"to": []any{block("192.168.1.5/32")}, "ports": []any{port("TCP", 53), port("UDP", 53)}})},
		"internal": {Internal(), m{
			"podSelector": m{}, "policyTypes": []any{"Ingress", "Egress"},
			"ingress": []any{m{"from": []any{m{"podSelector": m{}}}}}, "egress": []any{m{"to": []any{m{"podSelector": m{}}}}},
		}},
		"limited to pods": {FromIngress().For(map[string]string{"app": "web"}), limited},
	}
	for name, c := range cases {
		assert.Equal(t, c.want, ruleFor(t, c.flow), name)
	}
}

func TestDefaultDenyAndDNS(t *testing.T) {
	t.Parallel()
	r, err := run(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "x", args())
		return err
	})
	require.NoError(t, err)
	deny := r.inputs(t, "x-default-deny")
	assert.Equal(t, m{"name": "default-deny", "namespace": "chat"}, deny["metadata"])
	assert.Equal(t, m{"podSelector": m{}, "policyTypes": []any{"Ingress", "Egress"}}, deny["spec"])
	names := inNamespace("kube-system")
	names["podSelector"] = m{"matchLabels": m{"k8s-app": "kube-dns"}}
	assert.Equal(t, m{
		"podSelector": m{}, "policyTypes": []any{"Egress"},
		"egress": []any{m{"to": []any{names}, "ports": []any{port("UDP", 53), port("TCP", 53)}}},
	}, r.inputs(t, "x-dns")["spec"])
}

// sources are the address ranges that a flow accepts.
func sources(t *testing.T, flow Flow, s *Surroundings) []string {
	t.Helper()
	require.NotNil(t, flow.facts)
	more, _ := flow.facts(s)
	var cidrs []string
	for _, p := range append(flow.ingress, more...) {
		cidrs = append(cidrs, p.cidr)
	}
	return cidrs
}

func TestFlowsFromNodesCoverEveryNodeSubnet(t *testing.T) {
	t.Parallel()
	for name, flow := range map[string]Flow{"API server": FromAPIServer(TCP(443)), "nodes": FromNodes(), "LAN": FromLAN([]string{"192.168.1.0/24"})} {
		got := sources(t, flow, around())
		assert.Subset(t, got, []string{"192.168.1.20/32", "192.168.1.21/32", "192.168.1.30/32"}, name)
		assert.Subset(t, got, []string{"10.0.0.0/31", "10.0.1.0/31", "10.0.128.0/31", "10.0.255.0/31"}, name)
		assert.NotContains(t, got, "10.1.0.0/31", name)
	}
	assert.Contains(t, sources(t, FromLAN([]string{"192.168.1.0/24"}), around()), "192.168.1.0/24")
	assert.Len(t, sources(t, FromNodes(), around()), 3+256)

	for cidr, subnets := range map[string]int{"10.0.0.0/22": 4, "10.0.0.0/24": 1, "10.0.0.0/25": 1, "10.0.0.0/8": 256} {
		s := around()
		s.PodCIDR = cidr
		assert.Len(t, sources(t, FromNodes(), s), 3+subnets, cidr)
	}
}

func TestInternetLeavesOutPublicRangesOfTheLab(t *testing.T) {
	t.Parallel()
	s := around()
	s.LANCIDR, s.PodCIDR = "203.0.113.7/24", "172.20.0.0/16"
	_, to := External().facts(s)
	require.Len(t, to, 1)
	assert.Contains(t, to[0].except, "203.0.113.0/24")
	assert.NotContains(t, to[0].except, "172.20.0.0/16", "it is inside of 172.16.0.0/12")

	s.LANCIDR = "10.0.0.0/7"
	_, to = External().facts(s)
	assert.Contains(t, to[0].except, "10.0.0.0/7", "it is wider than 10.0.0.0/8")
}

func TestPolicyNamesAreUniqueAndStable(t *testing.T) {
	t.Parallel()
	flows := []Flow{ToAPIServer(), To("ollama", nil), ToAPIServer().For(map[string]string{"a": "b"}), To("kube-system", nil)}
	var names []string
	for _, p := range policies(flows, around()) {
		names = append(names, p.name)
	}
	assert.Equal(t, []string{"default-deny", "dns", "to-api-server", "to-ollama", "to-api-server-2", "to-kube-system"}, names)
}

func TestForDoesNotShareLabels(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"app": "web"}
	base := ToAPIServer()
	limited := base.For(labels)
	labels["app"] = "changed"
	assert.Nil(t, base.pods)
	assert.Equal(t, map[string]string{"app": "web"}, limited.pods)
}

// Default deny in kube-system must not stop what the cluster itself needs.
func TestSystemFlows(t *testing.T) {
	t.Parallel()
	got := map[string][]string{}
	for _, flow := range SystemFlows() {
		who := slices.Collect(maps.Values(flow.pods))
		if flow.podsWith != "" {
			who = append(who, flow.podsWith)
		}
		require.Len(t, who, 1, "%s is limited to one component", flow.name)
		got[who[0]] = append(got[who[0]], flow.name)
	}
	assert.Equal(t, map[string][]string{
		"kube-dns":                        {"from-every-namespace", "from-nodes", "external-to", "to-api-server"},
		"metrics-server":                  {"from-api-server", "to-nodes", "to-api-server"},
		"local-path-provisioner":          {"to-api-server"},
		"helmcharts.helm.cattle.io/chart": {"to-api-server", "external"},
	}, got)
}

func TestHelmJobsAreSelectedByLabelKey(t *testing.T) {
	t.Parallel()
	flow := ToAPIServer()
	flow.podsWith = "helmcharts.helm.cattle.io/chart"
	assert.Equal(t, m{"matchExpressions": []any{m{"key": "helmcharts.helm.cattle.io/chart", "operator": "Exists"}}},
		ruleFor(t, flow)["podSelector"])
}

func TestSum(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "1500m", Sum("1", "500m"))
	assert.Equal(t, "4Gi", Sum("3Gi", "1Gi"))
	assert.Equal(t, "1", Sum("1", "", "many"))
}
