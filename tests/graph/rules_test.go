package graph

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"sigs.k8s.io/yaml"
)

const (
	releaseType = "kubernetes:helm.sh/v3:Release"
	commandType = "command:remote:Command"
)

// rule is something that holds for the whole graph.
type rule struct {
	name string
	// check returns how many subjects it looked at, and what is wrong.
	check func(*graph) (int, []string)
	// mutate breaks the rule.
	mutate func(*graph)
	// applies tells whether the rule has subjects on this stack. Nil: on every one.
	applies func(*graph) bool
}

// each builds a check from a test of one subject.
func each(subject func(*node) bool, wrong func(*graph, *node) string) func(*graph) (int, []string) {
	return func(g *graph) (int, []string) {
		subjects := g.where(subject)
		var violations []string
		for _, n := range subjects {
			if problem := wrong(g, n); problem != "" {
				violations = append(violations, n.name+": "+problem)
			}
		}
		return len(subjects), violations
	}
}

// set returns a mutation of the first node that matches: the value at the path is replaced.
func set(match func(*node) bool, value any, path ...string) func(*graph) {
	return func(g *graph) {
		found := g.where(match)
		if len(found) == 0 {
			return
		}
		m := found[0].inputs
		for _, key := range path[:len(path)-1] {
			below := open(m[resource.PropertyKey(key)])
			if !below.IsObject() {
				return
			}
			m = below.ObjectValue()
		}
		m[resource.PropertyKey(path[len(path)-1])] = resource.NewPropertyValue(value)
	}
}

func gitops(g *graph) bool { return g.cfg.GitOpsEnabled() }

var (
	isNamespace = ofType("kubernetes:core/v1:Namespace", "kubernetes:core/v1:NamespacePatch")
	isCommand   = ofType(commandType)
	isRelease   = ofType(releaseType)
	isIngress   = ofKind("Ingress")
	isApp       = ofKind("Application")
)

func rules() []rule {
	return slices.Concat(namespaceRules(), commandRules(), chartRules(), secretRules(), graphRules())
}

// inNamespace finds the objects of a kind in the namespace that n is.
func (g *graph) inNamespace(n *node, match func(*node) bool) []*node {
	return g.where(func(other *node) bool { return match(other) && namespaceOf(other) == str(n.inputs, "metadata", "name") })
}

