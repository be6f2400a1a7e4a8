package tenant

import (
	"maps"
)

// Port is a port of a pod (not of a Service) or, outside of the cluster, of a host.
type Port struct {
	// Protocol is TCP or UDP.
	Protocol string
	// Number in 1..65535.
	Number int
}

// TCP is a TCP port.
func TCP(number int) Port { return Port{Protocol: "TCP", Number: number} }

// UDP is a UDP port.
func UDP(number int) Port { return Port{Protocol: "UDP", Number: number} }

// Flow allows connections to or from pods of one tenant. Each flow becomes one NetworkPolicy; a flow without ports
// allows all of them.
type Flow struct {
	name    string
	ingress []peer
	egress  []peer
	ports   []Port
	pods    map[string]string
	// podsWith selects pods that carry this label, whatever its value.
	podsWith string
	// facts adds the peers that depend on the cluster's surroundings.
	facts func(*Surroundings) (ingress, egress []peer)
}

// peer is one end of a flow: pods, or an address range.
type peer struct {
	// anyNamespace is every namespace of the cluster.
	anyNamespace bool
	// namespace by name; empty is the tenant's own, unless cidr is set.
	namespace string
	// pods by label; empty is all of them.
	pods map[string]string
	// cidr is an address range, without the ranges in except.
	cidr   string
	except []string
}

// For limits a flow to pods of the tenant with these labels.
func (f Flow) For(podLabels map[string]string) Flow {
	f.pods = maps.Clone(podLabels)
	return f
}

// From allows pods of another namespace to connect to the tenant. Without pod labels all of that namespace's pods.
func From(namespace string, pods map[string]string, ports ...Port) Flow {
	return Flow{name: "from-" + namespace, ingress: []peer{{namespace: namespace, pods: pods}}, ports: ports}
}

// FromEveryNamespace allows all pods of the cluster to connect to the tenant.
func FromEveryNamespace(ports ...Port) Flow {
	return Flow{name: "from-every-namespace", ingress: []peer{{anyNamespace: true}}, ports: ports}
}

// To allows the tenant to connect to pods of another namespace. Without pod labels all of that namespace's pods.
func To(namespace string, pods map[string]string, ports ...Port) Flow {
	return Flow{name: "to-" + namespace, egress: []peer{{namespace: namespace, pods: pods}}, ports: ports}
}

// Internal allows pods of the tenant to connect to each other on every port.
func Internal() Flow {
	return Flow{name: "internal", ingress: []peer{{}}, egress: []peer{{}}}
}

// ToAPIServer allows the tenant to use the Kubernetes API.
func ToAPIServer() Flow {
	return Flow{name: "to-api-server", facts: func(s *Surroundings) (_, egress []peer) {
		return nil, toRanges(s.apiServers())
	}}
}

// FromAPIServer allows the API server to connect to the tenant, for webhooks and aggregated APIs.
func FromAPIServer(ports ...Port) Flow {
	f := FromNodes(ports...)
	f.name = "from-api-server"
	return f
}

// FromNodes allows the nodes themselves to connect to the tenant: the API server, kubelets and pods that use the
// node's network.
func FromNodes(ports ...Port) Flow {
	return Flow{name: "from-nodes", ports: ports, facts: func(s *Surroundings) (ingress, _ []peer) {
		return toRanges(s.nodeSources()), nil
	}}
}

// ToNodes allows the tenant to connect to the nodes themselves: kubelets and pods that use the node's network.
func ToNodes(ports ...Port) Flow {
	return Flow{name: "to-nodes", ports: ports, facts: func(s *Surroundings) (_, egress []peer) {
		return nil, toRanges(hostRanges(s.NodeAddresses))
	}}
}

// FromIngress allows the ingress controller to connect to the tenant.
func FromIngress(ports ...Port) Flow {
	return Flow{name: "from-ingress", ports: ports, facts: func(s *Surroundings) (ingress, _ []peer) {
		return []peer{{namespace: s.IngressNamespace}}, nil
	}}
}

// ToIngress allows the tenant to use the lab's own URLs over HTTP and HTTPS.
func ToIngress() Flow {
	return Flow{name: "to-ingress", ports: []Port{TCP(80), TCP(443)}, facts: func(s *Surroundings) (_, egress []peer) {
		return nil, []peer{{namespace: s.IngressNamespace}}
	}}
}

// FromLAN allows these ranges (CIDR) to connect to the tenant. A LoadBalancer Service with the traffic policy Cluster
// hides its clients behind the node that took the connection, so the nodes are allowed as well.
func FromLAN(cidrs []string, ports ...Port) Flow {
	return Flow{name: "from-lan", ports: ports, ingress: toRanges(cidrs), facts: func(s *Surroundings) (ingress, _ []peer) {
		return toRanges(s.nodeSources()), nil
	}}
}

// External allows the tenant to connect to the internet: every address that is neither private nor the lab's own.
func External(ports ...Port) Flow {
	return Flow{name: "external", ports: ports, facts: func(s *Surroundings) (_, egress []peer) {
		return nil, []peer{{cidr: "0.0.0.0/0", except: s.private()}}
	}}
}

// ExternalTo allows the tenant to connect to these ranges (CIDR) outside of the cluster.
func ExternalTo(cidrs []string, ports ...Port) Flow {
	return Flow{name: "external-to", ports: ports, egress: toRanges(cidrs)}
}

func toRanges(cidrs []string) []peer {
	peers := make([]peer, 0, len(cidrs))
	for _, cidr := range cidrs {
		peers = append(peers, peer{cidr: cidr})
	}
	return peers
}
