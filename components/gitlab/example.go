package gitlab

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// ExampleProject is deployed by Argo CD.
	ExampleProject = "example"

	// What Argo CD calls the user's applications; the package gitops signs in through this one and cannot be imported.
	userProject   = "user"
	userNamespace = "apps"

	deployTokenName  = "argocd"
	repositorySecret = "repository-lab-example"
	passwordKey      = "password"
)

//go:embed scripts/deploy.rb
var deployProgram string

// deployPayload is the input of deploy.rb.
type deployPayload struct {
	URL    string               `json:"url"`
	Host   string               `json:"host"`
	Tokens []deployTokenPayload `json:"tokens"`
}

type deployTokenPayload struct {
	Name     string `json:"name"`
	Username string `json:"username"`
	Project  string `json:"project"`
}

func deployInput(host string) deployPayload {
	return deployPayload{URL: apiURL, Host: host, Tokens: []deployTokenPayload{{
		Name: deployTokenName, Username: deployTokenName, Project: LabGroup + "/" + ExampleProject,
	}}}
}

// newExample lets Argo CD deploy the seeded example: a deploy token, the repository's credentials, and an Application
// of the project for the user's own.
func (g *GitLab) newExample(ctx *pulumi.Context, name string, args *Args) error {
	argo := args.Delivery.GitOps
	if argo == nil {
		return nil
	}
	host, child := args.Config.Services.GitLab.Host, pulumi.Parent(g)
	tokens, err := newTokens(ctx, name+"-token", args, "gitlab-deploy-token", deployInput(host), deployProgram,
		[]keptToken{{deployTokenName, argo.Namespace, repositorySecret, passwordKey}}, child,
		pulumi.DependsOn([]pulumi.Resource{g.Seeded}))
	if err != nil {
		return err
	}
	repository := "https://" + host + "/" + LabGroup + "/" + ExampleProject + ".git"
	credentials, err := corev1.NewSecret(ctx, name+"-repository", &corev1.SecretArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(repositorySecret), Namespace: pulumi.String(argo.Namespace),
			// Argo CD finds repositories by it.
			Labels: pulumi.StringMap{"argocd.argoproj.io/secret-type": pulumi.String("repository")},
		},
		Data: pulumi.StringMap{
			"type":      base64Of(pulumi.String("git")),
			"url":       base64Of(pulumi.String(repository)),
			"project":   base64Of(pulumi.String(userProject)),
			"username":  base64Of(pulumi.String(deployTokenName)),
			passwordKey: base64Of(tokens[deployTokenName]),
		},
	}, child, pulumi.DependsOn(args.Needs))
	if err != nil {
		return err
	}
	_, err = apiextensions.NewCustomResource(ctx, name+"-application", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("argoproj.io/v1alpha1"),
		Kind:       pulumi.String("Application"),
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(ExampleProject), Namespace: pulumi.String(argo.Namespace),
			Finalizers: pulumi.ToStringArray([]string{"resources-finalizer.argocd.argoproj.io"}),
		},
		OtherFields: map[string]any{"spec": map[string]any{
			"project":     userProject,
			"source":      map[string]any{"repoURL": repository, "targetRevision": "main", "path": "."},
			"destination": map[string]any{"server": argo.Server, "namespace": userNamespace},
			"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}},
		}},
	}, child, pulumi.DependsOn([]pulumi.Resource{credentials}))
	return err
}