func namespaceRules() []rule {
	deny := func(n *node) bool {
		return str(n.inputs, "kind") == "NetworkPolicy" && len(get(n.inputs, "spec", "podSelector").Mappable().(map[string]any)) == 0 &&
			get(n.inputs, "spec", "ingress").IsNull() && get(n.inputs, "spec", "egress").IsNull() &&
			fmt.Sprint(get(n.inputs, "spec", "policyTypes").Mappable()) == "[Ingress Egress]"
	}
	account := func(n *node) bool {
		return n.typ == "kubernetes:core/v1:ServiceAccountPatch" && str(n.inputs, "metadata", "name") == "default"
	}
	has := func(what string, match func(*node) bool) func(*graph, *node) string {
		return func(g *graph, n *node) string {
			if found := len(g.inNamespace(n, match)); found != 1 {
				return fmt.Sprintf("%d %s instead of one", found, what)
			}
			return ""
		}
	}
	without := func(match func(*node) bool) func(*graph) { return func(g *graph) { g.remove(match) } }
	return []rule{
		{
			name:   "every namespace denies both directions by default",
			check:  each(isNamespace, has("default deny", deny)),
			mutate: without(deny),
		},
		{
			name: "every namespace has a Pod Security level",
			check: each(isNamespace, func(_ *graph, n *node) string {
				modes := []string{"enforce", "audit", "warn"}
				if str(n.inputs, "metadata", "name") == "kube-system" {
					modes = modes[1:] // a cluster has to be able to repair its own namespace
				}
				for _, mode := range modes {
					if str(n.inputs, "metadata", "labels", "pod-security.kubernetes.io/"+mode) == "" {
						return "no level to " + mode
					}
				}
				return ""
			}),
			mutate: set(isNamespace, "", "metadata", "labels", "pod-security.kubernetes.io/warn"),
		},
		{
			name:   "every namespace has a quota",
			check:  each(isNamespace, has("quotas", ofKind("ResourceQuota"))),
			mutate: without(ofKind("ResourceQuota")),
		},
		{
			name:   "every namespace has a limit range",
			check:  each(isNamespace, has("limit ranges", ofKind("LimitRange"))),
			mutate: without(ofKind("LimitRange")),
		},
		{
			name: "no default service account mounts a token",
			check: each(isNamespace, func(g *graph, n *node) string {
				for _, a := range g.inNamespace(n, account) {
					if v := get(a.inputs, "automountServiceAccountToken"); v.IsBool() && !v.BoolValue() {
						return ""
					}
				}
				return "its default service account mounts a token"
			}),
			mutate: set(account, true, "automountServiceAccountToken"),
		},
		{
			name: "no policy opens a direction to everything",
			check: each(ofKind("NetworkPolicy"), func(_ *graph, n *node) string {
				for direction, peers := range map[string]string{"ingress": "from", "egress": "to"} {
					flows := get(n.inputs, "spec", direction)
					if !flows.IsArray() {
						continue
					}
					for _, flow := range flows.ArrayValue() {
						of := get(open(flow).ObjectValue(), peers)
						if !of.IsArray() || len(of.ArrayValue()) == 0 {
							return direction + " without a peer"
						}
						for _, peer := range of.ArrayValue() {
							block := get(open(peer).ObjectValue(), "ipBlock")
							if block.IsObject() && str(block.ObjectValue(), "cidr") == "0.0.0.0/0" && direction == "ingress" {
								return "ingress from anywhere"
							}
						}
					}
				}
				return ""
			}),
			mutate: set(func(n *node) bool {
				return str(n.inputs, "kind") == "NetworkPolicy" && !get(n.inputs, "spec", "egress").IsNull()
			}, []any{map[string]any{}}, "spec", "egress"),
		},
	}
}

func commandRules() []rule {
	return []rule{
		{
			name: "every SSH connection verifies its host key",
			check: each(isCommand, func(_ *graph, n *node) string {
				if !strings.HasPrefix(str(n.inputs, "connection", "hostKey"), "ssh-ed25519 ") {
					return "no ed25519 host key"
				}
				proxy := get(n.inputs, "connection", "proxy")
				if proxy.IsObject() && str(proxy.ObjectValue(), "hostKey") == "" {
					return "no host key of the jump host"
				}
				return ""
			}),
			mutate: set(isCommand, "", "connection", "hostKey"),
		},
		{
			name: "no command logs",
			check: each(isCommand, func(_ *graph, n *node) string {
				if logging := str(n.inputs, "logging"); logging != "none" {
					return "logging is " + logging
				}
				return ""
			}),
			mutate: set(isCommand, "stdout", "logging"),
		},
		{
			name: "no command has triggers, which replace, or an environment, which sshd refuses",
			check: each(isCommand, func(_ *graph, n *node) string {
				for _, key := range []string{"triggers", "environment"} {
					if !get(n.inputs, key).IsNull() {
						return "has " + key
					}
				}
				if v := get(n.inputs, "addPreviousOutputInEnv"); !v.IsBool() || v.BoolValue() {
					return "passes its previous output by the environment"
				}
				return ""
			}),
			mutate: set(isCommand, []any{"now"}, "triggers"),
		},
		{
			name: "every command's output is secret",
			check: each(isCommand, func(_ *graph, n *node) string {
				if !slices.Contains(n.secretOutputs, "stdout") || !slices.Contains(n.secretOutputs, "stderr") {
					return "stdout or stderr is plain"
				}
				return ""
			}),
			mutate: func(g *graph) { g.where(isCommand)[0].secretOutputs = nil },
		},
		{
			name: "every command's text is short: scripts come by stdin",
			check: each(isCommand, func(_ *graph, n *node) string {
				for _, key := range []string{"create", "update", "delete"} {
					if length := len(str(n.inputs, key)); length > 1024 {
						return fmt.Sprintf("%s has %d characters", key, length)
					}
				}
				return ""
			}),
			mutate: set(isCommand, strings.Repeat("x", 2000), "create"),
		},
	}
}

