package graph

import (
	"fmt"
	"slices"
	"strings"
)

// edge says that each of some nodes has to wait for each of some others.
type edge struct {
	name     string
	from, to func(*graph) []*node
	applies  func(*graph) bool
}

func step(verb string) func(*graph) []*node {
	return func(g *graph) []*node {
		return g.where(func(n *node) bool {
			return isCommand(n) && strings.Contains(str(n.inputs, "create"), " homelab-ai "+verb+" ")
		})
	}
}

// onHosts narrows steps to those on nodes of a role.
func onHosts(role string, steps func(*graph) []*node) func(*graph) []*node {
	return func(g *graph) []*node {
		hosts := map[string]bool{}
		for _, n := range g.cfg.Cluster.Nodes {
			hosts[n.Host] = n.Role == role
		}
		return slices.DeleteFunc(steps(g), func(n *node) bool { return !hosts[str(n.inputs, "connection", "host")] })
	}
}

func all(match func(*node) bool) func(*graph) []*node {
	return func(g *graph) []*node { return g.where(match) }
}

func release(chart string) func(*graph) []*node {
	return all(func(n *node) bool {
		name, _ := chartOf(n)
		return isRelease(n) && name == chart
	})
}

// workload is a chart that is an Application or a release, as the stack says.
func workload(chart string) func(*graph) []*node {
	return all(func(n *node) bool {
		name, _ := chartOf(n)
		return (isRelease(n) || isApp(n)) && name == chart
	})
}

func custom(kind, name string) func(*graph) []*node {
	return all(func(n *node) bool {
		return str(n.inputs, "kind") == kind && (name == "" || str(n.inputs, "metadata", "name") == name)
	})
}

// issuers are the issuers that certificates name.
func issuers(g *graph) []*node {
	named := map[string]bool{}
	for _, n := range g.where(ofKind("Certificate")) {
		named[str(n.inputs, "spec", "issuerRef", "name")] = true
	}
	return g.where(func(n *node) bool {
		return str(n.inputs, "kind") == "ClusterIssuer" && named[str(n.inputs, "metadata", "name")]
	})
}

func agents(g *graph) bool { return len(g.cfg.Agents()) > 0 }
func models(g *graph) bool {
	return g.cfg.Services.Ollama.On() && len(g.cfg.Services.Ollama.Models) > 0
}
func ollama(g *graph) bool   { return g.cfg.Services.Ollama.On() }
func chat(g *graph) bool     { return g.cfg.Services.OpenWebUI.On() }
func chatting(g *graph) bool { return ollama(g) && chat(g) }

var provider = all(ofType("pulumi:providers:kubernetes"))

func edges() []edge {
	return []edge{
		{name: "the CA after every preflight", from: step("ca"), to: step("preflight")},
		{name: "preparation after the CA", from: step("prepare"), to: step("ca")},
		{name: "installation after preflight of all hosts", from: step("install"), to: step("preflight")},
		{name: "agents after all servers", from: onHosts("agent", step("install")), to: onHosts("server", step("install")), applies: agents},
		{name: "agents after the join token", from: onHosts("agent", step("install")), to: step("token"), applies: agents},
		{name: "kubeconfig after all servers", from: step("kubeconfig"), to: onHosts("server", step("install"))},
		{name: "kubeconfig after all agents", from: step("kubeconfig"), to: onHosts("agent", step("install")), applies: agents},
		{name: "provider after kubeconfig", from: provider, to: step("kubeconfig")},
		{name: "every Kubernetes object through that provider", from: all(isObject), to: provider},
		{name: "address pool after MetalLB", from: custom("IPAddressPool", ""), to: release("metallb")},
		{name: "advertisement after address pool", from: custom("L2Advertisement", ""), to: custom("IPAddressPool", "")},
		{name: "issuers after cert-manager", from: custom("ClusterIssuer", ""), to: release("cert-manager")},
		{name: "certificates after their issuer", from: custom("Certificate", ""), to: issuers},
		{name: "trust-manager after cert-manager", from: release("trust-manager"), to: release("cert-manager")},
		{name: "trust bundle after trust-manager", from: custom("Bundle", ""), to: release("trust-manager")},
		{name: "NGINX after its certificate", from: release("nginx-ingress"), to: custom("Certificate", "")},
		{name: "NGINX after the address pool", from: release("nginx-ingress"), to: custom("L2Advertisement", "")},
		{name: "Ingresses after NGINX", from: all(isIngress), to: release("nginx-ingress"), applies: hasIngress},
		{name: "Argo CD after the kinds of Prometheus", from: release("argo-cd"), to: release("prometheus-operator-crds"), applies: gitops},
		{name: "projects after Argo CD", from: custom("AppProject", ""), to: release("argo-cd"), applies: gitops},
		{name: "Applications after Argo CD", from: all(isApp), to: release("argo-cd"), applies: both(gitops, ollama)},
		{name: "Applications after their project", from: all(isApp), to: custom("AppProject", "lab"), applies: both(gitops, ollama)},
		{name: "Ollama after its claim", from: workload("ollama"), to: custom("PersistentVolumeClaim", "models"), applies: ollama},
		{name: "models after Ollama", from: custom("Job", ""), to: workload("ollama"), applies: models},
		{name: "Open WebUI after Ollama", from: workload("open-webui"), to: workload("ollama"), applies: chatting},
		{name: "Open WebUI after its secret", from: workload("open-webui"), to: custom("Secret", "open-webui"), applies: chat},
	}
}

