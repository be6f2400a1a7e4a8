package llm

import (
	"time"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// OpenWebUINamespace holds Open WebUI; its Service has the same name.
	OpenWebUINamespace = "open-webui"
	// OpenWebUISecret holds the generated secrets: SecretKey and AdminPassword.
	OpenWebUISecret = "open-webui"

	openWebUIPort        = 8080 // value service.containerPort of the chart
	openWebUIServicePort = 80   // value service.port
	openWebUIClaim       = "data"
	secretKey            = "secret-key"
	adminPassword        = "admin-password"
	generatedLength      = 32
)

// openWebUIPods are the labels of its pods.
var openWebUIPods = map[string]string{"app.kubernetes.io/component": "open-webui"}

// OpenWebUI is the chat in the browser.
type OpenWebUI struct {
	pulumi.ResourceState

	// URL of the chat. Empty while it is off.
	URL string
	// AdminEmail is the name of the first account, and AdminPassword its first password, a secret.
	AdminEmail    string
	AdminPassword pulumi.StringOutput
}

// NewOpenWebUI declares Open WebUI's namespace, volume and secrets and, while it is on, its workload and Ingress.
func NewOpenWebUI(
	ctx *pulumi.Context, name string, args *Args, ollama *Ollama, opts ...pulumi.ResourceOption,
) (*OpenWebUI, error) {
	webUI := &OpenWebUI{AdminEmail: args.Config.Services.OpenWebUI.AdminEmail}
	if err := ctx.RegisterComponentResource("homelab-ai:llm:OpenWebUI", name, webUI, opts...); err != nil {
		return nil, err
	}
	if !args.keeps("openWebUI", args.Config.Services.OpenWebUI.On()) {
		return webUI, ctx.RegisterResourceOutputs(webUI, pulumi.Map{})
	}
	cfg, settings, child := args.Config, args.Config.Services.OpenWebUI, pulumi.Parent(webUI)

	space, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    OpenWebUINamespace,
		Level:        tenant.Baseline, // the image runs as root
		Quota: tenant.Quota{
			CPU:    tenant.Sum(settings.Resources.CPU, settings.Resources.CPU, "500m"),
			Memory: tenant.Sum(settings.Resources.Memory, settings.Resources.Memory, "512Mi"),
			Pods:   4, Claims: 1, Storage: settings.Size,
		},
		Flows: []tenant.Flow{
			tenant.FromIngress(tenant.TCP(openWebUIPort)).For(openWebUIPods),
			tenant.To(OllamaNamespace, ollamaPods, tenant.TCP(OllamaPort)).For(openWebUIPods),
		},
		Protect: cfg.Protected(),
	}, child)
	if err != nil {
		return nil, err
	}
	claim, err := space.NewClaim(ctx, openWebUIClaim, &tenant.ClaimArgs{
		Size: settings.Size, Class: cfg.ClassFor("openWebUI"), Protect: cfg.Protected(),
	})
	if err != nil {
		return nil, err
	}
	secret, checksum, err := webUI.newSecret(ctx, name, args, space, child)
	if err != nil {
		return nil, err
	}
	if !settings.On() {
		return webUI, ctx.RegisterResourceOutputs(webUI, pulumi.Map{})
	}

	needs := append([]pulumi.Resource{claim, secret}, args.Needs...)
	if ollama.Deployed != nil {
		needs = append(needs, ollama.Deployed)
	}
	workload, err := chart.New(ctx, name+"-chart", &chart.Args{
		Delivery:        args.Delivery,
		Chart:           "open-webui",
		Namespace:       space.Name,
		NamespaceName:   OpenWebUINamespace,
		Values:          openWebUIValues(cfg),
		Workload:        true,
		Timeout:         15 * time.Minute,
		SecretChecksums: map[string]pulumi.StringInput{"podAnnotations": checksum},
	}, child, pulumi.DependsOn(needs))
	if err != nil {
		return nil, err
	}
	_, err = network.NewIngress(ctx, name+"-ingress", &network.IngressArgs{
		Namespace:  space.Name,
		Host:       settings.Host,
		Service:    OpenWebUINamespace,
		Port:       openWebUIServicePort,
		Websockets: true,
		Streaming:  true,
	}, child, pulumi.DependsOn([]pulumi.Resource{workload.Deployed, args.Ingress.Deployed}))
	if err != nil {
		return nil, err
	}
	webUI.URL = "https://" + settings.Host
	return webUI, ctx.RegisterResourceOutputs(webUI, pulumi.Map{"adminPassword": webUI.AdminPassword})
}

