package config

import "net/netip"

// Servers returns the nodes that carry the control plane, in order of their joining.
func (c *Config) Servers() []Node { return c.nodesOf("server") }

// Agents returns the nodes that carry workloads only.
func (c *Config) Agents() []Node { return c.nodesOf("agent") }

func (c *Config) nodesOf(role string) []Node {
	var nodes []Node
	for _, node := range c.Cluster.Nodes {
		if node.Role == role {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// GitOpsEnabled tells whether workload charts are Argo CD Applications.
func (c *Config) GitOpsEnabled() bool { return c.GitOps.On() }

// Protected tells whether data-bearing resources refuse their deletion.
func (c *Config) Protected() bool { return on(c.Protect) }

// HasGPU tells whether a node has a GPU of that kind (nvidia or amd), or of any kind when kind is empty.
func (c *Config) HasGPU(kind string) bool {
	for _, node := range c.Cluster.Nodes {
		if node.GPU == kind || (kind == "" && node.GPU != "" && node.GPU != "none") {
			return true
		}
	}
	return false
}

// ClassFor returns the StorageClass of a service's volumes; services are named as under the key services.
func (c *Config) ClassFor(service string) string {
	if class := c.Storage.Classes[service]; class != "" {
		return class
	}
	return c.Storage.Class
}

// ClusterDNS returns the cluster address of CoreDNS: the tenth of the Services' range, as K3s has it.
func (c *Config) ClusterDNS() string {
	services, err := netip.ParsePrefix(c.Cluster.ServiceCIDR)
	if err != nil {
		return ""
	}
	address := services.Masked().Addr()
	for range 10 {
		address = address.Next()
	}
	return address.String()
}

// APIEndpoint returns the DNS name or address under which the API server is reached, without its port.
func (c *Config) APIEndpoint() string { return c.Cluster.Endpoint }

// Purged tells whether a service that is off is to lose its data as well.
func (c *Config) Purged(service string) bool {
	for _, name := range c.Purge {
		if name == service {
			return true
		}
	}
	return false
}

// Reference is the image as a pod names it: with the digest where the catalogue has one.
func (i Image) Reference() string {
	name := i.Repository + ":" + i.Tag
	if i.Digest != "" {
		name += "@" + i.Digest
	}
	return name
}

func on(enabled *bool) bool { return enabled != nil && *enabled }

// On tells whether workload charts are Argo CD Applications.
func (g GitOps) On() bool { return on(g.Enabled) }

// On tells whether GitLab runs.
func (g GitLab) On() bool { return on(g.Enabled) }

// On tells whether CI runners run.
func (r Runners) On() bool { return on(r.Enabled) }

// On tells whether JupyterHub runs.
func (j Jupyter) On() bool { return on(j.Enabled) }

// On tells whether Ollama runs.
func (o Ollama) On() bool { return on(o.Enabled) }

// On tells whether Open WebUI runs.
func (o OpenWebUI) On() bool { return on(o.Enabled) }

// On tells whether Prometheus and Grafana run.
func (m Monitoring) On() bool { return on(m.Enabled) }

// On tells whether backups are made.
func (b Backup) On() bool { return on(b.Enabled) }
