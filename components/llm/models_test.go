package llm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components/internal/recording"
	"github.com/homelab-ai/homelab-ai/config"
)

func TestModelsJobIsNotWaitedForAndRunsUnprivileged(t *testing.T) {
	t.Parallel()
	graph := serve(t, stack(t))
	job := graph.Inputs(t, "ollama-models")
	assert.Equal(t, "true", recording.At(t, job, "metadata", "annotations", "pulumi.com/skipAwait"))
	assert.True(t, graph.DependsOn(t, "ollama-models", "ollama-chart-release"))
	pod := recording.At(t, job, "spec", "template", "spec")
	assert.Equal(t, true, recording.At(t, pod, "securityContext", "runAsNonRoot"))
	assert.Equal(t, false, recording.At(t, pod, "automountServiceAccountToken"))
	container := recording.At(t, pod, "containers").([]any)[0].(map[string]any)
	assert.Equal(t, []any{"llama3.2:1b", "qwen3:8b"}, container["args"])
	assert.Contains(t, recording.At(t, container, "resources"), "limits")
	labels := recording.At(t, job, "spec", "template", "metadata", "labels").(map[string]any)
	selector := recording.At(t, graph.Inputs(t, "ollama-tenant-to-ollama"), "spec", "podSelector", "matchLabels")
	assert.Equal(t, selector, any(labels), "the flow selects the Job's pods")
}

func TestJobIsNewWhenItsContentIs(t *testing.T) {
	t.Parallel()
	name := func(change func(*config.Ollama)) string {
		cfg := stack(t)
		change(&cfg.Services.Ollama)
		return recording.At(t, serve(t, cfg).Inputs(t, "ollama-models"), "metadata", "name").(string)
	}
	same := func(*config.Ollama) {}
	first := name(same)
	assert.Equal(t, first, name(same))
	assert.NotEqual(t, first, name(func(o *config.Ollama) { o.Models = o.Models[:1] }))
	assert.NotEqual(t, first, name(func(o *config.Ollama) { o.RemoveUndeclared = true }))
	assert.NotEqual(t, first, name(func(o *config.Ollama) { o.PullTimeout = "1h" }))
}

func TestNoModelsNoJob(t *testing.T) {
	t.Parallel()
	cfg := stack(t)
	cfg.Services.Ollama.Models = nil
	assert.Empty(t, serve(t, cfg).Names(jobToken))
}

// fakeOllama is a command line client whose server is a directory: one empty file per model.
const fakeOllama = `#!/bin/sh
case "$1" in
list) echo 'NAME    ID    SIZE    MODIFIED'
  for model in "$MODELS"/*; do
    [ -e "$model" ] && echo "$(basename "$model")    0123    1 GB    1 day ago"
  done
  exit 0 ;;
pull) [ "$2" = broken:1b ] && exit 1
  case "$2" in *:*) touch "$MODELS/$2" ;; *) touch "$MODELS/$2:latest" ;; esac
  echo "pull $2" >>"$LOG" ;;
rm) rm "$MODELS/$2"; echo "rm $2" >>"$LOG" ;;
esac
`

// pull runs the script of the Job against the fake and returns what it did.
func pull(t *testing.T, store, remove string, models ...string) (done []string, err error) {
	t.Helper()
	programs, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(filepath.Join(programs, "ollama"), []byte(fakeOllama), 0o755))
	command := exec.Command("/bin/sh", append([]string{"-c", pullScript, "models"}, models...)...)
	command.Env = []string{
		"PATH=" + programs + ":" + os.Getenv("PATH"), "MODELS=" + store, "LOG=" + log,
		"REMOVE_UNDECLARED=" + remove, "OLLAMA_HOST=fake",
	}
	output, err := command.CombinedOutput()
	if err != nil {
		t.Log(string(output))
	}
	text, readErr := os.ReadFile(log)
	if readErr == nil {
		done = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	return done, err
}

func stored(t *testing.T, store string) []string {
	t.Helper()
	entries, err := os.ReadDir(store)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestPullIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	for range 2 {
		done, err := pull(t, store, "false", "llama3.2:1b", "qwen3")
		require.NoError(t, err)
		assert.Equal(t, []string{"pull llama3.2:1b", "pull qwen3"}, done)
		assert.Equal(t, []string{"llama3.2:1b", "qwen3:latest"}, stored(t, store))
	}
}

func TestUndeclaredModelsGoOnDemandAlone(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	_, err := pull(t, store, "false", "old:7b", "kept", "llama3.2:1b")
	require.NoError(t, err)

	_, err = pull(t, store, "false", "kept")
	require.NoError(t, err)
	assert.Len(t, stored(t, store), 3)

	done, err := pull(t, store, "true", "kept", "llama3.2:1b")
	require.NoError(t, err)
	assert.Contains(t, done, "rm old:7b")
	assert.Equal(t, []string{"kept:latest", "llama3.2:1b"}, stored(t, store))
}

func TestFailedPullFailsTheJob(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	_, err := pull(t, store, "true", "broken:1b", "llama3.2:1b")
	assert.Error(t, err)
	assert.Empty(t, stored(t, store))
}
