package gitlab

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"text/template"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// LabGroup holds the projects that the lab brings.
	LabGroup = "lab"
	// TemplatesProject holds the CI templates.
	TemplatesProject = "templates"
	// SampleProject uses every one of them.
	SampleProject = "sample"

	// variablePrefix begins the names of the CI variables that belong to the lab.
	variablePrefix = "LAB_"
	// apiURL is GitLab inside its own pod.
	apiURL = "http://localhost"
	// commandLimit is how long seeding may take, Rails' own start included.
	commandLimit = 30 * time.Minute
	// maintainer is GitLab's access level (https://docs.gitlab.com/api/access_requests/#valid-access-levels).
	maintainer = 40
)

var (
	//go:embed scripts/run.sh
	runScript string
	//go:embed scripts/account.rb
	accountProgram string
	//go:embed scripts/client.rb
	clientProgram string
	//go:embed scripts/seed.rb
	seedProgram string
	//go:embed scripts/runners.rb
	runnersProgram string

	// The files of the seeded projects, dot files included.
	//go:embed all:seed
	seedFiles embed.FS
)

// accountPayload is the input of account.rb.
type accountPayload struct {
	// Step names the access token.
	Step string `json:"step"`
	// RootPassword is set where it differs. Empty leaves it.
	RootPassword string `json:"rootPassword,omitempty"`
	// Applications are registered, and those of the lab that are not among them removed. Nil leaves all as they are.
	Applications []applicationPayload `json:"applications"`
}

type applicationPayload struct {
	ID           string   `json:"id"`
	Secret       string   `json:"secret"`
	Name         string   `json:"name"`
	RedirectURIs []string `json:"redirectURIs"`
	Scopes       []string `json:"scopes"`
}

// seedPayload is the input of seed.rb.
type seedPayload struct {
	URL            string            `json:"url"`
	Host           string            `json:"host"`
	Settings       map[string]any    `json:"settings"`
	Groups         []groupPayload    `json:"groups"`
	Projects       []projectPayload  `json:"projects"`
	Variables      map[string]string `json:"variables"`
	VariablePrefix string            `json:"variablePrefix"`
}

type groupPayload struct {
	Path        string         `json:"path"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Visibility  string         `json:"visibility"`
	SharedWith  []sharePayload `json:"sharedWith"`
}

type sharePayload struct {
	Group string `json:"group"`
	Level int    `json:"level"`
}

type projectPayload struct {
	Group       string            `json:"group"`
	Path        string            `json:"path"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Visibility  string            `json:"visibility"`
	Once        bool              `json:"once"`
	Message     string            `json:"message"`
	Files       map[string]string `json:"files"`
}

// runnersPayload is the input of runners.rb.
type runnersPayload struct {
	URL     string          `json:"url"`
	Host    string          `json:"host"`
	Runners []runnerPayload `json:"runners"`
}

type runnerPayload struct {
	Class    string   `json:"class"`
	Tags     []string `json:"tags"`
	Untagged bool     `json:"untagged"`
	Timeout  int      `json:"timeout"`
}

