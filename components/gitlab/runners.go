package gitlab

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/certificates"
	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// RunnerNamespace holds the runner managers.
	RunnerNamespace = "gitlab-runner"
	// BuildNamespace holds jobs of the class build, without privileges.
	BuildNamespace = "gitlab-build"
	// DockerNamespace holds jobs of the class docker, the only user workloads of the lab that may be privileged.
	DockerNamespace = "gitlab-ci"

	// RunnerMetricsPort of the managers (value metrics.port of the chart).
	RunnerMetricsPort = 9252

	// runnerTokenKey is the chart's key of an authentication token.
	runnerTokenKey = "runner-token"

	cacheClaim = "cache"
	// cacheSize is the cache volume of each class. What does not fit is not cached.
	cacheSize = "10Gi"
	// certificatesSecret trusts the lab's CA for GitLab's host.
	certificatesSecret = "gitlab-ca"
	// jobTimeout is the longest that a job may run, in seconds.
	jobTimeout = 3 * 60 * 60
)

// What a job's containers request; their limits are settings.
const (
	jobCPURequest    = "250m"
	jobMemoryRequest = "512Mi"
)

//go:embed runners.toml.tmpl
var runnersTemplate string

// class is a kind of runner: where its jobs run and what they may.
type class struct {
	name string
	// namespace of the jobs.
	namespace string
	level     tenant.Level
	// privileged lets jobs do whatever root on the node may.
	privileged bool
	// tags that a job asks for the class with; untagged takes jobs without any.
	tags     []string
	untagged bool
	// concurrent is the number of jobs at the same time.
	concurrent int
	// bundleDirectory is where jobs find the lab's CA. Docker looks below its own directory for a registry's.
	bundleDirectory string
}

// secret is the name of the Secret with the class's token in RunnerNamespace.
func (c class) secret() string { return "runner-" + c.name }

// kept is where the class's token is.
func (c class) kept() keptToken {
	return keptToken{c.name, RunnerNamespace, c.secret(), runnerTokenKey}
}

// release is the name of the class's manager.
func (c class) release() string { return "gitlab-runner-" + c.name }

// classes of a stack. The unprivileged one takes what asks for nothing; with both, each has at least one of the jobs
// that may run at the same time.
func classes(cfg *config.Config) []class {
	settings := cfg.Services.GitLab.Runners
	if !settings.On() {
		return nil
	}
	build := class{
		name: "build", namespace: BuildNamespace, tags: []string{"build"}, untagged: true,
		// Pod Security knows nothing between baseline, which forbids unconfined profiles, and privileged. The admission
		// policy takes back everything else that privileged allows.
		level:           tenant.Privileged,
		concurrent:      settings.Concurrent,
		bundleDirectory: "/etc/homelab-ai",
	}
	if settings.Privileged == nil || !*settings.Privileged {
		return []class{build}
	}
	docker := class{
		name: "docker", namespace: DockerNamespace, tags: []string{"docker"},
		level: tenant.Privileged, privileged: true,
		concurrent:      max(1, settings.Concurrent/2),
		bundleDirectory: "/etc/docker/certs.d/" + cfg.Services.GitLab.RegistryHost,
	}
	build.concurrent = max(1, settings.Concurrent-docker.concurrent)
	return []class{build, docker}
}