func chartRules() []rule {
	return []rule{
		{
			name: "every chart is one of the catalogue, in its version",
			check: each(func(n *node) bool { return isRelease(n) || isApp(n) }, func(g *graph, n *node) string {
				name, version := chartOf(n)
				for _, entry := range g.cfg.Versions.Charts {
					if entry.Name == name && entry.Version == version {
						return ""
					}
				}
				return fmt.Sprintf("chart %s %s is not in the catalogue", name, version)
			}),
			mutate: set(isRelease, "0.0.0", "version"),
		},
		{
			name: "every release has its own name, a timeout, a short history, and cleans up after a failure",
			check: each(isRelease, func(_ *graph, n *node) string {
				switch {
				case str(n.inputs, "name") == "":
					return "no name"
				case number(n.inputs, "timeout") <= 0:
					return "no timeout"
				case number(n.inputs, "maxHistory") <= 0:
					return "an endless history"
				case !truth(n.inputs, "atomic"):
					return "not atomic"
				case truth(n.inputs, "createNamespace"):
					return "makes its own namespace"
				}
				return ""
			}),
			mutate: set(isRelease, false, "atomic"),
		},
		{
			name: "every Application removes its workload with it and owns no definitions",
			check: each(isApp, func(_ *graph, n *node) string {
				finalizers := fmt.Sprint(get(n.inputs, "metadata", "finalizers").Mappable())
				if !strings.Contains(finalizers, "resources-finalizer.argocd.argoproj.io") {
					return "no resources finalizer"
				}
				if !truth(n.inputs, "spec", "source", "helm", "skipCrds") {
					return "skipCrds is off"
				}
				return ""
			}),
			mutate:  set(isApp, false, "spec", "source", "helm", "skipCrds"),
			applies: both(gitops, ollama),
		},
		{
			name: "every Application is waited for by the hash of its own spec",
			check: each(isApp, func(_ *graph, n *node) string {
				wait := str(n.inputs, "metadata", "annotations", "pulumi.com/waitFor")
				for _, part := range []string{"comparedTo.source.helm.parameters[0].value}=", "=Synced", "=Healthy"} {
					if !strings.Contains(wait, part) {
						return "does not wait for " + part
					}
				}
				return ""
			}),
			mutate:  set(isApp, "", "metadata", "annotations", "pulumi.com/waitFor"),
			applies: both(gitops, ollama),
		},
		{
			name: "every volume of a workload's chart is a claim that Pulumi owns",
			check: func(g *graph) (int, []string) {
				var subjects int
				var violations []string
				for _, n := range g.where(func(n *node) bool { return isRelease(n) || isApp(n) }) {
					walk(valuesOf(n), "values", func(path string, m map[string]any) {
						for _, key := range []string{"persistence", "persistentVolume"} {
							volume, ok := m[key].(map[string]any)
							if !ok || volume["enabled"] == false {
								continue
							}
							subjects++
							if existing, _ := volume["existingClaim"].(string); existing == "" {
								violations = append(violations, n.name+": "+path+"."+key+" makes its own claim")
							}
						}
					})
				}
				return subjects, violations
			},
			mutate: func(g *graph) {
				for _, n := range g.where(func(n *node) bool { return isRelease(n) || isApp(n) }) {
					setValues(n, map[string]any{"persistence": map[string]any{"enabled": true}})
				}
			},
			applies: func(g *graph) bool { return g.cfg.Services.Ollama.On() },
		},
		{
			name: "every image has a tag or a digest, and none floats",
			check: func(g *graph) (int, []string) {
				var subjects int
				var violations []string
				for _, n := range g.where(isObject) {
					for _, image := range imagesOf(n) {
						subjects++
						if !pinned(image) {
							violations = append(violations, n.name+": "+image+" is not pinned")
						}
					}
				}
				return subjects, violations
			},
			mutate: func(g *graph) {
				for _, n := range g.where(func(n *node) bool { return isRelease(n) || isApp(n) }) {
					setValues(n, map[string]any{"image": map[string]any{"repository": "example.org/image", "tag": "latest"}})
				}
			},
			applies: func(g *graph) bool { return g.cfg.Services.Ollama.On() },
		},
		{
			name: "every Ingress is NGINX's, with TLS and its typed annotations alone",
			check: each(isIngress, func(_ *graph, n *node) string {
				if class := str(n.inputs, "spec", "ingressClassName"); class != "nginx" {
					return "class " + class
				}
				annotations := get(n.inputs, "metadata", "annotations")
				if annotations.IsObject() {
					for key := range annotations.ObjectValue() {
						if !strings.HasPrefix(string(key), "nginx.org/") && !strings.HasPrefix(string(key), "pulumi.com/") {
							return "annotation " + string(key)
						}
					}
				}
				if !slices.Equal(hostsOf(n, "rules"), hostsOf(n, "tls")) || len(hostsOf(n, "rules")) != 1 {
					return fmt.Sprintf("hosts %v, with TLS %v", hostsOf(n, "rules"), hostsOf(n, "tls"))
				}
				return ""
			}),
			mutate:  set(isIngress, "traefik", "spec", "ingressClassName"),
			applies: hasIngress,
		},
		{
			name: "every host has one Ingress",
			check: func(g *graph) (int, []string) {
				owners := map[string][]string{}
				for _, n := range g.where(isIngress) {
					for _, host := range hostsOf(n, "rules") {
						owners[host] = append(owners[host], n.name)
					}
				}
				var violations []string
				for host, names := range owners {
					if len(names) > 1 {
						violations = append(violations, fmt.Sprintf("%s: %v", host, names))
					}
				}
				return len(owners), violations
			},
			mutate: func(g *graph) {
				second := *g.where(isIngress)[0]
				g.nodes = append(g.nodes, &second)
			},
			applies: hasIngress,
		},
	}
}

