package certificates

import (
	"fmt"
	"net"
	"strconv"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// ACME directories of Let's Encrypt (https://letsencrypt.org/docs/acme-protocol-updates, /docs/staging-environment).
const (
	acmeDirectory        = "https://acme-v02.api.letsencrypt.org/directory"
	acmeStagingDirectory = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

const (
	caSecret      = "lab-ca"
	accountSecret = "lab-acme-account"
	solverSecret  = "lab-dns01"
	solverKey     = "token"
)

// newIssuers declares the issuer of the lab's CA and, with Let's Encrypt, the ACME one beside it. It returns the
// ClusterIssuer Issuer.
func newIssuers(
	ctx *pulumi.Context, name string, args *Args, space *tenant.Tenant, ready, child pulumi.ResourceOption,
) (pulumi.Resource, error) {
	ca, err := newSecret(ctx, name+"-ca", caSecret, space, pulumi.StringMap{
		"tls.crt": args.CACertificate,
		"tls.key": args.CAKey,
	}, child, pulumi.Protect(args.Config.Protected()))
	if err != nil {
		return nil, err
	}
	internal := map[string]any{"ca": map[string]any{"secretName": caSecret}}
	afterCA := pulumi.DependsOn([]pulumi.Resource{ca})
	_, err = newClusterIssuer(ctx, name+"-issuer-internal", InternalIssuer, internal, child, ready, afterCA)
	if err != nil {
		return nil, err
	}
	if args.Config.TLS.Issuer != letsEncrypt {
		return newClusterIssuer(ctx, name+"-issuer", Issuer, internal, child, ready, afterCA)
	}

	encrypt := args.Config.TLS.LetsEncrypt
	token, err := newSecret(ctx, name+"-dns01", solverSecret, space, pulumi.StringMap{
		solverKey: pulumi.ToSecret(pulumi.String(encrypt.APIToken.Reveal())).(pulumi.StringOutput),
	}, child)
	if err != nil {
		return nil, err
	}
	spec, err := acmeSpec(encrypt)
	if err != nil {
		return nil, err
	}
	return newClusterIssuer(ctx, name+"-issuer", Issuer, spec, child, ready,
		pulumi.DependsOn([]pulumi.Resource{token}))
}

// newClusterIssuer declares an issuer and waits until cert-manager has accepted it.
func newClusterIssuer(
	ctx *pulumi.Context, name, object string, spec map[string]any, opts ...pulumi.ResourceOption,
) (pulumi.Resource, error) {
	return apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("cert-manager.io/v1"),
		Kind:       pulumi.String("ClusterIssuer"),
		Metadata: &metav1.ObjectMetaArgs{
			Name:        pulumi.String(object),
			Annotations: pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Ready")},
		},
		OtherFields: map[string]any{"spec": spec},
	}, opts...)
}

// acmeSpec is an issuer that proves the ownership of the domain by a DNS record. HTTP-01 would need a name that
// resolves in public and a second Ingress for the same host.
func acmeSpec(encrypt *config.LetsEncrypt) (map[string]any, error) {
	solver, err := solverSpec(encrypt)
	if err != nil {
		return nil, err
	}
	directory := acmeDirectory
	if encrypt.Staging {
		directory = acmeStagingDirectory
	}
	return map[string]any{"acme": map[string]any{
		"server":              directory,
		"email":               encrypt.Email,
		"privateKeySecretRef": map[string]any{"name": accountSecret},
		"solvers":             []any{map[string]any{"dns01": solver}},
	}}, nil
}

// solverSpec is the DNS-01 part for each provider that config.LetsEncrypt names.
func solverSpec(encrypt *config.LetsEncrypt) (map[string]any, error) {
	token := map[string]any{"name": solverSecret, "key": solverKey}
	switch encrypt.Provider {
	case "cloudflare":
		return map[string]any{"cloudflare": map[string]any{"apiTokenSecretRef": token}}, nil
	case "digitalocean":
		return map[string]any{"digitalocean": map[string]any{"tokenSecretRef": token}}, nil
	case "route53":
		return map[string]any{"route53": map[string]any{
			"region":                   encrypt.Region,
			"accessKeyID":              encrypt.AccessKeyID,
			"secretAccessKeySecretRef": token,
		}}, nil
	case "rfc2136":
		solver := map[string]any{"nameserver": encrypt.Nameserver}
		if encrypt.TSIGKeyName != "" {
			solver["tsigKeyName"] = encrypt.TSIGKeyName
			solver["tsigAlgorithm"] = encrypt.TSIGAlgorithm
			solver["tsigSecretSecretRef"] = token
		}
		return map[string]any{"rfc2136": solver}, nil
	default:
		return nil, fmt.Errorf("tls.letsencrypt.provider %q has no DNS-01 solver here; "+
			"use cloudflare, digitalocean, route53 or rfc2136", encrypt.Provider)
	}
}

// acmeFlows let cert-manager reach the ACME server and the provider's API, ask the recursive name servers, and update
// a name server of the LAN with rfc2136.
func acmeFlows(cfg *config.Config) []tenant.Flow {
	flows := []tenant.Flow{tenant.External(tenant.TCP(443))}
	servers := append([]string{}, cfg.TLS.LetsEncrypt.RecursiveNameservers...)
	if cfg.TLS.LetsEncrypt.Provider == "rfc2136" {
		servers = append(servers, cfg.TLS.LetsEncrypt.Nameserver)
	}
	for _, server := range servers {
		host, port := splitPort(server)
		ranges := []string{cfg.Network.LANCIDR}
		if net.ParseIP(host) != nil {
			ranges = []string{host + "/32"}
		} else {
			// A policy knows no names: a name server that is given by name may be on the LAN or outside.
			flows = append(flows, tenant.External(tenant.UDP(port), tenant.TCP(port)))
		}
		flows = append(flows, tenant.ExternalTo(ranges, tenant.UDP(port), tenant.TCP(port)))
	}
	return flows
}

// splitPort splits host:port; without a port it is DNS's.
func splitPort(server string) (string, int) {
	const dns = 53
	host, text, err := net.SplitHostPort(server)
	if err != nil {
		return server, dns
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return host, dns
	}
	return host, port
}