// newRunners declares the managers and the namespaces of their jobs. They hold nothing but caches and go with the
// runners.
func (g *GitLab) newRunners(ctx *pulumi.Context, name string, args *Args) error {
	declared := classes(args.Config)
	if len(declared) == 0 {
		return nil
	}
	child := pulumi.Parent(g)
	managers, err := tenant.New(ctx, name+"-runner-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    RunnerNamespace,
		Level:        tenant.Restricted,
		Quota:        tenant.Quota{CPU: "2", Memory: "2Gi", Pods: 8, Claims: 1},
		Flows:        managerFlows(args.Config),
	}, child)
	if err != nil {
		return err
	}
	var kept []keptToken
	for _, c := range declared {
		kept = append(kept, c.kept())
	}
	tokens, err := newTokens(ctx, name+"-runner-tokens", args, "gitlab-runners", runnersInput(args.Config, declared),
		runnersProgram, kept, child, pulumi.DependsOn([]pulumi.Resource{g.Deployed}))
	if err != nil {
		return err
	}
	needs := append([]pulumi.Resource{}, args.Needs...)
	if args.Config.TLS.Issuer == "internal" {
		trusted, err := managers.NewSecret(ctx, certificatesSecret, map[string]pulumi.StringInput{
			args.Config.Services.GitLab.Host + ".crt": args.CACertificate,
		})
		if err != nil {
			return err
		}
		needs = append(needs, trusted)
	}
	for _, c := range declared {
		if err := g.newClass(ctx, name+"-"+c.name, args, c, managers, tokens[c.name], needs); err != nil {
			return fmt.Errorf("runners of class %s: %w", c.name, err)
		}
	}
	return nil
}

func (g *GitLab) newClass(
	ctx *pulumi.Context, name string, args *Args, c class, managers *tenant.Tenant, token pulumi.StringOutput,
	needs []pulumi.Resource,
) error {
	cfg, child := args.Config, pulumi.Parent(g)
	jobs, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    c.namespace,
		Level:        c.level,
		Quota:        jobQuota(c.concurrent),
		Flows:        jobFlows(cfg),
	}, child)
	if err != nil {
		return err
	}
	cache, err := jobs.NewClaim(ctx, cacheClaim, &tenant.ClaimArgs{Size: cacheSize, Class: cfg.ClassFor("gitlab")})
	if err != nil {
		return err
	}
	if !c.privileged {
		if err := newUnprivileged(ctx, name+"-unprivileged", c.namespace, child); err != nil {
			return err
		}
	}
	// The chart wants both keys; a registration token is not used.
	secret, err := managers.NewSecret(ctx, c.secret(), map[string]pulumi.StringInput{
		runnerTokenKey:              token,
		"runner-registration-token": pulumi.String(""),
	})
	if err != nil {
		return err
	}
	values, err := runnerValues(cfg, c)
	if err != nil {
		return err
	}
	_, err = chart.New(ctx, name+"-chart", &chart.Args{
		Delivery:        args.Delivery,
		Chart:           "gitlab-runner",
		Release:         c.release(),
		Namespace:       pulumi.All(managers.Name, jobs.Name).ApplyT(func([]any) string { return RunnerNamespace }).(pulumi.StringOutput),
		NamespaceName:   RunnerNamespace,
		Values:          values,
		Workload:        true,
		Timeout:         15 * time.Minute,
		SecretChecksums: map[string]pulumi.StringInput{"podAnnotations": args.Delivery.Checksum(token)},
	}, child, pulumi.DependsOn(append([]pulumi.Resource{secret, cache}, needs...)))
	return err
}

// managerFlows: a manager asks GitLab for jobs and the API server for pods.
func managerFlows(cfg *config.Config) []tenant.Flow {
	flows := []tenant.Flow{tenant.ToIngress(), tenant.ToAPIServer()}
	if cfg.Services.Monitoring.On() {
		flows = append(flows, tenant.From(monitoringNamespace, nil, tenant.TCP(RunnerMetricsPort)))
	}
	return flows
}

// jobFlows: a job clones from GitLab, fetches what it needs from the internet and may ask a model.
func jobFlows(cfg *config.Config) []tenant.Flow {
	const http, https = 80, 443
	flows := []tenant.Flow{tenant.ToIngress(), tenant.External(tenant.TCP(http), tenant.TCP(https))}
	if cfg.Services.Ollama.On() {
		flows = append(flows, tenant.To(ollamaNamespace, nil, tenant.TCP(ollamaPort)))
	}
	return flows
}

