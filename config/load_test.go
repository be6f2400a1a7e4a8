package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type noResources struct{}

func (noResources) NewResource(pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return "", nil, nil
}

func (noResources) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

// program is how Pulumi starts a program.
type program struct {
	config     map[string]string
	secretKeys []string
	files      map[string]string // by stack
	cli        bool              // the CLI passes all keys in the environment
}

func (p program) load(t *testing.T) (*Config, error) {
	t.Helper()
	directory := t.TempDir()
	for stack, text := range p.files {
		require.NoError(t, os.WriteFile(filepath.Join(directory, "Pulumi."+stack+".yaml"), []byte(text), 0o600))
	}
	t.Setenv(pulumi.EnvConfig, "")
	if p.cli {
		text, err := json.Marshal(p.config)
		require.NoError(t, err)
		t.Setenv(pulumi.EnvConfig, string(text))
	}
	var cfg *Config
	var loadErr error
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		cfg, loadErr = Load(ctx)
		return nil
	}, pulumi.WithMocks("homelab-ai", "homelab", noResources{}), func(info *pulumi.RunInfo) {
		info.Config = p.config
		info.ConfigSecretKeys = p.secretKeys
		info.RootDirectory = directory
	})
	require.NoError(t, err)
	return cfg, loadErr
}

// asProgram returns the smallest config in the form that Pulumi passes it in.
func asProgram(t *testing.T) program {
	t.Helper()
	config := map[string]string{"kubernetes:context": "elsewhere"}
	for key, value := range minimal(t) {
		text, isText := value.(string)
		if !isText {
			encoded, err := json.Marshal(value)
			require.NoError(t, err)
			text = string(encoded)
		}
		config[key] = text
	}
	return program{config: config}
}

func TestLoad(t *testing.T) {
	for name, cli := range map[string]bool{"from the CLI": true, "inline": false} {
		t.Run(name, func(t *testing.T) {
			p := asProgram(t)
			p.cli = cli
			p.config["homelab-ai:purge"] = "[]"
			p.config["homelab-ai:chartMirror"] = "" // what an empty default in Pulumi.yaml arrives as
			p.config["homelab-ai:tls"] = "{}"
			cfg, err := p.load(t)
			require.NoError(t, err)
			assert.Equal(t, "homelab", cfg.Stack)
			assert.Equal(t, "lab.home.arpa", cfg.Domain)
			assert.False(t, cfg.Protected())
			assert.Equal(t, "internal", cfg.TLS.Issuer)
		})
	}
}

func TestLoadRefusesWhatIsNoJSON(t *testing.T) {
	p := asProgram(t)
	p.config["homelab-ai:tls"] = "{issuer"
	p.config["homelab-ai:protect"] = "perhaps"
	_, err := p.load(t)
	assert.ErrorContains(t, err, `homelab-ai:tls = "{issuer": must be a mapping`)
	assert.ErrorContains(t, err, `homelab-ai:protect = "perhaps": must be true or false`)
}

func TestLoadFindsUnknownKeys(t *testing.T) {
	fromCLI := asProgram(t)
	fromCLI.cli = true
	fromCLI.config["homelab-ai:domian"] = "x"
	_, err := fromCLI.load(t)
	assert.ErrorContains(t, err, "homelab-ai:domian: there is no such key; did you mean domain?")

	inline := asProgram(t)
	inline.files = map[string]string{"homelab": "config:\n  homelab-ai:domian: x\n  kubernetes:bar: x\n"}
	_, err = inline.load(t)
	assert.ErrorContains(t, err, "homelab-ai:domian: there is no such key; did you mean domain?")
	assert.NotContains(t, err.Error(), "bar")
}

func TestLoadComparesWithSiblings(t *testing.T) {
	p := asProgram(t)
	p.files = map[string]string{
		"staging": "config:\n  homelab-ai:domain: lab.home.arpa\n",
		"broken":  "config: [",
	}
	_, err := p.load(t)
	assert.ErrorContains(t, err, "stack staging has this domain")
}

