package gitlab

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
)

// Keys of Clients.
const (
	ArgoCD    = "argocd"
	Grafana   = "grafana"
	Jupyter   = "jupyter"
	OpenWebUI = "openWebUI"
)

// clientTextLength of ids and secrets is that of GitLab's own.
const clientTextLength = 64

// Client is an OAuth client of GitLab.
type Client struct {
	// ID is public.
	ID pulumi.StringOutput
	// Secret is a secret.
	Secret pulumi.StringOutput

	application
}

// application is what GitLab has to know about a client.
type application struct {
	// name that GitLab shows.
	name string
	// redirectURIs that GitLab may send a signed-in user to.
	redirectURIs []string
	// scopes that the client may ask for.
	scopes []string
}

// Clients are the OAuth clients that sign in through GitLab, by service.
type Clients struct {
	pulumi.ResourceState

	// Issuer is the OpenID issuer, whose /.well-known/openid-configuration describes GitLab. Empty while GitLab is
	// not the provider.
	Issuer string
	// AdminGroup and UserGroup are the full paths of the groups that map to roles. They stand in the claim groups of
	// the userinfo endpoint, and in groups_direct of the ID token.
	AdminGroup, UserGroup string

	byService map[string]*Client
}

// Of returns the client of a service, or nil where that service does not sign in through GitLab.
func (c *Clients) Of(service string) *Client {
	if c == nil {
		return nil
	}
	return c.byService[service]
}

// NewClients generates the id and the secret of each client. It needs nothing, so that what depends on it does not have
// to wait for GitLab. There are none while GitLab is not the provider of sign-in.
func NewClients(ctx *pulumi.Context, name string, cfg *config.Config, opts ...pulumi.ResourceOption) (*Clients, error) {
	clients := &Clients{byService: map[string]*Client{}}
	if err := ctx.RegisterComponentResource("homelab-ai:gitlab:Clients", name, clients, opts...); err != nil {
		return nil, err
	}
	if cfg.SignIn.Provider != "gitlab" || !cfg.Services.GitLab.On() {
		return clients, ctx.RegisterResourceOutputs(clients, pulumi.Map{})
	}
	clients.Issuer = "https://" + cfg.Services.GitLab.Host
	clients.AdminGroup, clients.UserGroup = cfg.SignIn.AdminGroup, cfg.SignIn.UserGroup

	child := []pulumi.ResourceOption{pulumi.Parent(clients), pulumi.Protect(cfg.Protected())}
	apps := applications(cfg)
	for _, service := range slices.Sorted(maps.Keys(apps)) {
		generate := func(what string) (*random.RandomPassword, error) {
			return random.NewRandomPassword(ctx, name+"-"+service+"-"+what, &random.RandomPasswordArgs{
				Length: pulumi.Int(clientTextLength), Special: pulumi.Bool(false),
			}, child...)
		}
		id, err := generate("id")
		if err != nil {
			return nil, err
		}
		secret, err := generate("secret")
		if err != nil {
			return nil, err
		}
		clients.byService[service] = &Client{
			ID:          pulumi.Unsecret(id.Result).(pulumi.StringOutput),
			Secret:      pulumi.ToSecret(secret.Result).(pulumi.StringOutput),
			application: apps[service],
		}
	}
	return clients, ctx.RegisterResourceOutputs(clients, pulumi.Map{})
}

// applications are the clients of a stack by service. Each redirect URI is the one that the service's documentation
// names for OpenID Connect.
func applications(cfg *config.Config) map[string]application {
	openID := []string{"openid", "profile", "email"}
	apps := map[string]application{}
	if cfg.GitOpsEnabled() {
		apps[ArgoCD] = application{
			name: "Argo CD",
			// The second one is the command line's: argocd login --sso.
			redirectURIs: []string{"https://" + cfg.GitOps.Host + "/auth/callback", "http://localhost:8085/auth/callback"},
			scopes:       openID,
		}
	}
	if cfg.Services.Monitoring.On() {
		apps[Grafana] = application{
			name:         "Grafana",
			redirectURIs: []string{"https://" + cfg.Services.Monitoring.Host + "/login/generic_oauth"},
			scopes:       openID,
		}
	}
	if cfg.Services.Jupyter.On() {
		apps[Jupyter] = application{
			name:         "JupyterHub",
			redirectURIs: []string{"https://" + cfg.Services.Jupyter.Host + "/hub/oauth_callback"},
			scopes:       append([]string{"read_user", "read_api"}, openID...), // its authenticator reads groups by the API
		}
	}
	if cfg.Services.OpenWebUI.On() {
		apps[OpenWebUI] = application{
			name:         "Open WebUI",
			redirectURIs: []string{"https://" + cfg.Services.OpenWebUI.Host + "/oauth/oidc/callback"},
			scopes:       openID,
		}
	}
	return apps
}