// newSecret generates the key that signs sessions (without one everybody is logged out at each restart) and the first
// password of the administrator.
func (w *OpenWebUI) newSecret(
	ctx *pulumi.Context, name string, args *Args, space *tenant.Tenant, child pulumi.ResourceOption,
) (pulumi.Resource, pulumi.StringOutput, error) {
	var none pulumi.StringOutput
	generate := func(what string) (*random.RandomPassword, error) {
		return random.NewRandomPassword(ctx, name+"-"+what, &random.RandomPasswordArgs{
			Length: pulumi.Int(generatedLength), Special: pulumi.Bool(false),
		}, child, pulumi.Protect(args.Config.Protected()))
	}
	key, err := generate(secretKey)
	if err != nil {
		return nil, none, err
	}
	password, err := generate(adminPassword)
	if err != nil {
		return nil, none, err
	}
	w.AdminPassword = password.Result
	secret, err := space.NewSecret(ctx, OpenWebUISecret, map[string]pulumi.StringInput{
		secretKey:     key.Result,
		adminPassword: password.Result,
	})
	return secret, args.Delivery.Checksum(key.Result, password.Result), err
}

// openWebUIValues are the values of the chart open-webui.
func openWebUIValues(cfg *config.Config) chart.Values {
	settings := cfg.Services.OpenWebUI
	return chart.Values{
		"replicaCount":       1, // SQLite
		"ollama":             chart.Values{"enabled": false},
		"ollamaUrls":         []any{OllamaURL},
		"pipelines":          chart.Values{"enabled": false},
		"enableOpenaiApi":    false,
		"websocket":          chart.Values{"enabled": true, "manager": "", "redis": chart.Values{"enabled": false}},
		"persistence":        chart.Values{"enabled": true, "existingClaim": openWebUIClaim},
		"resources":          chart.ResourcesOf(settings.Resources),
		"copyAppData":        chart.Values{"resources": chart.Resources("50m", "256Mi", "256Mi")},
		"serviceAccount":     chart.Values{"create": true, "automountServiceAccountToken": false},
		"service":            chart.Values{"type": "ClusterIP", "port": openWebUIServicePort, "containerPort": openWebUIPort},
		"ingress":            chart.Values{"enabled": false},
		"podSecurityContext": chart.Values{"seccompProfile": chart.Values{"type": "RuntimeDefault"}},
		"containerSecurityContext": chart.Values{
			"allowPrivilegeEscalation": false,
			"capabilities":             chart.Values{"drop": []any{"ALL"}},
		},
		// The first start migrates the database and loads an embedding model.
		"startupProbe":   probe("/health", 10, 60),
		"readinessProbe": probe("/health", 10, 3),
		"livenessProbe":  probe("/health", 30, 5),
		"extraEnvVars": []any{
			env("WEBUI_URL", "https://"+settings.Host),
			envSecret("WEBUI_SECRET_KEY", OpenWebUISecret, secretKey),
			env("WEBUI_ADMIN_EMAIL", settings.AdminEmail),
			envSecret("WEBUI_ADMIN_PASSWORD", OpenWebUISecret, adminPassword),
			env("ENABLE_SIGNUP", "False"),
			// Settings are declared here; a change in the web interface lasts until the next restart.
			env("ENABLE_PERSISTENT_CONFIG", "False"),
			// Nothing is fetched from the internet, which no flow allows; the image brings the embedding model.
			env("OFFLINE_MODE", "True"),
		},
	}
}

// probe asks for a path until it has failed this often, at this interval in seconds.
func probe(path string, interval, failures int) chart.Values {
	return chart.Values{
		"httpGet":          chart.Values{"path": path, "port": "http"},
		"periodSeconds":    interval,
		"failureThreshold": failures,
		"timeoutSeconds":   5,
	}
}
