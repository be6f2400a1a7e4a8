package graph

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

// node is one registered resource.
type node struct {
	urn, typ, name, parent string
	custom                 bool
	inputs                 resource.PropertyMap
	provider               string // URN of the provider resource
	protect                bool
	deletedWith            string
	secretOutputs          []string
	needs                  []string // URNs
}

// graph is everything that a program registered.
type graph struct {
	cfg     *config.Config
	nodes   []*node
	outputs int // how often outputs were registered
	secrets map[string]string
}

func newGraph(cfg *config.Config, mocks *rehearsal.Mocks) *graph {
	g := &graph{cfg: cfg, outputs: mocks.Outputs(), secrets: mocks.Secrets()}
	for _, r := range mocks.Registrations() {
		g.nodes = append(g.nodes, newNode(r))
	}
	return g
}

func newNode(r pulumi.MockResourceArgs) *node {
	rpc := r.RegisterRPC
	n := &node{
		typ: r.TypeToken, name: r.Name, custom: r.Custom, inputs: r.Inputs,
		parent: rpc.GetParent(), protect: rpc.GetProtect(), deletedWith: rpc.GetDeletedWith(),
		secretOutputs: rpc.GetAdditionalSecretOutputs(), needs: slices.Clone(rpc.GetDependencies()),
	}
	n.urn = urnOf(n)
	for _, property := range rpc.GetPropertyDependencies() {
		n.needs = append(n.needs, property.GetUrns()...)
	}
	if reference := rpc.GetProvider(); reference != "" {
		n.provider = reference[:strings.LastIndex(reference, "::")]
		n.needs = append(n.needs, n.provider)
	}
	return n
}

// urnOf is the name that the mocks give: the types of the parents, and the name.
func urnOf(n *node) string {
	var parent resource.URN
	if n.parent != "" {
		parent = resource.URN(n.parent)
	}
	types := n.typ
	if parent != "" && parent.QualifiedType() != resource.RootStackType {
		types = string(parent.QualifiedType()) + "$" + n.typ
	}
	return "urn:pulumi:" + stackName + "::" + config.Namespace + "::" + types + "::" + n.name
}

// clone copies the graph for a mutation: nodes are copied, their inputs are shared until they are replaced.
func (g *graph) clone() *graph {
	copied := *g
	copied.nodes = nil
	for _, n := range g.nodes {
		c := *n
		c.needs, c.secretOutputs = slices.Clone(n.needs), slices.Clone(n.secretOutputs)
		c.inputs = deepCopy(resource.NewProperty(n.inputs)).ObjectValue()
		copied.nodes = append(copied.nodes, &c)
	}
	copied.secrets = maps.Clone(g.secrets)
	return &copied
}

func deepCopy(v resource.PropertyValue) resource.PropertyValue {
	switch {
	case v.IsSecret():
		return resource.MakeSecret(deepCopy(v.SecretValue().Element))
	case v.IsObject():
		copied := resource.PropertyMap{}
		for key, value := range v.ObjectValue() {
			copied[key] = deepCopy(value)
		}
		return resource.NewProperty(copied)
	case v.IsArray():
		copied := make([]resource.PropertyValue, 0, len(v.ArrayValue()))
		for _, value := range v.ArrayValue() {
			copied = append(copied, deepCopy(value))
		}
		return resource.NewProperty(copied)
	default:
		return v
	}
}

// where returns the nodes that match.
func (g *graph) where(match func(*node) bool) []*node {
	var found []*node
	for _, n := range g.nodes {
		if match(n) {
			found = append(found, n)
		}
	}
	return found
}

// remove drops the first node that matches.
func (g *graph) remove(match func(*node) bool) {
	if i := slices.IndexFunc(g.nodes, match); i >= 0 {
		g.nodes = slices.Delete(g.nodes, i, i+1)
	}
}

// reaches tells whether a node waits for another one, directly or through others.
func (g *graph) reaches(from, to *node) bool { return g.reachable(from)[to.urn] }

// reachable returns what a node waits for, directly or through others. Who waits for a component waits for its children.
func (g *graph) reachable(from *node) map[string]bool {
	children, byURN := map[string][]string{}, map[string]*node{}
	for _, n := range g.nodes {
		byURN[n.urn] = n
		children[n.parent] = append(children[n.parent], n.urn)
	}
	reached := map[string]bool{}
	var visit func(urns []string)
	visit = func(urns []string) {
		for _, urn := range urns {
			n := byURN[urn]
			if n == nil || reached[urn] {
				continue
			}
			reached[urn] = true
			visit(n.needs)
			if !n.custom {
				visit(children[urn])
			}
		}
	}
	visit(from.needs)
	return reached
}

// cut removes everything that makes from wait for to: all of its own edges.
func cut(n *node) { n.needs = nil }

func ofType(types ...string) func(*node) bool {
	return func(n *node) bool { return slices.Contains(types, n.typ) }
}

func ofKind(kind string) func(*node) bool {
	return func(n *node) bool { return str(n.inputs, "kind") == kind }
}

func isObject(n *node) bool {
	return n.custom && strings.HasPrefix(n.typ, "kubernetes:")
}

// get returns the value at a path of keys, without its secrecy, or null.
func get(m resource.PropertyMap, path ...string) resource.PropertyValue {
	v := resource.NewProperty(m)
	for _, key := range path {
		if v = open(v); !v.IsObject() {
			return resource.NewNullProperty()
		}
		v = v.ObjectValue()[resource.PropertyKey(key)]
	}
	return open(v)
}

func open(v resource.PropertyValue) resource.PropertyValue {
	for v.IsSecret() {
		v = v.SecretValue().Element
	}
	return v
}

func str(m resource.PropertyMap, path ...string) string {
	if v := get(m, path...); v.IsString() {
		return v.StringValue()
	}
	return ""
}

func truth(m resource.PropertyMap, path ...string) bool {
	v := get(m, path...)
	return v.IsBool() && v.BoolValue()
}

func number(m resource.PropertyMap, path ...string) float64 {
	if v := get(m, path...); v.IsNumber() {
		return v.NumberValue()
	}
	return 0
}

// namespaceOf is the namespace that a Kubernetes object is in.
func namespaceOf(n *node) string {
	if n.typ == releaseType {
		return str(n.inputs, "namespace")
	}
	return str(n.inputs, "metadata", "namespace")
}

// strings calls visit for every text in a value, with whether it is secret there.
func texts(v resource.PropertyValue, secret bool, path string, visit func(path, text string, secret bool)) {
	switch {
	case v.IsSecret():
		texts(v.SecretValue().Element, true, path, visit)
	case v.IsObject():
		for key, value := range v.ObjectValue() {
			texts(value, secret, path+"."+string(key), visit)
		}
	case v.IsArray():
		for _, value := range v.ArrayValue() {
			texts(value, secret, path+"[]", visit)
		}
	case v.IsString():
		visit(path, v.StringValue(), secret)
	}
}