// newSeed declares the command that puts into GitLab what every lab starts with.
func (g *GitLab) newSeed(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (pulumi.Resource, error) {
	seed, err := seedInput(args.Config, args.OllamaURL)
	if err != nil {
		return nil, fmt.Errorf("seed of GitLab: %w", err)
	}
	program, err := program(seed, clientProgram, seedProgram)
	if err != nil {
		return nil, err
	}
	account := seedAccount(args.Clients, g.RootPassword)
	return args.Host.Run(ctx, name, script(args.Config, "gitlab-seed", account, program, nil), opts...)
}

// keptToken says where a token is that GitLab would show only once.
type keptToken struct {
	name, namespace, secret, key string
}

// newTokens declares a command that makes GitLab give out tokens. It returns them by name; those that are in use and
// valid stay as they are.
func newTokens(
	ctx *pulumi.Context, name string, args *Args, verb string, input any, source string, kept []keptToken,
	opts ...pulumi.ResourceOption,
) (map[string]pulumi.StringOutput, error) {
	program, err := program(input, clientProgram, source)
	if err != nil {
		return nil, err
	}
	account, err := accountScript(accountPayload{Step: verb})
	if err != nil {
		return nil, err
	}
	command, err := args.Host.Run(ctx, name, script(args.Config, verb, pulumi.String(account), program, kept), opts...)
	if err != nil {
		return nil, err
	}
	tokens := map[string]pulumi.StringOutput{}
	for _, token := range kept {
		value := command.Stdout.ApplyT(func(text string) (string, error) { return tokenOf(text, token.name) })
		tokens[token.name] = pulumi.ToSecret(value).(pulumi.StringOutput)
	}
	return tokens, nil
}

// tokenOf finds a token by its name in what a program printed. Its errors show nothing of that.
func tokenOf(printed, name string) (string, error) {
	if printed == "" {
		return "", nil // a simulated host; run.sh fails rather than print nothing
	}
	var tokens map[string]string
	if json.Unmarshal([]byte(printed), &tokens) != nil {
		return "", fmt.Errorf("GitLab gave no tokens: the command's output is no JSON object")
	}
	// Runners' authentication tokens begin with glrt-, deploy tokens with gldt-; a registration token has neither.
	if !strings.HasPrefix(tokens[name], "glrt-") && !strings.HasPrefix(tokens[name], "gldt-") {
		return "", fmt.Errorf("GitLab gave no token named %s", name)
	}
	return tokens[name], nil
}

// seedAccount is account.rb with the password of root and the clients, a secret.
func seedAccount(clients *Clients, rootPassword pulumi.StringOutput) pulumi.StringOutput {
	services := []string{ArgoCD, Grafana, Jupyter, OpenWebUI}
	var known []*Client
	inputs := []any{rootPassword}
	for _, service := range services {
		if client := clients.Of(service); client != nil {
			known = append(known, client)
			inputs = append(inputs, client.ID, client.Secret)
		}
	}
	text := pulumi.All(inputs...).ApplyT(func(values []any) (string, error) {
		payload := accountPayload{Step: "seed", RootPassword: values[0].(string), Applications: []applicationPayload{}}
		for i, client := range known {
			payload.Applications = append(payload.Applications, applicationPayload{
				ID: values[1+2*i].(string), Secret: values[2+2*i].(string),
				Name: client.name, RedirectURIs: client.redirectURIs, Scopes: client.scopes,
			})
		}
		return accountScript(payload)
	})
	return pulumi.ToSecret(text).(pulumi.StringOutput)
}

// seedInput is what seed.rb gets.
func seedInput(cfg *config.Config, ollamaURL string) (*seedPayload, error) {
	templates, err := projectFiles(cfg, TemplatesProject)
	if err != nil {
		return nil, err
	}
	sample, err := projectFiles(cfg, SampleProject)
	if err != nil {
		return nil, err
	}
	example, err := projectFiles(cfg, ExampleProject)
	if err != nil {
		return nil, err
	}
	return &seedPayload{
		URL:  apiURL,
		Host: cfg.Services.GitLab.Host,
		Settings: map[string]any{
			"signup_enabled":                  false, // accounts are made by an administrator
			"allow_runner_registration_token": false, // runners have authentication tokens
			"auto_devops_enabled":             false,
			"usage_ping_enabled":              false,
			"prometheus_metrics_enabled":      true,
			"default_branch_name":             "main",
		},
		Groups: []groupPayload{
			{
				Path: cfg.SignIn.AdminGroup, Name: cfg.SignIn.AdminGroup, Visibility: "private",
				Description: "Administrators of the lab's services", SharedWith: []sharePayload{},
			},
			{
				Path: cfg.SignIn.UserGroup, Name: cfg.SignIn.UserGroup, Visibility: "private",
				Description: "Users of the lab's services", SharedWith: []sharePayload{},
			},
			{
				Path: LabGroup, Name: "Lab", Visibility: "internal", Description: "What the lab brings",
				SharedWith: []sharePayload{{Group: cfg.SignIn.AdminGroup, Level: maintainer}},
			},
		},
		Projects: []projectPayload{
			{
				Group: LabGroup, Path: TemplatesProject, Name: "Templates", Visibility: "internal",
				Description: "CI templates for every project of the lab", Message: "Update the lab's CI templates",
				Files: templates,
			},
			{
				Group: LabGroup, Path: SampleProject, Name: "Sample", Visibility: "internal", Once: true,
				Description: "A project that uses every CI template", Message: "Begin with every CI template",
				Files: sample,
			},
			{
				Group: LabGroup, Path: ExampleProject, Name: "Example", Visibility: "private", Once: true,
				Description: "An application that Argo CD deploys", Message: "Begin with a page",
				Files: example,
			},
		},
		Variables:      variables(cfg, ollamaURL),
		VariablePrefix: variablePrefix,
	}, nil
}

// variables are the instance's CI variables: what templates find a model by. Without Ollama there are none, and the
// template for evaluation adds no job.
func variables(cfg *config.Config, ollamaURL string) map[string]string {
	found := map[string]string{}
	if cfg.Services.Ollama.On() && ollamaURL != "" && len(cfg.Services.Ollama.Models) > 0 {
		found[variablePrefix+"OLLAMA_URL"] = ollamaURL
		found[variablePrefix+"MODEL"] = cfg.Services.Ollama.Models[0].Name
	}
	if cfg.Services.GitLab.Runners.On() && len(classes(cfg)) > 1 {
		found[variablePrefix+"DOCKER"] = "true"
	}
	return found
}

func runnersInput(cfg *config.Config, declared []class) runnersPayload {
	payload := runnersPayload{URL: apiURL, Host: cfg.Services.GitLab.Host}
	for _, c := range declared {
		payload.Runners = append(payload.Runners, runnerPayload{
			Class: c.name, Tags: c.tags, Untagged: c.untagged, Timeout: jobTimeout,
		})
	}
	return payload
}

// projectFiles renders the files of a seeded project: {{image "python-uv"}} is an image of the catalogue, and {{domain}}
// the lab's.
func projectFiles(cfg *config.Config, project string) (map[string]string, error) {
	root := path.Join("seed", project)
	files := map[string]string{}
	err := fs.WalkDir(seedFiles, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := seedFiles.ReadFile(name)
		if err != nil {
			return err
		}
		rendered, err := renderFile(cfg, name, string(content))
		if err != nil {
			return err
		}
		files[strings.TrimPrefix(name, root+"/")] = rendered
		return nil
	})
	return files, err
}