func both(one, other func(*graph) bool) func(*graph) bool {
	return func(g *graph) bool { return one(g) && other(g) }
}

// rule turns an edge into a rule: its subjects are the pairs, its mutation cuts the first node off.
func (e edge) rule() rule {
	return rule{
		name: e.name,
		check: func(g *graph) (int, []string) {
			var pairs int
			var violations []string
			for _, from := range e.from(g) {
				for _, to := range e.to(g) {
					if from == to {
						continue
					}
					pairs++
					if !g.reaches(from, to) {
						violations = append(violations, fmt.Sprintf("%s does not wait for %s", from.name, to.name))
					}
				}
			}
			return pairs, violations
		},
		mutate:  func(g *graph) { cut(e.from(g)[0]) },
		applies: e.applies,
	}
}

func graphRules() []rule {
	var found []rule
	for _, e := range edges() {
		found = append(found, e.rule())
	}
	return append(found,
		rule{
			name: "every object waits for its own namespace",
			check: func(g *graph) (int, []string) {
				spaces := map[string]*node{}
				for _, n := range g.where(ofType("kubernetes:core/v1:Namespace")) { // the adopted ones are there anyway
					spaces[str(n.inputs, "metadata", "name")] = n
				}
				var subjects int
				var violations []string
				for _, n := range g.where(isObject) {
					space, ok := spaces[namespaceOf(n)]
					if !ok {
						continue
					}
					subjects++
					if !g.reaches(n, space) {
						violations = append(violations, n.name+" does not wait for namespace "+namespaceOf(n))
					}
				}
				return subjects, violations
			},
			mutate: func(g *graph) { cut(g.where(isRelease)[0]) },
		},
		rule{
			name: "every workload waits for its namespace's default deny",
			check: func(g *graph) (int, []string) {
				var subjects int
				var violations []string
				for _, n := range g.where(func(n *node) bool { return isRelease(n) || isApp(n) || str(n.inputs, "kind") == "Job" }) {
					into := namespaceOf(n)
					if isApp(n) {
						into = str(n.inputs, "spec", "destination", "namespace")
					}
					for _, policy := range g.where(func(p *node) bool {
						return str(p.inputs, "metadata", "name") == "default-deny" && namespaceOf(p) == into
					}) {
						subjects++
						if !g.reaches(n, policy) {
							violations = append(violations, n.name+" does not wait for "+policy.name)
						}
					}
				}
				return subjects, violations
			},
			mutate: func(g *graph) { cut(g.where(isRelease)[0]) },
		},
		rule{
			name: "servers are installed one after another",
			check: func(g *graph) (int, []string) {
				servers := onHosts("server", step("install"))(g)
				var violations []string
				for i := 1; i < len(servers); i++ {
					if !g.reaches(servers[i], servers[i-1]) && !g.reaches(servers[i-1], servers[i]) {
						violations = append(violations, servers[i].name+" and "+servers[i-1].name+" run side by side")
					}
				}
				return len(servers) - 1, violations
			},
			mutate: func(g *graph) {
				for _, n := range onHosts("server", step("install"))(g) {
					cut(n)
				}
			},
			applies: func(g *graph) bool { return len(g.cfg.Servers()) > 1 },
		},
		rule{
			name: "agents are installed side by side",
			check: func(g *graph) (int, []string) {
				found := onHosts("agent", step("install"))(g)
				var violations []string
				for _, one := range found {
					for _, other := range found {
						if one != other && g.reaches(one, other) {
							violations = append(violations, one.name+" waits for "+other.name)
						}
					}
				}
				return len(found), violations
			},
			mutate: func(g *graph) {
				found := onHosts("agent", step("install"))(g)
				found[1].needs = append(found[1].needs, found[0].urn)
			},
			applies: func(g *graph) bool { return len(g.cfg.Agents()) > 1 },
		},
		rule{
			name: "every Kubernetes object goes down with the cluster",
			check: each(isObject, func(g *graph, n *node) string {
				first := onHosts("server", step("install"))(g)[0]
				if n.deletedWith != first.urn {
					return "deleted with " + n.deletedWith
				}
				return ""
			}),
			mutate: func(g *graph) { g.where(isObject)[0].deletedWith = "" },
		},
		rule{
			name: "the provider keeps its identity, and changes Secrets and ConfigMaps in place",
			check: each(ofType("pulumi:providers:kubernetes"), func(_ *graph, n *node) string {
				for _, key := range []string{"enableSecretMutable", "enableConfigMapMutable"} {
					if fmt.Sprint(get(n.inputs, key).Mappable()) != "true" {
						return key + " is off"
					}
				}
				if str(n.inputs, "clusterIdentifier") == "" {
					return "no clusterIdentifier"
				}
				return ""
			}),
			mutate: set(ofType("pulumi:providers:kubernetes"), "", "clusterIdentifier"),
		},
		rule{
			name: "what holds data is protected, on a protected stack",
			check: each(holdsData, func(_ *graph, n *node) string {
				if !n.protect {
					return "not protected"
				}
				return ""
			}),
			mutate:  func(g *graph) { g.where(holdsData)[0].protect = false },
			applies: func(g *graph) bool { return g.cfg.Protected() },
		},
		rule{
			// Pulumi deletes from the end of the graph, and what is not protected goes before it comes to what is.
			name: "one protected resource waits for all others, on a protected stack",
			check: func(g *graph) (int, []string) {
				last := g.where(isLast)
				if len(last) != 1 || !last[0].protect {
					return len(last), []string{"the last resource is missing, or not protected"}
				}
				waits := g.reachable(last[0])
				var subjects int
				var violations []string
				for _, n := range g.where(func(n *node) bool { return n.custom && !isLast(n) }) {
					subjects++
					if !waits[n.urn] {
						violations = append(violations, n.name+" can be deleted before the refusal")
					}
				}
				return subjects, violations
			},
			mutate:  func(g *graph) { cut(g.where(isLast)[0]) },
			applies: func(g *graph) bool { return g.cfg.Protected() },
		},
		rule{
			name: "nothing is protected on a stack that is not",
			check: each(func(*node) bool { return true }, func(_ *graph, n *node) string {
				if n.protect {
					return "protected"
				}
				return ""
			}),
			mutate:  func(g *graph) { g.nodes[0].protect = true },
			applies: func(g *graph) bool { return !g.cfg.Protected() },
		},
		rule{
			name: "every component registers its outputs",
			check: func(g *graph) (int, []string) {
				components := len(g.where(func(n *node) bool { return !n.custom }))
				if g.outputs < components {
					return components, []string{fmt.Sprintf("%d components, but outputs were registered %d times", components, g.outputs)}
				}
				return components, nil
			},
			mutate: func(g *graph) { g.outputs = len(g.where(func(n *node) bool { return !n.custom })) - 1 },
		},
		rule{
			name: "every component's type names its package",
			check: each(func(n *node) bool { return !n.custom }, func(_ *graph, n *node) string {
				if parts := strings.Split(n.typ, ":"); len(parts) != 3 || parts[0] != "homelab-ai" {
					return "type " + n.typ
				}
				return ""
			}),
			mutate: func(g *graph) { g.where(func(n *node) bool { return !n.custom })[0].typ = "lab:Component" },
		},
	)
}

// isLast finds the resource whose deletion comes first.
func isLast(n *node) bool { return n.typ == "pulumi:index:Stash" && n.name == "protection" }

// holdsData are claims, the installation of the first server, and the lab's CA.
func holdsData(n *node) bool {
	return n.typ == "kubernetes:core/v1:PersistentVolumeClaim" ||
		isCommand(n) && (strings.Contains(str(n.inputs, "create"), " homelab-ai ca ") ||
			strings.Contains(str(n.inputs, "create"), " homelab-ai install "))
}
