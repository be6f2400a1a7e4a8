package gitlab

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

// lab is a machine with the first server's kubectl and a GitLab, both stand-ins.
type lab struct {
	t       *testing.T
	gitlab  *fakeGitLab
	cfg     *config.Config
	dir     string
	secrets []string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	needTool(t, "ruby")
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "secrets"), 0o700))
	return &lab{t: t, gitlab: newFakeGitLab(t, filepath.Join(dir, "rails.json")), cfg: testConfig(), dir: dir}
}

// needTool skips a test where a program is missing.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("E2E_REQUIRE") == "1" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed: apt-get install %s", name, name)
	}
}

func randomText(t *testing.T) string {
	t.Helper()
	text := make([]byte, 16)
	_, err := rand.Read(text)
	require.NoError(t, err)
	return hex.EncodeToString(text)
}

// secret is a random text that must show nowhere.
func (l *lab) secret() string {
	text := randomText(l.t)
	l.secrets = append(l.secrets, text)
	return text
}

// run is what the first server runs: run.sh with its parameters. It returns both outputs.
func (l *lab) run(account accountPayload, program string, kept []keptToken) (string, string, error) {
	l.t.Helper()
	accountText, err := accountScript(account)
	require.NoError(l.t, err)
	var text strings.Builder
	assign := func(name, value string) { text.WriteString(name + "='" + value + "'\n") }
	here, err := os.Getwd()
	require.NoError(l.t, err)
	assign("NAMESPACE", Namespace)
	assign("POD", Pod)
	assign("ACCOUNT", base64.StdEncoding.EncodeToString([]byte(accountText)))
	assign("PROGRAM", base64.StdEncoding.EncodeToString([]byte(program)))
	assign("KEPT", keptLines(kept))
	// As k3s.Cluster.Run does.
	assign("k3s", filepath.Join(here, "testdata", "k3s"))
	text.WriteString("set -eu\n" + runScript)

	command := exec.Command("sh", "-s")
	command.Stdin = strings.NewReader(text.String())
	command.Env = append(os.Environ(),
		"CALLS="+filepath.Join(l.dir, "calls"), "SECRETS="+filepath.Join(l.dir, "secrets"),
		"RAILS="+filepath.Join(here, "testdata", "rails.rb"), "RAILS_STATE="+filepath.Join(l.dir, "rails.json"))
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	l.noSecretShown(stderr.String())
	return stdout.String(), stderr.String(), err
}

func (l *lab) noSecretShown(stderr string) {
	l.t.Helper()
	calls, err := os.ReadFile(filepath.Join(l.dir, "calls"))
	require.NoError(l.t, err)
	require.NotEmpty(l.t, calls)
	for _, secret := range l.secrets {
		assert.NotContains(l.t, string(calls), secret, "on a command line")
		assert.NotContains(l.t, stderr, secret, "in what the command logs")
	}
	assert.NotContains(l.t, string(calls), "glpat-", "an access token on a command line")
	assert.NotContains(l.t, stderr, "glpat-", "an access token in the log")
}

// seed runs the seeding and returns what it changed.
func (l *lab) seed(account accountPayload) []string {
	l.t.Helper()
	input, err := seedInput(l.cfg, testOllamaURL)
	require.NoError(l.t, err)
	input.URL = l.gitlab.server.URL
	text, err := program(input, clientProgram, seedProgram)
	require.NoError(l.t, err)
	stdout, stderr, err := l.run(account, text, nil)
	require.NoError(l.t, err, stderr)
	var printed struct {
		Changes []string `json:"changes"`
	}
	require.NoError(l.t, json.Unmarshal([]byte(stdout), &printed), "output: %s", stdout)
	return printed.Changes
}

// give runs a program that gives out tokens, and returns them.
func (l *lab) give(input any, source string, kept []keptToken) map[string]string {
	l.t.Helper()
	text, err := program(input, clientProgram, source)
	require.NoError(l.t, err)
	stdout, stderr, err := l.run(accountPayload{Step: "tokens"}, text, kept)
	require.NoError(l.t, err, stderr)
	tokens := map[string]string{}
	for _, token := range kept {
		tokens[token.name], err = tokenOf(stdout, token.name)
		require.NoError(l.t, err)
		assert.NotContains(l.t, stderr, tokens[token.name], "a token in the log")
	}
	return tokens
}

// tokens runs the creation of runners and returns their tokens.
func (l *lab) tokens(declared []class) map[string]string {
	l.t.Helper()
	input := runnersInput(l.cfg, declared)
	input.URL = l.gitlab.server.URL
	var kept []keptToken
	for _, c := range declared {
		kept = append(kept, c.kept())
	}
	return l.give(input, runnersProgram, kept)
}

