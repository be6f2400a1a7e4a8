package certificates

import (
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/internal/recording"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// encrypt switches a stack to Let's Encrypt.
func encrypt(cfg *config.Config, provider string) *config.Config {
	cfg.TLS = config.TLS{Issuer: letsEncrypt, LetsEncrypt: &config.LetsEncrypt{
		Email: "lab@example.org", Provider: provider, APIToken: config.NewSecret(rand.Text()),
		AccessKeyID: "id", Region: "eu-central-1", Nameserver: "192.168.1.53:5353",
		TSIGKeyName: "lab", TSIGAlgorithm: "HMACSHA256", RecursiveNameservers: []string{"1.1.1.1:53"},
	}}
	return cfg
}

// issue declares the package under a CA whose key is drawn for the test.
func issue(t *testing.T, cfg *config.Config) (graph *recording.Graph, key string) {
	t.Helper()
	key = rand.Text()
	return recording.Run(t, func(ctx *pulumi.Context) error {
		on, err := recording.Provider(ctx)
		if err != nil {
			return err
		}
		around := tenant.Around(cfg)
		space, err := network.NewIngressTenant(ctx, "ingress-tenant", cfg, around, on)
		if err != nil {
			return err
		}
		_, err = New(ctx, "certificates", &Args{
			Config: cfg, Delivery: chart.From(cfg), Surroundings: around, IngressTenant: space,
			CACertificate: pulumi.String("PEM"), CAKey: pulumi.ToSecret(pulumi.String(key)).(pulumi.StringOutput),
		}, on)
		return err
	}), key
}

func TestInternalIssuerSignsWithTheLabsCA(t *testing.T) {
	t.Parallel()
	graph, key := issue(t, recording.Stack(t, "homelab"))
	for name, object := range map[string]string{
		"certificates-issuer": Issuer, "certificates-issuer-internal": InternalIssuer,
	} {
		issuer := graph.Inputs(t, name)
		assert.Equal(t, object, recording.At(t, issuer, "metadata", "name"))
		assert.Equal(t, map[string]any{"ca": map[string]any{"secretName": caSecret}}, issuer["spec"])
		assert.Equal(t, "condition=Ready", recording.At(t, issuer, "metadata", "annotations", "pulumi.com/waitFor"))
		assert.True(t, graph.DependsOn(t, name, "certificates-ca"))
		assert.True(t, graph.DependsOn(t, name, "certificates-cert-manager-release"))
	}
	secret := graph.Inputs(t, "certificates-ca")
	assert.Equal(t, "kubernetes.io/tls", secret["type"])
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(key)), recording.At(t, secret, "data", "tls.key"))
	assert.True(t, graph.Properties(t, "certificates-ca")["data"].IsSecret())
	assert.True(t, graph.Protected(t, "certificates-ca"))
}

func TestWildcardIsIssuedIntoTheIngressNamespaceAndWaitedFor(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	graph, _ := issue(t, cfg)
	certificate := graph.Inputs(t, "certificates-wildcard")
	assert.Equal(t, network.IngressNamespace, recording.At(t, certificate, "metadata", "namespace"))
	assert.Equal(t, "condition=Ready", recording.At(t, certificate, "metadata", "annotations", "pulumi.com/waitFor"))
	assert.Equal(t, network.CertificateSecret, recording.At(t, certificate, "spec", "secretName"))
	assert.Equal(t, []any{cfg.Domain, "*." + cfg.Domain}, recording.At(t, certificate, "spec", "dnsNames"))
	assert.Equal(t, Issuer, recording.At(t, certificate, "spec", "issuerRef", "name"))
	assert.True(t, graph.DependsOn(t, "certificates-wildcard", "certificates-issuer"))
}