func renderFile(cfg *config.Config, name, content string) (string, error) {
	parsed, err := template.New(name).Funcs(template.FuncMap{
		"image": func(key string) (string, error) {
			image, ok := cfg.Versions.Images[key]
			if !ok {
				return "", fmt.Errorf("image %q is not in the catalogue", key)
			}
			return image.Reference(), nil
		},
		"domain": func() string { return cfg.Domain },
	}).Parse(content)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = parsed.Execute(&text, nil)
	return text.String(), err
}

// program puts a Ruby program together: its input in the first line, then the sources.
func program(input any, sources ...string) (string, error) {
	payload, err := json.Marshal(input)
	if err != nil {
		return "", err
	}
	line := "PAYLOAD = '" + base64.StdEncoding.EncodeToString(payload) + "'"
	return strings.Join(append([]string{line}, sources...), "\n"), nil
}

func accountScript(payload accountPayload) (string, error) { return program(payload, accountProgram) }

// script is what the first server runs: run.sh and its parameters.
func script(cfg *config.Config, verb string, account pulumi.StringInput, program string, kept []keptToken) *k3s.Script {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	return &k3s.Script{Verb: verb, Text: runScript, Limit: commandLimit, Parameters: map[string]pulumi.StringInput{
		"NAMESPACE": pulumi.String(Namespace),
		"POD":       pulumi.String(Pod),
		"ACCOUNT":   account.ToStringOutput().ApplyT(encode).(pulumi.StringOutput),
		"PROGRAM":   pulumi.String(encode(program)),
		"KEPT":      pulumi.String(keptLines(kept)),
		// An upgrade is seeded again: what the new version does not take shows at once.
		"VERSION": pulumi.String(cfg.Versions.Images["gitlab"].Tag),
	}}
}

// keptLines is the parameter KEPT of run.sh.
func keptLines(kept []keptToken) string {
	var lines []string
	for _, token := range kept {
		lines = append(lines, strings.Join([]string{token.name, token.namespace, token.secret, token.key}, " "))
	}
	return strings.Join(lines, "\n")
}

// base64Of is a value as the field data of a Secret holds it.
func base64Of(value pulumi.StringInput) pulumi.StringOutput {
	return value.ToStringOutput().ApplyT(func(text string) string {
		return base64.StdEncoding.EncodeToString([]byte(text))
	}).(pulumi.StringOutput)
}