func hasIngress(g *graph) bool { return g.cfg.GitOpsEnabled() || g.cfg.Services.OpenWebUI.On() }

func secretRules() []rule {
	needles := func(g *graph) map[string]string {
		all := map[string]string{}
		for name, secret := range g.secrets {
			all[name] = strings.TrimSpace(secret)
			all[name+" in base64"] = base64.StdEncoding.EncodeToString([]byte(secret))
		}
		return all
	}
	return []rule{
		{
			name: "every input that holds a secret is secret",
			check: func(g *graph) (int, []string) {
				var subjects int
				var violations []string
				drawn := needles(g)
				for _, n := range g.nodes {
					texts(resource.NewProperty(n.inputs), false, "", func(path, text string, secret bool) {
						for name, needle := range drawn {
							if !strings.Contains(text, needle) {
								continue
							}
							subjects++
							if !secret {
								violations = append(violations, n.name+path+" holds "+name)
							}
						}
					})
				}
				return subjects, violations
			},
			mutate: func(g *graph) {
				for _, secret := range g.secrets {
					g.where(isRelease)[0].inputs["values"] = resource.NewPropertyValue(map[string]any{"password": secret})
					return
				}
			},
		},
		{
			name: "no secret reaches a chart's values",
			check: each(func(n *node) bool { return isRelease(n) || isApp(n) }, func(_ *graph, n *node) string {
				if resource.NewProperty(n.inputs).ContainsSecrets() {
					return "has a secret input"
				}
				return ""
			}),
			mutate: func(g *graph) {
				n := g.where(isRelease)[0]
				n.inputs["values"] = resource.MakeSecret(n.inputs["values"])
			},
		},
		{
			name: "every generated secret is kept in state as one",
			check: each(func(n *node) bool { return strings.HasPrefix(n.typ, "random:") }, func(_ *graph, n *node) string {
				switch n.typ {
				case "random:index/randomPassword:RandomPassword", "random:index/randomBytes:RandomBytes":
					return ""
				}
				return n.typ + " is stored in plain text"
			}),
			mutate: func(g *graph) {
				g.where(func(n *node) bool { return strings.HasPrefix(n.typ, "random:") })[0].typ = "random:index/randomString:RandomString"
			},
			applies: func(g *graph) bool {
				return len(g.where(func(n *node) bool { return strings.HasPrefix(n.typ, "random:") })) > 0
			},
		},
	}
}