func TestBundleReachesEveryTenant(t *testing.T) {
	t.Parallel()
	graph, _ := issue(t, recording.Stack(t, "homelab"))
	spec := recording.At(t, graph.Inputs(t, "certificates-bundle"), "spec")
	assert.Equal(t, []any{map[string]any{"inLine": "PEM"}, map[string]any{"useDefaultCAs": true}},
		recording.At(t, spec, "sources"))
	selector := recording.At(t, spec, "target", "namespaceSelector", "matchLabels").(map[string]any)
	labels := recording.At(t, graph.Inputs(t, "ingress-tenant-namespace"), "metadata", "labels").(map[string]any)
	require.NotEmpty(t, selector)
	for key, value := range selector {
		assert.Equal(t, value, labels[key], "a tenant carries what the bundle selects")
	}
	assert.Equal(t, BundleKey, recording.At(t, spec, "target", "configMap", "key"))
	assert.True(t, graph.DependsOn(t, "certificates-bundle", "certificates-trust-manager-release"))
	assert.True(t, graph.DependsOn(t, "certificates-trust-manager-release", "certificates-cert-manager-release"))
}

func TestLetsEncryptProvesTheDomainByDNS(t *testing.T) {
	t.Parallel()
	token := map[string]any{"name": solverSecret, "key": solverKey}
	for provider, solver := range map[string]map[string]any{
		"cloudflare":   {"cloudflare": map[string]any{"apiTokenSecretRef": token}},
		"digitalocean": {"digitalocean": map[string]any{"tokenSecretRef": token}},
		"route53": {"route53": map[string]any{
			"region": "eu-central-1", "accessKeyID": "id", "secretAccessKeySecretRef": token,
		}},
		"rfc2136": {"rfc2136": map[string]any{
			"nameserver": "192.168.1.53:5353", "tsigKeyName": "lab", "tsigAlgorithm": "HMACSHA256",
			"tsigSecretSecretRef": token,
		}},
	} {
		graph, _ := issue(t, encrypt(recording.Stack(t, "homelab"), provider))
		acme := recording.At(t, graph.Inputs(t, "certificates-issuer"), "spec", "acme")
		assert.Equal(t, []any{map[string]any{"dns01": any(solver)}}, recording.At(t, acme, "solvers"), provider)
		assert.Equal(t, acmeDirectory, recording.At(t, acme, "server"))
		assert.True(t, graph.Properties(t, "certificates-dns01")["data"].IsSecret())
		// What is internal keeps its own issuer.
		assert.Contains(t, graph.Inputs(t, "certificates-issuer-internal")["spec"], "ca")
		values := recording.At(t, graph.Inputs(t, "certificates-cert-manager-release"), "values")
		assert.Equal(t, true, recording.At(t, values, "dns01RecursiveNameserversOnly"))
	}
}

func TestStagingEndpointAndUnknownProvider(t *testing.T) {
	t.Parallel()
	cfg := encrypt(recording.Stack(t, "homelab"), "cloudflare")
	cfg.TLS.LetsEncrypt.Staging = true
	spec, err := acmeSpec(cfg.TLS.LetsEncrypt)
	require.NoError(t, err)
	assert.Equal(t, acmeStagingDirectory, spec["acme"].(map[string]any)["server"])

	cfg.TLS.LetsEncrypt.Provider = "elsewhere"
	_, err = acmeSpec(cfg.TLS.LetsEncrypt)
	assert.ErrorContains(t, err, `tls.letsencrypt.provider "elsewhere"`)
}

func TestOnlyLetsEncryptOpensTheInternet(t *testing.T) {
	t.Parallel()
	const token = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	internal, _ := issue(t, recording.Stack(t, "homelab"))
	public, _ := issue(t, encrypt(recording.Stack(t, "homelab"), "rfc2136"))
	assert.NotContains(t, internal.Names(token), "certificates-tenant-external")
	assert.Contains(t, public.Names(token), "certificates-tenant-external")

	var reached []any
	for _, name := range public.Names(token) {
		if name == "certificates-tenant-external-to-2" {
			reached = recording.At(t, public.Inputs(t, name), "spec", "egress").([]any)
		}
	}
	require.Len(t, reached, 1)
	rule := reached[0].(map[string]any)
	assert.Equal(t, []any{map[string]any{"ipBlock": map[string]any{"cidr": "192.168.1.53/32"}}}, rule["to"])
	assert.Len(t, rule["ports"], 2)
}

func TestSplitPort(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]int{"1.1.1.1:853": 853, "1.1.1.1": 53, "ns.example.org:x": 53} {
		host, port := splitPort(server)
		assert.Equal(t, want, port, server)
		assert.NotContains(t, host, ":")
	}
}
