package config

import (
	"net/netip"
	"strconv"
)

// Every default of the lab is in this file. A default is what fits the smallest lab: one node of 4 cores and 16 GiB with
// every service on. Larger labs say more in their stack file.

// fill sets a field that the stack left empty.
func fill[T comparable](field *T, value T) {
	var empty T
	if *field == empty {
		*field = value
	}
}

// choose is fill for a field whose zero value means something.
func choose[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func fillList(field *[]string, values ...string) {
	if *field == nil {
		*field = values
	}
}

// localPath is the StorageClass that K3s brings.
const localPath = "local-path"

// applyDefaults fills whatever the stack left open. It runs on configs that are not checked yet.
func (c *Config) applyDefaults() {
	choose(&c.Protect, false) // REQUIRED; a value keeps the check of the rest going
	c.defaultCluster()
	c.defaultNetwork()
	c.defaultTLS()
	fill(&c.Storage.Class, localPath)
	if c.Storage.Class == localPath {
		fill(&c.Storage.RetainClass, "lab-retain")
	}
	fill(&c.Storage.Path, c.Cluster.DataDir+"/storage")
	choose(&c.GitOps.Enabled, true)
	fill(&c.GitOps.Host, "argocd."+c.Domain)
	fill(&c.GitOps.SyncTimeout, "15m")
	c.defaultServices()
	c.defaultBackup()
	choose(&c.Security.Scanning, true)
	fill(&c.Security.AuditRetention, 30)
	if c.Values == nil {
		c.Values = map[string]map[string]any{}
	}
}

func (c *Config) defaultCluster() {
	cluster := &c.Cluster
	ssh := &cluster.SSH
	fill(&ssh.User, "root")
	fill(&ssh.Port, 22)
	choose(&ssh.Agent, !ssh.PrivateKey.IsSet() && ssh.PrivateKeyFile == "")
	if jump := ssh.JumpHost; jump != nil {
		fill(&jump.User, ssh.User)
		fill(&jump.Port, 22)
	}

	fill(&cluster.Minimum.Cores, 4)
	fill(&cluster.Minimum.Memory, "15Gi")
	fill(&cluster.Minimum.Disk, "40Gi")
	fill(&cluster.Minimum.ClockSkew, "5s")
	for i := range cluster.Nodes {
		node := &cluster.Nodes[i]
		fill(&node.User, ssh.User)
		fill(&node.Port, ssh.Port)
		fill(&node.GPU, "none")
		if _, err := netip.ParseAddr(node.Host); err == nil {
			fill(&node.Address, node.Host)
		}
		fill(&node.Capacity.CPU, strconv.Itoa(cluster.Minimum.Cores))
		fill(&node.Capacity.Memory, cluster.Minimum.Memory)
		fill(&node.Capacity.Storage, cluster.Minimum.Disk)
		if node.GPU == "none" {
			choose(&node.Capacity.GPU, 0)
		} else {
			choose(&node.Capacity.GPU, 1)
		}
	}
	servers := c.Servers()
	if len(servers) > 0 && len(servers) < 3 {
		fill(&cluster.Endpoint, servers[0].Host)
	}
	fill(&cluster.PodCIDR, "10.0.0.0/16")
	fill(&cluster.ServiceCIDR, "10.1.0.0/16")
	fill(&cluster.FlannelBackend, "wireguard-native")
	fill(&cluster.DataDir, "/var/lib/rancher/k3s")
	if len(servers) < 3 {
		fill(&cluster.CoreReplicas, 1)
	} else {
		fill(&cluster.CoreReplicas, 2)
	}
	fill(&cluster.Generation, 1)
	fill(&cluster.KubeconfigGeneration, 1)
	fill(&cluster.BinaryMirror, "https://github.com/k3s-io/k3s/releases/download")
	fill(&cluster.NVIDIA.Sharing, "time-slicing")
	fill(&cluster.NVIDIA.Replicas, 4)
	fill(&cluster.Snapshots.Schedule, "0 */12 * * *")
	fill(&cluster.Snapshots.Retention, 10)
}

func (c *Config) defaultNetwork() {
	network := &c.Network
	fill(&network.LoadBalancerRange, "192.168.1.200-192.168.1.210")
	if addresses, err := parseRange(network.LoadBalancerRange); err == nil {
		fill(&network.IngressAddress, addresses.first.String())
	}
	fill(&network.GitLabSSHAddress, network.IngressAddress)
	fillList(&network.AllowedSources, network.LANCIDR, c.Cluster.PodCIDR)
	fill(&network.BodySize, "0")
}

func (c *Config) defaultTLS() {
	fill(&c.TLS.Issuer, "internal")
	if acme := c.TLS.LetsEncrypt; acme != nil {
		fill(&acme.Region, "us-east-1")
		fill(&acme.TSIGAlgorithm, "HMACSHA256")
		fillList(&acme.RecursiveNameservers, "1.1.1.1:53", "9.9.9.9:53")
	}
}

func (c *Config) defaultServices() {
	gitlab := &c.Services.GitLab
	choose(&gitlab.Enabled, true)
	fill(&gitlab.Host, "gitlab."+c.Domain)
	fill(&gitlab.RegistryHost, "registry."+c.Domain)
	gitlab.Resources.fill("1", "4Gi")
	fill(&gitlab.Size, "60Gi")
	choose(&gitlab.Runners.Enabled, *gitlab.Enabled)
	fill(&gitlab.Runners.Concurrent, 2)
	choose(&gitlab.Runners.Privileged, true)
	fill(&gitlab.Runners.JobCPU, "2")
	fill(&gitlab.Runners.JobMemory, "4Gi")

	jupyter := &c.Services.Jupyter
	choose(&jupyter.Enabled, true)
	fill(&jupyter.Host, "jupyter."+c.Domain)
	jupyter.Resources.fill("100m", "512Mi")
	fill(&jupyter.UserCPU, "1")
	fill(&jupyter.UserMemory, "2Gi")
	fill(&jupyter.UserStorage, "20Gi")
	fill(&jupyter.SharedMemory, "1Gi")
	fill(&jupyter.IdleTimeout, "2h")
	fillList(&jupyter.Admins, "lab")

	ollama := &c.Services.Ollama
	choose(&ollama.Enabled, true)
	if c.HasGPU("") {
		choose(&ollama.GPU, 1)
	} else {
		choose(&ollama.GPU, 0)
	}
	ollama.Resources.fill("500m", "3Gi")
	fill(&ollama.Size, "50Gi")
	fill(&ollama.KeepAlive, "5m")
	fill(&ollama.Parallel, 1)
	fill(&ollama.MaxLoaded, 1)
	fill(&ollama.PullTimeout, "2h")
	fill(&ollama.API.Host, "ollama."+c.Domain)

	webUI := &c.Services.OpenWebUI
	choose(&webUI.Enabled, *ollama.Enabled)
	fill(&webUI.Host, "chat."+c.Domain)
	webUI.Resources.fill("100m", "1Gi")
	fill(&webUI.Size, "10Gi")
	fill(&webUI.AdminEmail, "admin@"+c.Domain)

	monitoring := &c.Services.Monitoring
	choose(&monitoring.Enabled, true)
	fill(&monitoring.Host, "grafana."+c.Domain)
	fill(&monitoring.Retention, "15d")
	fill(&monitoring.Size, "20Gi")
	monitoring.Resources.fill("200m", "1Gi")
	fill(&monitoring.Logs.Retention, "7d")
	fill(&monitoring.Logs.Size, "20Gi")

	if *gitlab.Enabled {
		fill(&c.SignIn.Provider, "gitlab")
	} else {
		fill(&c.SignIn.Provider, "local")
	}
	fill(&c.SignIn.AdminGroup, "lab-admins")
	fill(&c.SignIn.UserGroup, "lab-users")
}

// fill sets what one container asks for; there is no default limit of CPU, because throttling helps nobody.
func (r *Resources) fill(cpu, memory string) {
	fill(&r.CPU, cpu)
	fill(&r.Memory, memory)
}

func (c *Config) defaultBackup() {
	choose(&c.Backup.Enabled, c.Backup.S3 != nil)
	fill(&c.Backup.Schedule, "0 3 * * *")
	fill(&c.Backup.Retention, "720h")
	if c.Backup.S3 != nil {
		fill(&c.Backup.S3.Region, "us-east-1")
	}
}