// jobQuota fits the jobs at the same time, each with a build, a helper and two service containers, and as many that
// are just going.
func jobQuota(concurrent int) tenant.Quota {
	pods := 2 * concurrent
	return tenant.Quota{
		CPU:    strconv.Itoa(pods),
		Memory: strconv.Itoa(2*pods) + "Gi",
		Pods:   pods,
		Claims: 1, Storage: cacheSize,
	}
}

// runnerConfig is the manager's template of config.toml.
func runnerConfig(cfg *config.Config, c class) (string, error) {
	settings := cfg.Services.GitLab.Runners
	parsed, err := template.New("runners.toml").Option("missingkey=error").Parse(runnersTemplate)
	if err != nil {
		return "", err
	}
	var environment []string
	for _, variable := range trustVariables {
		environment = append(environment, strconv.Quote(variable+"="+c.bundleDirectory+"/"+certificates.BundleKey))
	}
	var text strings.Builder
	err = parsed.Execute(&text, map[string]any{
		"Environment":     environment,
		"Namespace":       c.namespace,
		"Image":           cfg.Versions.Images["python-uv"].Reference(),
		"Privileged":      c.privileged,
		"CPURequest":      jobCPURequest,
		"MemoryRequest":   jobMemoryRequest,
		"CPU":             settings.JobCPU,
		"Memory":          settings.JobMemory,
		"Claim":           cacheClaim,
		"Bundle":          certificates.Bundle,
		"BundleDirectory": c.bundleDirectory,
	})
	return text.String(), err
}

// trustVariables are where programs look for the file of trusted certificates: Go and OpenSSL, Python's requests,
// curl, git, Node.js and pip.
var trustVariables = []string{
	"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT",
}

// runnerValues are the values of the chart gitlab-runner.
func runnerValues(cfg *config.Config, c class) (chart.Values, error) {
	toml, err := runnerConfig(cfg, c)
	if err != nil {
		return nil, err
	}
	values := chart.Values{
		"gitlabUrl":                     "https://" + cfg.Services.GitLab.Host,
		"concurrent":                    c.concurrent,
		"checkInterval":                 5,
		"terminationGracePeriodSeconds": 600,
		"rbac":                          chart.Values{"create": true, "rules": jobRules()},
		"serviceAccount":                chart.Values{"create": true, "name": c.release()},
		"runners": chart.Values{
			"executor":     "kubernetes",
			"name":         c.release(),
			"secret":       c.secret(),
			"jobNamespace": c.namespace,
			"config":       toml,
		},
		"metrics": chart.Values{
			"enabled": true, "port": RunnerMetricsPort,
			"podMonitor": chart.Values{"enabled": cfg.Services.Monitoring.On()},
		},
		"resources": chart.Resources("50m", "256Mi", "256Mi"),
		// The chart's own, with the profile that the namespace's level asks for.
		"podSecurityContext": chart.Values{
			"runAsUser": 100, "fsGroup": 65533, "runAsNonRoot": true,
			"seccompProfile": chart.Values{"type": "RuntimeDefault"},
		},
	}
	if cfg.TLS.Issuer == "internal" {
		values["certsSecretName"] = certificatesSecret
	}
	return values, nil
}

// jobRules are the permissions in the namespace of the jobs that the executor documents
// (https://docs.gitlab.com/runner/executors/kubernetes/#configure-runner-api-permissions), instead of the chart's
// default of all.
func jobRules() []any {
	rule := func(resource string, verbs ...any) any {
		return chart.Values{"apiGroups": []any{""}, "resources": []any{resource}, "verbs": verbs}
	}
	return []any{
		rule("events", "list", "watch"),
		rule("pods", "create", "delete", "get", "list", "watch"),
		rule("pods/attach", "create", "delete", "get", "patch"),
		rule("pods/exec", "create", "delete", "get", "patch"),
		rule("pods/log", "get", "list"),
		rule("secrets", "create", "delete", "get", "update"),
		rule("serviceaccounts", "get"),
		rule("services", "create", "get"),
	}
}
