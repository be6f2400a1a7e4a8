package config

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// request is what one pod asks for.
type request struct {
	path   string
	memory string // key below path
	cpu    string
	on     bool
	always bool // runs all the time, other than a CI job or a user's server
	values Resources
}

func (c *Config) requests() []request {
	s := &c.Services
	return []request{
		{"services.gitlab.resources", "memory", "cpu", s.GitLab.On(), true, s.GitLab.Resources},
		{"services.jupyter.resources", "memory", "cpu", s.Jupyter.On(), true, s.Jupyter.Resources},
		{"services.ollama.resources", "memory", "cpu", s.Ollama.On(), true, s.Ollama.Resources},
		{"services.openWebUI.resources", "memory", "cpu", s.OpenWebUI.On(), true, s.OpenWebUI.Resources},
		{"services.monitoring.resources", "memory", "cpu", s.Monitoring.On(), true, s.Monitoring.Resources},
		{"services.jupyter", "userMemory", "userCPU", s.Jupyter.On(), false, Resources{CPU: s.Jupyter.UserCPU, Memory: s.Jupyter.UserMemory}},
		{"services.gitlab.runners", "jobMemory", "jobCPU", s.GitLab.Runners.On(), false, Resources{CPU: s.GitLab.Runners.JobCPU, Memory: s.GitLab.Runners.JobMemory}},
	}
}

// validateResources checks that what is asked for fits the nodes. It looks at the services' main containers; what their
// helpers and the core need on top is in the rehearsal's budget table.
func (c *checker) validateResources() {
	largestCPU, largestMemory, allCPU, allMemory := c.offered()
	cpu, memory := resource.Quantity{}, resource.Quantity{}
	for _, r := range c.cfg.requests() {
		wantedCPU := c.quantity(r.path+"."+r.cpu, r.values.CPU)
		wantedMemory := c.quantity(r.path+"."+r.memory, r.values.Memory)
		if r.values.CPULimit != "" {
			limit := c.quantity(r.path+".cpuLimit", r.values.CPULimit)
			if limit != nil && wantedCPU != nil && limit.Cmp(*wantedCPU) < 0 {
				c.add(LimitBelowRequest, r.path+".cpuLimit", r.values.CPULimit, "is below the request (%s); raise it or remove it", r.values.CPU)
			}
		}
		if wantedCPU == nil || wantedMemory == nil || !r.on || !c.fine("cluster.nodes") || !c.nodesFine() {
			continue
		}
		if wantedCPU.Cmp(largestCPU) > 0 {
			c.add(RequestExceedsNode, r.path+"."+r.cpu, r.values.CPU, "no node has that many cores (at most %s); lower it, "+
				"or say what the nodes have under cluster.nodes[].capacity", &largestCPU)
		}
		if wantedMemory.Cmp(largestMemory) > 0 {
			c.add(RequestExceedsNode, r.path+"."+r.memory, r.values.Memory, "no node has that much memory (at most %s); lower it, "+
				"or say what the nodes have under cluster.nodes[].capacity", &largestMemory)
		}
		if r.always {
			cpu.Add(*wantedCPU)
			memory.Add(*wantedMemory)
		}
	}
	if !c.fine("cluster.nodes", "services") || !c.nodesFine() || len(c.cfg.Cluster.Nodes) == 0 || c.belowServices() {
		return
	}
	if cpu.Cmp(allCPU) > 0 || memory.Cmp(allMemory) > 0 {
		c.add(RequestsExceedCluster, "services", fmt.Sprintf("%s cores, %s", &cpu, &memory),
			"the services together ask for more than the nodes offer (%s cores, %s); lower some, or switch some off", &allCPU, &allMemory)
	}
	c.validateVolumes()
}

// offered returns the largest node and the sum of all nodes.
func (c *checker) offered() (largestCPU, largestMemory, allCPU, allMemory resource.Quantity) {
	for _, node := range c.cfg.Cluster.Nodes {
		if cpu, err := resource.ParseQuantity(node.Capacity.CPU); err == nil {
			allCPU.Add(cpu)
			if cpu.Cmp(largestCPU) > 0 {
				largestCPU = cpu
			}
		}
		if memory, err := resource.ParseQuantity(node.Capacity.Memory); err == nil {
			allMemory.Add(memory)
			if memory.Cmp(largestMemory) > 0 {
				largestMemory = memory
			}
		}
	}
	return largestCPU, largestMemory, allCPU, allMemory
}

// nodesFine tells whether the capacity of every node is known.
func (c *checker) nodesFine() bool {
	return !c.anyBelow("cluster.nodes", ".capacity") && !c.anyBelow("cluster.minimum", "")
}

// belowServices tells whether a service has a problem of its own, which makes sums meaningless.
func (c *checker) belowServices() bool { return c.anyBelow("services", "") }

func (c *checker) anyBelow(above, containing string) bool {
	for _, problem := range c.problems {
		if within(problem.Path, above) && (containing == "" || strings.Contains(problem.Path, containing)) {
			return true
		}
	}
	return false
}

// validateVolumes compares the declared volumes with what the nodes offer, where the stack says that for every node.
func (c *checker) validateVolumes() {
	if !c.storageDeclared {
		return
	}
	s := &c.cfg.Services
	offered, wanted := resource.Quantity{}, resource.Quantity{}
	for _, node := range c.cfg.Cluster.Nodes {
		if storage, err := resource.ParseQuantity(node.Capacity.Storage); err == nil {
			offered.Add(storage)
		}
	}
	for _, volume := range []struct {
		on   bool
		size string
	}{
		{s.GitLab.On(), s.GitLab.Size},
		{s.Ollama.On(), s.Ollama.Size},
		{s.OpenWebUI.On(), s.OpenWebUI.Size},
		{s.Monitoring.On(), s.Monitoring.Size},
		{s.Monitoring.On() && s.Monitoring.Logs.Enabled, s.Monitoring.Logs.Size},
	} {
		if size, err := resource.ParseQuantity(volume.size); err == nil && volume.on {
			wanted.Add(size)
		}
	}
	if wanted.Cmp(offered) > 0 {
		c.add(StorageExceedsCluster, "services", wanted.String(),
			"the volumes together are larger than what the nodes offer (%s); lower some sizes, or correct cluster.nodes[].capacity.storage", &offered)
	}
}

// noteStorage remembers, before defaults, whether every node says what it offers to volumes.
func (c *checker) noteStorage() {
	c.storageDeclared = len(c.cfg.Cluster.Nodes) > 0
	for _, node := range c.cfg.Cluster.Nodes {
		c.storageDeclared = c.storageDeclared && node.Capacity.Storage != ""
	}
}
