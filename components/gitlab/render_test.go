package gitlab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

func TestOmnibusConfig(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	text, err := omnibusConfig(cfg)
	require.NoError(t, err)
	for _, line := range []string{
		`external_url 'https://gitlab.lab.test'`,
		`registry_external_url 'https://registry.lab.test'`,
		`registry['database'] = { 'enabled' => false }`,
		`gitlab_rails['initial_root_password'] = File.read('/run/secrets/homelab-ai/root-password').strip`,
		`gitlab_rails['gitlab_ssh_host'] = 'gitlab.lab.test'`,
		`puma['worker_processes'] = 0`,
	} {
		assert.Contains(t, text, line+"\n")
	}

	cfg.Network.GitLabSSHAddress = "192.168.1.201"
	cfg.Services.GitLab.Resources.Memory = "8Gi"
	text, err = omnibusConfig(cfg)
	require.NoError(t, err)
	assert.Contains(t, text, `gitlab_rails['gitlab_ssh_host'] = '192.168.1.201'`, "its own address is not behind GitLab's name")
	assert.Contains(t, text, `puma['worker_processes'] = 2`)
}

func TestOmnibusConfigIsRuby(t *testing.T) {
	t.Parallel()
	needTool(t, "ruby")
	text, err := omnibusConfig(testConfig())
	require.NoError(t, err)
	command := exec.Command("ruby", "-c")
	command.Stdin = strings.NewReader(text)
	output, err := command.CombinedOutput()
	assert.NoError(t, err, string(output))
}

func TestSSHSharesAnAddressOrHasItsOwn(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	shared := sshValues(cfg)
	assert.Equal(t, "Cluster", shared["externalTrafficPolicy"], "else the address cannot be shared")
	assert.Contains(t, shared["annotations"], "metallb.io/allow-shared-ip")
	cfg.Network.GitLabSSHAddress = "192.168.1.201"
	own := sshValues(cfg)["annotations"].(map[string]any)
	assert.Equal(t, "192.168.1.201", own["metallb.io/loadBalancerIPs"])
	assert.NotContains(t, own, "metallb.io/allow-shared-ip")
}

func TestRunnerConfig(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	for _, c := range classes(cfg) {
		text, err := runnerConfig(cfg, c)
		require.NoError(t, err)
		assert.Contains(t, text, fmt.Sprintf("privileged = %t\n", c.privileged))
		assert.Contains(t, text, fmt.Sprintf("namespace = %q\n", c.namespace))
		assert.Contains(t, text, `cpu_limit = "2"`)
		assert.Contains(t, text, `memory_limit = "4Gi"`)
		assert.Contains(t, text, "SSL_CERT_FILE="+c.bundleDirectory+"/ca.crt")
		assert.Equal(t, c.privileged, strings.Contains(text, "/certs/client"))
		assert.Equal(t, !c.privileged, strings.Contains(text, `type = "Unconfined"`))
		assert.NotContains(t, text, "{{", "the chart would take it for a template of its own")
	}
}

// document is the second part of a CI template, the jobs; the first declares inputs.
func document(t *testing.T, text string) (inputs, jobs map[string]any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var header struct {
		Spec struct{ Inputs map[string]any }
	}
	require.NoError(t, decoder.Decode(&header))
	require.NoError(t, decoder.Decode(&jobs))
	return header.Spec.Inputs, jobs
}

var inputUse = regexp.MustCompile(`\$\[\[ inputs\.([a-z_]+) \]\]`)

func TestTemplates(t *testing.T) {
	t.Parallel()
	files, err := projectFiles(testConfig(), TemplatesProject)
	require.NoError(t, err)
	looked := 0
	for name, text := range files {
		if name == "README.md" {
			continue
		}
		looked++
		inputs, jobs := document(t, text)
		require.Len(t, jobs, 1, name)
		for job, body := range jobs {
			assert.Contains(t, files["README.md"], "`"+name+"` | `"+job+"`", "the table lists it")
			image := body.(map[string]any)["image"]
			if long, ok := image.(map[string]any); ok {
				image = long["name"]
			}
			if image == "$[[ inputs.image ]]" {
				image = inputs["image"].(map[string]any)["default"]
			}
			assert.Regexp(t, `^[a-z0-9.]+/[^:]+:[^@]+(@sha256:[0-9a-f]{64})?$`, image, "%s: pinned, with its registry", name)
		}
		for _, use := range inputUse.FindAllStringSubmatch(text, -1) {
			assert.Contains(t, inputs, use[1], name)
		}
		for input := range inputs {
			assert.Contains(t, text, "$[[ inputs."+input+" ]]", "%s: an input that nothing uses", name)
		}
	}
	assert.Equal(t, 6, looked)
}