// chartOf returns the name and version of a release's or an Application's chart.
func chartOf(n *node) (name, version string) {
	name, version = str(n.inputs, "chart"), str(n.inputs, "version")
	if isApp(n) {
		name = str(n.inputs, "spec", "source", "chart")
		version = str(n.inputs, "spec", "source", "targetRevision")
	}
	return name[strings.LastIndex(name, "/")+1:], version
}

// valuesOf returns a chart's values as plain maps.
func valuesOf(n *node) map[string]any {
	if isApp(n) {
		var values map[string]any
		if err := yaml.Unmarshal([]byte(str(n.inputs, "spec", "source", "helm", "values")), &values); err != nil {
			return nil
		}
		return values
	}
	values := get(n.inputs, "values")
	if !values.IsObject() {
		return nil
	}
	return plain(values).(map[string]any)
}

func setValues(n *node, values map[string]any) {
	if !isApp(n) {
		n.inputs["values"] = resource.NewPropertyValue(values)
		return
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		panic(err) // values of the test's own
	}
	open(open(open(n.inputs["spec"]).ObjectValue()["source"]).ObjectValue()["helm"]).ObjectValue()["values"] = resource.NewProperty(string(text))
}

// plain converts a value to maps, lists and scalars, without secrecy.
func plain(v resource.PropertyValue) any {
	v = open(v)
	switch {
	case v.IsObject():
		m := map[string]any{}
		for key, value := range v.ObjectValue() {
			m[string(key)] = plain(value)
		}
		return m
	case v.IsArray():
		list := make([]any, 0, len(v.ArrayValue()))
		for _, value := range v.ArrayValue() {
			list = append(list, plain(value))
		}
		return list
	default:
		return v.Mappable()
	}
}

// walk visits every map in a value.
func walk(value any, path string, visit func(path string, m map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		visit(path, value)
		for key, below := range value {
			walk(below, path+"."+key, visit)
		}
	case []any:
		for _, below := range value {
			walk(below, path+"[]", visit)
		}
	}
}

// imagesOf returns the images that an object or a chart's values name.
func imagesOf(n *node) []string {
	var images []string
	root := plain(resource.NewProperty(n.inputs))
	if isRelease(n) || isApp(n) {
		root = valuesOf(n)
	}
	walk(root, "", func(_ string, m map[string]any) {
		switch image := m["image"].(type) {
		case string:
			images = append(images, image)
		case map[string]any:
			repository, _ := image["repository"].(string)
			tag, named := image["tag"]
			if repository != "" && named {
				images = append(images, fmt.Sprintf("%s:%v", repository, tag))
			}
			if digest, _ := image["digest"].(string); digest != "" {
				images = append(images, repository+"@"+digest)
			}
		}
	})
	return images
}

// pinned tells whether an image is named by a digest or by a tag that does not float.
func pinned(image string) bool {
	if strings.Contains(image, "@sha256:") {
		return true
	}
	slash := strings.LastIndex(image, "/")
	_, tag, tagged := strings.Cut(image[slash+1:], ":")
	return tagged && tag != "" && tag != "latest" && tag != "main" && tag != "stable"
}

// hostsOf returns the hosts of an Ingress's rules or tls.
func hostsOf(n *node, list string) []string {
	var hosts []string
	entries := get(n.inputs, "spec", list)
	if !entries.IsArray() {
		return nil
	}
	for _, entry := range entries.ArrayValue() {
		m := open(entry).ObjectValue()
		if host := str(m, "host"); host != "" {
			hosts = append(hosts, host)
		}
		if many := get(m, "hosts"); many.IsArray() {
			for _, host := range many.ArrayValue() {
				hosts = append(hosts, open(host).StringValue())
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
