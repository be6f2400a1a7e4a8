// Package llm serves language models to the lab: Ollama runs them, on the CPU or a GPU, and Open WebUI is the chat in
// the browser.
//
// Switched off, a service loses its workload and its way in; its namespace, volume and secrets stay, so that it finds
// its data when it is switched on again. Only services that the stack lists under purge lose those as well.
package llm

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/gpu"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// Args are what both services need.
type Args struct {
	// Config of the stack. REQUIRED.
	Config *config.Config
	// Delivery declares charts. REQUIRED.
	Delivery *chart.Delivery
	// Surroundings render the flows. REQUIRED.
	Surroundings *tenant.Surroundings
	// Ingress serves the web interface. REQUIRED by Open WebUI.
	Ingress *network.IngressController
	// GPU lets Ollama's pod ask for a card. REQUIRED where Ollama has one.
	GPU *gpu.GPU
	// Needs are further resources that a workload chart cannot do without, such as Argo CD's project. Default: none.
	Needs []pulumi.Resource
}

// keeps tells whether a service's namespace, claims and secrets are declared: always, unless it is off and purged.
func (args *Args) keeps(service string, on bool) bool {
	return on || !args.Config.Purged(service)
}

// env is one environment variable of a container.
func env(name, value string) chart.Values {
	return chart.Values{"name": name, "value": value}
}

// envSecret is one environment variable that comes from a Secret.
func envSecret(name, secret, key string) chart.Values {
	return chart.Values{"name": name, "valueFrom": chart.Values{
		"secretKeyRef": chart.Values{"name": secret, "key": key},
	}}
}
