package chart

import "github.com/homelab-ai/homelab-ai/config"

// Resources are a container's requests of CPU and memory, and its limit of memory (Kubernetes quantities). CPU is not
// limited: bursts are harmless and throttling is not.
func Resources(cpu, memory, memoryLimit string) Values {
	return Values{
		"requests": Values{"cpu": cpu, "memory": memory},
		"limits":   Values{"memory": memoryLimit},
	}
}

// ResourcesOf are a service's own settings as a container's requests and limits. Memory is reserved as a whole.
func ResourcesOf(settings config.Resources) Values {
	resources := Resources(settings.CPU, settings.Memory, settings.Memory)
	if settings.CPULimit != "" {
		resources["limits"].(Values)["cpu"] = settings.CPULimit
	}
	return resources
}
