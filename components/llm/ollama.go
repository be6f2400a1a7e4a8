package llm

import (
	"strconv"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/gpu"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// OllamaNamespace holds Ollama; its Service has the same name.
	OllamaNamespace = "ollama"
	// OllamaPort of the Service and of the pods (value ollama.port).
	OllamaPort = 11434
	// ollamaClaim holds the models.
	ollamaClaim = "models"
)

// OllamaURL is where pods reach Ollama. A tenant needs a flow to OllamaNamespace for it.
const OllamaURL = "http://ollama.ollama.svc:11434"

// ollamaPods are the labels of Ollama's pods, and pullerPods those of the Job that pulls models.
var (
	ollamaPods = map[string]string{"app.kubernetes.io/name": "ollama"}
	pullerPods = map[string]string{"app.kubernetes.io/name": "ollama-models"}
)

// Ollama serves the models.
type Ollama struct {
	pulumi.ResourceState

	// Deployed is what a client needs to be served. Nil while Ollama is off.
	Deployed pulumi.Resource
}

// NewOllama declares Ollama's namespace and model volume and, while it is on, its workload and the Job that pulls the
// declared models.
func NewOllama(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Ollama, error) {
	ollama := &Ollama{}
	if err := ctx.RegisterComponentResource("homelab-ai:llm:Ollama", name, ollama, opts...); err != nil {
		return nil, err
	}
	if !args.keeps("ollama", args.Config.Services.Ollama.On()) {
		return ollama, ctx.RegisterResourceOutputs(ollama, pulumi.Map{})
	}
	cfg, settings, child := args.Config, args.Config.Services.Ollama, pulumi.Parent(ollama)

	space, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    OllamaNamespace,
		Level:        tenant.Baseline, // the image runs as root
		Quota:        ollamaQuota(cfg),
		Flows:        ollamaFlows(),
		Protect:      cfg.Protected(),
	}, child)
	if err != nil {
		return nil, err
	}
	claim, err := space.NewClaim(ctx, ollamaClaim, &tenant.ClaimArgs{
		Size: settings.Size, Class: cfg.ClassFor("ollama"), Protect: cfg.Protected(),
	})
	if err != nil {
		return nil, err
	}
	if !settings.On() {
		return ollama, ctx.RegisterResourceOutputs(ollama, pulumi.Map{})
	}

	needs := append([]pulumi.Resource{claim}, args.Needs...)
	if *settings.GPU > 0 && args.GPU != nil && args.GPU.Deployed != nil {
		needs = append(needs, args.GPU.Deployed)
	}
	server, err := chart.New(ctx, name+"-chart", &chart.Args{
		Delivery:      args.Delivery,
		Chart:         "ollama",
		Namespace:     space.Name,
		NamespaceName: OllamaNamespace,
		Values:        ollamaValues(cfg),
		Workload:      true,
		Timeout:       15 * time.Minute,
	}, child, pulumi.DependsOn(needs))
	if err != nil {
		return nil, err
	}
	ollama.Deployed = server.Deployed
	if len(settings.Models) > 0 {
		if _, err := newModels(ctx, name+"-models", cfg, space, child,
			pulumi.DependsOn([]pulumi.Resource{server.Deployed})); err != nil {
			return nil, err
		}
	}
	return ollama, ctx.RegisterResourceOutputs(ollama, pulumi.Map{})
}

// ollamaFlows: clients within the lab come in, and the server itself fetches models from the internet.
func ollamaFlows() []tenant.Flow {
	const https = 443
	return []tenant.Flow{
		tenant.From(OpenWebUINamespace, openWebUIPods, tenant.TCP(OllamaPort)).For(ollamaPods),
		tenant.From(OllamaNamespace, pullerPods, tenant.TCP(OllamaPort)).For(ollamaPods),
		tenant.To(OllamaNamespace, ollamaPods, tenant.TCP(OllamaPort)).For(pullerPods),
		tenant.External(tenant.TCP(https)).For(ollamaPods),
	}
}

// ollamaQuota fits one server during its replacement, and the Job.
func ollamaQuota(cfg *config.Config) tenant.Quota {
	settings := cfg.Services.Ollama
	return tenant.Quota{
		CPU:     tenant.Sum(settings.Resources.CPU, "1"),
		Memory:  tenant.Sum(settings.Resources.Memory, "1Gi"),
		Pods:    6,
		Claims:  1,
		Storage: settings.Size,
		GPU:     *settings.GPU,
	}
}

// ollamaValues are the values of the chart ollama.
func ollamaValues(cfg *config.Config) chart.Values {
	settings := cfg.Services.Ollama
	values := chart.Values{
		"fullnameOverride": OllamaNamespace,
		"replicaCount":     1,
		"image":            ollamaImage(cfg),
		"ollama": chart.Values{
			"port": OllamaPort,
			"gpu":  chart.Values{"enabled": false},
			// A model that is pulled in the pod's postStart hook keeps the pod from being ready, and a failed pull kills
			// it; the Job does it beside.
			"models": chart.Values{"pull": []any{}, "run": []any{}},
		},
		"extraEnv": []any{
			env("OLLAMA_KEEP_ALIVE", settings.KeepAlive),
			env("OLLAMA_NUM_PARALLEL", strconv.Itoa(settings.Parallel)),
			env("OLLAMA_MAX_LOADED_MODELS", strconv.Itoa(settings.MaxLoaded)),
		},
		"persistentVolume": chart.Values{"enabled": true, "existingClaim": ollamaClaim},
		"updateStrategy":   chart.Values{"type": "Recreate"}, // the volume is mounted once
		"resources":        chart.ResourcesOf(settings.Resources),
		"serviceAccount":   chart.Values{"create": true, "automount": false},
		"securityContext": chart.Values{
			"allowPrivilegeEscalation": false,
			"capabilities":             chart.Values{"drop": []any{"ALL"}},
		},
		"podSecurityContext": chart.Values{"seccompProfile": chart.Values{"type": "RuntimeDefault"}},
		"ingress":            chart.Values{"enabled": false},
		"tests":              chart.Values{"enabled": false},
	}
	if *settings.GPU > 0 {
		kind := gpuKind(cfg)
		values["ollama"].(chart.Values)["gpu"] = chart.Values{
			"enabled": true, "type": kind, "number": *settings.GPU,
		}
		if kind == "nvidia" {
			values["runtimeClassName"] = gpu.RuntimeClass
		}
	}
	return values
}

// ollamaImage is the catalogue's, so that the server and the Job that speaks to it are of one version. AMD cards need
// the ROCm variant, whose digest is another one.
func ollamaImage(cfg *config.Config) chart.Values {
	image := cfg.Versions.Images["ollama"]
	tag := image.Tag
	switch {
	case *cfg.Services.Ollama.GPU > 0 && gpuKind(cfg) == "amd":
		tag += "-rocm"
	case image.Digest != "":
		tag += "@" + image.Digest
	}
	return chart.Values{"repository": image.Repository, "tag": tag}
}

// gpuKind is the kind of card that the lab's nodes have.
func gpuKind(cfg *config.Config) string {
	if cfg.HasGPU("nvidia") {
		return "nvidia"
	}
	return "amd"
}