func TestLoadTakesSecrets(t *testing.T) {
	const s3 = `{"s3": {"endpoint": "https://s3.example.org", "bucket": "lab", "accessKeyID": "lab", "secretAccessKey": "planted-secret"}}`
	secret := func(t *testing.T, file string) (*Config, error) {
		p := asProgram(t)
		p.config["homelab-ai:backup"] = s3
		p.secretKeys = []string{"homelab-ai:backup"}
		if file != "" {
			p.files = map[string]string{"homelab": file}
		}
		return p.load(t)
	}
	t.Run("without a stack file", func(t *testing.T) {
		cfg, err := secret(t, "")
		require.NoError(t, err)
		assert.Equal(t, "planted-secret", cfg.Backup.S3.SecretAccessKey.Reveal())
	})
	t.Run("with the field encrypted", func(t *testing.T) {
		cfg, err := secret(t, "config:\n  homelab-ai:backup: {s3: {bucket: lab, endpoint: https://s3.example.org, accessKeyID: lab, secretAccessKey: {secure: v1:x}}}\n")
		require.NoError(t, err)
		assert.Equal(t, "planted-secret", cfg.Backup.S3.SecretAccessKey.Reveal())
	})
	t.Run("with the whole key encrypted", func(t *testing.T) {
		cfg, err := secret(t, "config:\n  homelab-ai:backup: {secure: v1:x}\n")
		require.NoError(t, err)
		assert.Equal(t, "planted-secret", cfg.Backup.S3.SecretAccessKey.Reveal())
	})
	t.Run("with another field encrypted", func(t *testing.T) {
		_, err := secret(t, "config:\n  homelab-ai:backup: {s3: {bucket: {secure: v1:x}, endpoint: https://s3.example.org, accessKeyID: lab, secretAccessKey: planted-secret}}\n")
		var problems Problems
		require.ErrorAs(t, err, &problems)
		assert.ElementsMatch(t, []string{"plaintext-secret@backup.s3.secretAccessKey", "encrypted-value@backup.s3.bucket"}, rulesAt(problems))
		assert.NotContains(t, err.Error(), "planted")
	})
	t.Run("in plain text", func(t *testing.T) {
		p := asProgram(t)
		p.config["homelab-ai:backup"] = s3
		_, err := p.load(t)
		assert.ErrorContains(t, err, string(PlaintextSecret))
		assert.NotContains(t, err.Error(), "planted")
	})
}

func TestLoadWantsTheProjectsName(t *testing.T) {
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		_, err := Load(ctx)
		return err
	}, pulumi.WithMocks("my-lab", "homelab", noResources{}))
	assert.ErrorContains(t, err, "restore the name in Pulumi.yaml")
}

// What is wrong with a file is told with its place, and without what stands there.
func TestStackFileProblemsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"config:\n  homelab-ai:domain: a.lan\n  homelab-ai:domain: planted\n": `line 3: key "homelab-ai:domain" already set in map`,
		"config:\n  homelab-ai:domain: a: planted\n":                          "line 2: mapping values are not allowed in this context",
	} {
		message := problemsOf(t, text).Error()
		assert.Contains(t, message, want)
		assert.NotContains(t, message, "planted")
	}
}

func TestOverlapSuggestsAFreeRange(t *testing.T) {
	_, problems := with(t, "{cluster: {podCIDR: 10.42.0.0/16, serviceCIDR: 10.42.128.0/17}}")
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Fix, "such as 10.43.0.0/16")
}

func TestParseStackFileRefusesOtherFiles(t *testing.T) {
	_, err := ParseStackFile("testdata/valid/single-node.yaml")
	assert.ErrorContains(t, err, "must be Pulumi.<stack>.yaml")
	_, err = ParseStackFile("testdata/Pulumi.nowhere.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
	for name, text := range map[string]string{"empty": "", "a list": "[]", "no config": "encryptionsalt: v1", "config of a text": "config: text"} {
		t.Run(name, func(t *testing.T) {
			problems := problemsOf(t, text)
			assert.Equal(t, []string{"stack-file@Pulumi.homelab.yaml"}, rulesAt(problems))
		})
	}
}