func TestSampleUsesEveryTemplate(t *testing.T) {
	t.Parallel()
	files, err := projectFiles(testConfig(), SampleProject)
	require.NoError(t, err)
	templates, err := projectFiles(testConfig(), TemplatesProject)
	require.NoError(t, err)
	var pipeline struct {
		Stages  []string
		Include []struct {
			Project, File string
			Inputs        map[string]any
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(files[".gitlab-ci.yml"]), &pipeline))
	used := map[string]bool{"README.md": true}
	for _, include := range pipeline.Include {
		assert.Equal(t, LabGroup+"/"+TemplatesProject, include.Project)
		require.Contains(t, templates, include.File)
		used[include.File] = true
		inputs, _ := document(t, templates[include.File])
		for input := range include.Inputs {
			assert.Contains(t, inputs, input, include.File)
		}
		assert.Contains(t, pipeline.Stages, inputs["stage"].(map[string]any)["default"], include.File)
	}
	assert.Len(t, used, len(templates))
	assert.True(t, json.Valid([]byte(files["notebooks/numbers.ipynb"])))
	cases := bufio.NewScanner(strings.NewReader(files["evaluation.jsonl"]))
	for cases.Scan() {
		var entry struct{ Prompt, Expect string }
		require.NoError(t, json.Unmarshal(cases.Bytes(), &entry))
		_, err := regexp.Compile(entry.Expect)
		assert.NoError(t, err)
	}
}

// evaluate runs what the template evaluate.yml runs, against a model that gives the same answer to everything.
func evaluate(t *testing.T, model, threshold string) (string, error) {
	t.Helper()
	needTool(t, "python3")
	templates, err := projectFiles(testConfig(), TemplatesProject)
	require.NoError(t, err)
	_, jobs := document(t, templates["evaluate.yml"])
	lines := jobs["model-evaluation"].(map[string]any)["script"].([]any)
	sample, err := projectFiles(testConfig(), SampleProject)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "evaluation.jsonl"), []byte(sample["evaluation.jsonl"]), 0o600))

	ollama := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			_, _ = fmt.Fprint(w, `{"object":"list","data":[{"id":"llama3.2:3b","object":"model"}]}`)
		case "/v1/chat/completions":
			var body struct {
				Model    string
				Messages []map[string]string
			}
			require.NoError(t, json.NewDecoder(r.Body).Decode(&body))
			assert.Equal(t, "llama3.2:3b", body.Model)
			require.Len(t, body.Messages, 1)
			_, _ = fmt.Fprint(w, `{"choices":[{"message":{"role":"assistant","content":"Paris is cold."}}]}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer ollama.Close()

	var script bytes.Buffer
	script.WriteString("set -eu\n")
	for _, line := range lines {
		script.WriteString(strings.ReplaceAll(line.(string), "/tmp/", dir+"/") + "\n")
	}
	command := exec.Command("sh", "-s")
	command.Dir, command.Stdin = dir, &script
	command.Env = append(os.Environ(), "LAB_OLLAMA_URL="+ollama.URL, "MODEL="+model, "CASES=evaluation.jsonl",
		"THRESHOLD="+threshold, "WAIT_SECONDS=0.2")
	output, err := command.CombinedOutput()
	report, readError := os.ReadFile(filepath.Join(dir, "evaluation.xml"))
	if model == "llama3.2:3b" {
		require.NoError(t, readError, string(output))
		assert.Equal(t, 3, strings.Count(string(report), "<testcase"))
		assert.Equal(t, 1, strings.Count(string(report), "<failure"))
	}
	return string(output), err
}

func TestModelEvaluation(t *testing.T) {
	t.Parallel()
	output, err := evaluate(t, "llama3.2:3b", "0.5")
	require.NoError(t, err, output)
	assert.Contains(t, output, "2 of 3 passed")

	output, err = evaluate(t, "llama3.2:3b", "1.0")
	require.Error(t, err, output)

	output, err = evaluate(t, "missing:1b", "0.5")
	require.Error(t, err)
	assert.Contains(t, output, "model missing:1b did not appear in 0 s: the lab has llama3.2:3b")
}

func TestExampleIsDeployable(t *testing.T) {
	t.Parallel()
	files, err := projectFiles(testConfig(), ExampleProject)
	require.NoError(t, err)
	decoder := yaml.NewDecoder(strings.NewReader(files["app.yaml"]))
	var kinds []string
	for {
		var object struct {
			Kind     string
			Metadata map[string]any
		}
		if decoder.Decode(&object) != nil {
			break
		}
		kinds = append(kinds, object.Kind)
		assert.NotContains(t, object.Metadata, "namespace", "Argo CD's project says where it goes")
	}
	assert.Equal(t, []string{"ConfigMap", "Deployment", "Service", "Ingress"}, kinds)
}
