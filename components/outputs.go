package components

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/gitops"
	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/components/llm"
	"github.com/homelab-ai/homelab-ai/config"
)

// export names what the user of the lab needs to reach it: the URLs, the records for the LAN's DNS, the CA to trust,
// the kubeconfig and the first passwords. The last two are secrets: `pulumi stack output --show-secrets`.
func export(
	ctx *pulumi.Context, cfg *config.Config, cluster *k3s.Cluster, argo *gitops.GitOps, chat *llm.OpenWebUI,
) error {
	urls, passwords := pulumi.StringMap{}, pulumi.Map{}
	if argo != nil {
		urls["argocd"] = pulumi.String(argo.URL)
		passwords["argocd"] = account("admin", argo.AdminPassword)
	}
	if chat.URL != "" {
		urls["chat"] = pulumi.String(chat.URL)
		passwords["chat"] = account(chat.AdminEmail, chat.AdminPassword)
	}

	ctx.Export("urls", urls)
	ctx.Export("dnsRecords", pulumi.ToArray([]any{
		map[string]any{"name": cfg.Domain, "type": "A", "value": cfg.Network.IngressAddress},
		map[string]any{"name": "*." + cfg.Domain, "type": "A", "value": cfg.Network.IngressAddress},
	}))
	ctx.Export("caCertificate", cluster.CACertificate)
	ctx.Export("kubeconfig", pulumi.ToSecret(cluster.Kubeconfig))
	ctx.Export("firstPasswords", pulumi.ToSecret(passwords))
	return nil
}

// account is a first sign-in.
func account(user string, password pulumi.StringOutput) pulumi.Map {
	return pulumi.Map{"user": pulumi.String(user), "password": password}
}