// deployToken runs the creation of the example's deploy token.
func (l *lab) deployToken() string {
	l.t.Helper()
	input := deployInput(l.cfg.Services.GitLab.Host)
	input.URL = l.gitlab.server.URL
	return l.give(input, deployProgram, []keptToken{{deployTokenName, "argocd", repositorySecret, passwordKey}})[deployTokenName]
}

// use puts a token where those who use it have it.
func (l *lab) use(secret, token string) {
	l.t.Helper()
	require.NoError(l.t, os.WriteFile(filepath.Join(l.dir, "secrets", secret),
		[]byte(base64.StdEncoding.EncodeToString([]byte(token))), 0o600))
}

// useRunners is use for runners' tokens by class.
func (l *lab) useRunners(tokens map[string]string) {
	l.t.Helper()
	for name, token := range tokens {
		l.use(class{name: name}.secret(), token)
	}
}

type railsState struct {
	Tokens []struct {
		Name    string `json:"name"`
		Revoked bool   `json:"revoked"`
	} `json:"tokens"`
	Applications []map[string]any `json:"applications"`
	Saves        []string         `json:"saves"`
}

func (l *lab) rails() railsState {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, "rails.json"))
	require.NoError(l.t, err)
	for _, secret := range l.secrets {
		assert.NotContains(l.t, string(text), secret, "GitLab keeps hashes")
	}
	var state railsState
	require.NoError(l.t, json.Unmarshal(text, &state))
	return state
}

func (l *lab) account() accountPayload {
	return accountPayload{
		Step: "seed", RootPassword: l.secret(),
		Applications: []applicationPayload{
			{
				ID: randomText(l.t), Secret: l.secret(), Name: "Argo CD",
				RedirectURIs: []string{"https://argocd.lab.test/auth/callback", "http://localhost:8085/auth/callback"},
				Scopes:       []string{"openid", "profile", "email"},
			},
			{
				ID: randomText(l.t), Secret: l.secret(), Name: "Grafana",
				RedirectURIs: []string{"https://grafana.lab.test/login/generic_oauth"}, Scopes: []string{"openid"},
			},
		},
	}
}

func TestSeedTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	account := l.account()

	first := l.seed(account)
	assert.Contains(t, first, "group lab-admins: created")
	assert.Contains(t, first, "group lab-users: created")
	assert.Contains(t, first, "group lab: shared with lab-admins")
	assert.Contains(t, first, "variable LAB_MODEL: created")
	assert.Len(t, l.gitlab.commits, 3, "one commit per project")
	assert.Contains(t, l.gitlab.files["lab/example"]["app.yaml"], "host: example.lab.test")
	assert.Equal(t, false, l.gitlab.settings["signup_enabled"])
	assert.Equal(t, testOllamaURL, l.gitlab.vars["LAB_OLLAMA_URL"]["value"])
	assert.NotEmpty(t, l.gitlab.files["lab/templates"]["python.yml"])
	assert.NotEmpty(t, l.gitlab.files["lab/sample"][".gitlab-ci.yml"], "files that begin with a dot are seeded too")
	state := l.rails()
	assert.Len(t, state.Applications, 2)
	assert.Contains(t, state.Saves, "user root")

	changes, saves := l.gitlab.changes, len(state.Saves)
	require.NotZero(t, changes)
	assert.Empty(t, l.seed(account), "the second run changes nothing")
	assert.Equal(t, changes, l.gitlab.changes, "nor does it ask GitLab to")
	for _, save := range l.rails().Saves[saves:] {
		assert.Contains(t, save, "homelab-ai seed", "only the run's own access token is made")
	}
}

func TestSeedTakesItsTokenBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.seed(l.account())
	assert.Len(t, l.gitlab.revoked, 1)

	// A run that fails takes it back as well.
	l.gitlab.groups["lab"]["id"] = -1 // its projects cannot be shared or found any more
	delete(l.gitlab.projects, "lab/sample")
	input, err := seedInput(l.cfg, testOllamaURL)
	require.NoError(t, err)
	input.URL = l.gitlab.server.URL
	input.Settings["no_such_setting"] = true
	text, err := program(input, clientProgram, seedProgram)
	require.NoError(t, err)
	_, stderr, err := l.run(accountPayload{Step: "seed"}, text, nil)
	require.Error(t, err)
	assert.Contains(t, stderr, "PUT /application/settings: 400 no_such_setting is not allowed")
	assert.Len(t, l.gitlab.revoked, 2)
}

func TestSeedWaitsForGitLab(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.gitlab.broken = 1
	assert.NotEmpty(t, l.seed(l.account()))
}

func TestSeedRepairsWhatIsTheLabsAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	account := l.account()
	l.seed(account)

	l.gitlab.files["lab/templates"]["python.yml"] = "changed by hand"
	l.gitlab.files["lab/templates"]["own.yml"] = "the user's"
	l.gitlab.files["lab/sample"]["README.md"] = "the user's"
	l.gitlab.settings["home_page_url"] = "https://example.org"
	l.gitlab.vars["LAB_OLD"] = map[string]any{"key": "LAB_OLD", "value": "x"}
	l.gitlab.vars["OWN"] = map[string]any{"key": "OWN", "value": "x"}

	assert.ElementsMatch(t, []string{"project lab/templates: python.yml", "variable LAB_OLD: removed"}, l.seed(account))
	assert.Equal(t, "the user's", l.gitlab.files["lab/templates"]["own.yml"])
	assert.Equal(t, "the user's", l.gitlab.files["lab/sample"]["README.md"])
	assert.Equal(t, "https://example.org", l.gitlab.settings["home_page_url"])
	assert.Contains(t, l.gitlab.vars, "OWN")
}

func TestApplicationsFollowTheirClients(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	account := l.account()
	l.seed(account)
	before := l.rails()

	rotated := account
	rotated.Applications = []applicationPayload{account.Applications[0]}
	rotated.Applications[0].Secret = l.secret()
	l.seed(rotated)

	after := l.rails()
	require.Len(t, after.Applications, 1, "an application that is not declared any more is gone")
	assert.Equal(t, account.Applications[0].ID, after.Applications[0]["uid"])
	assert.NotEqual(t, before.Applications[0]["secret"], after.Applications[0]["secret"])
	assert.Equal(t, true, after.Applications[0]["trusted"])
	assert.Equal(t, strings.Join(account.Applications[0].RedirectURIs, "\n"), after.Applications[0]["redirect_uri"])
}

func TestRunnersTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	declared := classes(l.cfg)
	require.Len(t, declared, 2)

	tokens := l.tokens(declared)
	require.Len(t, l.gitlab.runners, 2)
	assert.NotEqual(t, tokens["build"], tokens["docker"])
	for _, runner := range l.gitlab.runners {
		assert.Equal(t, runner["description"] == "homelab-ai/build", runner["run_untagged"])
	}

	l.useRunners(tokens)
	changes := l.gitlab.changes
	assert.Equal(t, tokens, l.tokens(declared), "tokens in use are kept")
	assert.Equal(t, changes, l.gitlab.changes, "and nothing is changed")
	assert.Len(t, l.gitlab.runners, 2)
}

func TestRunnersRecover(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	declared := classes(l.cfg)
	lost := l.tokens(declared) // the run was cut before anybody got these

	tokens := l.tokens(declared)
	assert.Len(t, l.gitlab.runners, 2, "no second runner")
	assert.NotEqual(t, lost["build"], tokens["build"])

	// A token that was revoked in GitLab is replaced, the other one kept.
	l.useRunners(tokens)
	for _, runner := range l.gitlab.runners {
		if runner["token"] == tokens["docker"] {
			runner["token"] = "glrt-" + randomText(t)
			runner["tag_list"] = []any{"changed"}
		}
	}
	again := l.tokens(declared)
	assert.Equal(t, tokens["build"], again["build"])
	assert.NotEqual(t, tokens["docker"], again["docker"])
	for _, runner := range l.gitlab.runners {
		if runner["token"] == again["docker"] {
			assert.Equal(t, []any{"docker"}, runner["tag_list"])
		}
	}

	// Tokens that were mixed up are not taken for each other.
	l.useRunners(map[string]string{"build": again["docker"], "docker": again["build"]})
	mixed := l.tokens(declared)
	assert.NotEqual(t, again["docker"], mixed["build"])

	// A class that is no longer declared goes.
	assert.Len(t, l.tokens(declared[:1]), 1)
	assert.Len(t, l.gitlab.runners, 1)
}

func TestDeployTokenTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.seed(l.account())

	token := l.deployToken()
	l.use(repositorySecret, token)
	assert.Equal(t, token, l.deployToken(), "a token in use is kept")
	assert.Len(t, l.gitlab.deployTokens, 1)

	l.use(repositorySecret, "gldt-"+randomText(t)) // revoked, or from before a restore
	again := l.deployToken()
	assert.NotEqual(t, token, again)
	assert.Len(t, l.gitlab.deployTokens, 1, "the old one is gone")
}

func TestTokenOfShowsNothing(t *testing.T) {
	t.Parallel()
	secret := randomText(t)
	for _, printed := range []string{"not JSON " + secret, `{"docker":"` + secret + `"}`, `{"build":"` + secret + `"}`} {
		_, err := tokenOf(printed, "build")
		require.Error(t, err)
		assert.NotContains(t, err.Error(), secret)
	}
	token, err := tokenOf("", "build") // a simulated host
	require.NoError(t, err)
	assert.Empty(t, token)
}
