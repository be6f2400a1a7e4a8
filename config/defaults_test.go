package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestDefaults(t *testing.T) {
	cfg, err := Parse(Input{Stack: "homelab", Keys: minimal(t)})
	require.NoError(t, err)

	assert.Equal(t, "192.168.1.20", cfg.APIEndpoint())
	assert.Equal(t, "192.168.1.20", cfg.Cluster.Nodes[0].Address)
	assert.Equal(t, "10.1.0.10", cfg.ClusterDNS())
	assert.Equal(t, "192.168.1.200", cfg.Network.IngressAddress)
	assert.Equal(t, "192.168.1.200", cfg.Network.GitLabSSHAddress)
	assert.Equal(t, []string{"192.168.1.0/24", "10.0.0.0/16"}, cfg.Network.AllowedSources)
	assert.Equal(t, "gitlab.lab.home.arpa", cfg.Services.GitLab.Host)
	assert.Equal(t, "gitlab", cfg.SignIn.Provider)
	assert.Equal(t, "/var/lib/rancher/k3s/storage", cfg.Storage.Path)
	assert.Equal(t, "local-path", cfg.ClassFor("gitlab"))
	assert.True(t, *cfg.Cluster.SSH.Agent)
	assert.Zero(t, *cfg.Services.Ollama.GPU)
	assert.Len(t, cfg.Servers(), 1)
	assert.Empty(t, cfg.Agents())
	assert.False(t, cfg.HasGPU(""))
	assert.False(t, cfg.Purged("gitlab"))
	for name, on := range map[string]bool{
		"gitops": cfg.GitOpsEnabled(), "gitlab": cfg.Services.GitLab.On(), "runners": cfg.Services.GitLab.Runners.On(),
		"jupyter": cfg.Services.Jupyter.On(), "ollama": cfg.Services.Ollama.On(), "open webui": cfg.Services.OpenWebUI.On(),
		"monitoring": cfg.Services.Monitoring.On(),
	} {
		assert.True(t, on, name)
	}
	assert.False(t, cfg.Backup.On())
}

func TestDefaultsFollowWhatIsSaid(t *testing.T) {
	ha, err := load(t, fixtures(t, "valid")["high-availability"])
	require.NoError(t, err)
	assert.Len(t, ha.Servers(), 3)
	assert.Len(t, ha.Agents(), 1)
	assert.Equal(t, "192.168.1.10", ha.APIEndpoint())
	assert.Equal(t, 3, ha.Cluster.CoreReplicas)

	gpu, err := load(t, fixtures(t, "valid")["gpu"])
	require.NoError(t, err)
	assert.True(t, gpu.HasGPU("nvidia"))
	assert.True(t, gpu.HasGPU(""))
	assert.False(t, gpu.HasGPU("amd"))

	off, err := load(t, fixtures(t, "valid")["services-off"])
	require.NoError(t, err)
	assert.False(t, off.Services.OpenWebUI.On(), "there is no Ollama")
	assert.False(t, off.Services.GitLab.Runners.On(), "there is no GitLab")
	assert.Equal(t, "local", off.SignIn.Provider)
	assert.True(t, off.Purged("gitlab"))
	assert.False(t, off.Purged("ollama"))

	monitoring, err := load(t, fixtures(t, "valid")["monitoring"])
	require.NoError(t, err)
	assert.Equal(t, "slow", monitoring.ClassFor("gitlab"))
	assert.Equal(t, "fast", monitoring.ClassFor("ollama"))

	s3, err := load(t, fixtures(t, "valid")["s3-backup"])
	require.NoError(t, err)
	assert.True(t, s3.Backup.On())

	jump, err := load(t, fixtures(t, "valid")["jump-host"])
	require.NoError(t, err)
	assert.False(t, *jump.Cluster.SSH.Agent)
	assert.Equal(t, "lab", jump.Cluster.Nodes[0].User)
	assert.Equal(t, 2222, jump.Cluster.Nodes[0].Port)
	assert.Equal(t, 22, jump.Cluster.SSH.JumpHost.Port)
}

// switches are the pointers that Load fills; an absent block stays nil.
func TestEverySwitchIsFilled(t *testing.T) {
	cfg, err := Parse(Input{Keys: minimal(t)})
	require.NoError(t, err)
	filled := 0
	var walk func(path string, value reflect.Value)
	walk = func(path string, value reflect.Value) {
		switch value.Kind() {
		case reflect.Struct:
			if value.Type() == secretType {
				return
			}
			for i := range value.NumField() {
				walk(path+"."+value.Type().Field(i).Name, value.Field(i))
			}
		case reflect.Slice:
			for i := range value.Len() {
				walk(path, value.Index(i))
			}
		case reflect.Pointer:
			if kind := value.Type().Elem().Kind(); kind == reflect.Bool || kind == reflect.Int {
				filled++
				assert.False(t, value.IsNil(), path)
			}
		}
	}
	walk("", reflect.ValueOf(*cfg))
	assert.Greater(t, filled, 10)
}

// Every key says what it is for, and whether it is REQUIRED or what its default is.
func TestEveryKeyIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", nil, parser.ParseComments)
	require.NoError(t, err)
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.TypeSpec); ok {
			structs[spec.Name.Name], _ = spec.Type.(*ast.StructType)
		}
		return true
	})
	// The catalogue's entries are all pinned, and Secret documents itself.
	pinned := map[string]bool{"K3s": true, "Chart": true, "Image": true, "HostPackage": true, "HostPackages": true, "Catalogue": true}
	documented := 0
	for name, structure := range structs {
		if pinned[name] {
			continue
		}
		comment := ""
		for _, field := range structure.Fields.List {
			if field.Doc != nil {
				comment = field.Doc.Text() // one comment may speak for the fields right below it
			}
			typ, _ := field.Type.(*ast.Ident)
			if typ != nil && structs[typ.Name] != nil && field.Doc == nil {
				continue // a block of keys, documented at its type
			}
			documented++
			assert.NotEmpty(t, comment, "%s.%s", name, field.Names[0].Name)
			if typ != nil && structs[typ.Name] != nil {
				continue
			}
			assert.Regexp(t, `REQUIRED|Default|It is not a key`, comment, "%s.%s", name, field.Names[0].Name)
		}
	}
	assert.Greater(t, documented, 100)
}

// Pulumi.yaml declares the same keys with the same types, and no default that means anything.
func TestProjectDeclaresEveryKey(t *testing.T) {
	text, err := os.ReadFile("../Pulumi.yaml")
	require.NoError(t, err)
	var project struct {
		Name   string
		Config map[string]struct {
			Type        string
			Items       struct{ Type string }
			Description string
			Default     any
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &project))
	assert.Equal(t, Namespace, project.Name)

	fields := fieldsOf(reflect.TypeFor[Config]())
	assert.Len(t, project.Config, len(fields))
	for key, index := range fields {
		declared, ok := project.Config[key]
		require.True(t, ok, "Pulumi.yaml lacks %s", key)
		assert.NotEmpty(t, declared.Description, key)
		field := reflect.TypeFor[Config]().Field(index)
		of := field.Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		var empty any
		switch of.Kind() {
		case reflect.String:
			assert.Equal(t, "string", declared.Type, key)
			empty = ""
		case reflect.Bool:
			assert.Equal(t, "boolean", declared.Type, key)
		case reflect.Slice:
			assert.Equal(t, "array", declared.Type, key)
			assert.Equal(t, "string", declared.Items.Type, key)
			empty = []any{}
		default:
			assert.Equal(t, "object", declared.Type, key)
			empty = map[string]any{}
		}
		if strings.Contains(declared.Description, "REQUIRED") {
			assert.Nil(t, declared.Default, key)
		} else {
			assert.Equal(t, empty, declared.Default, "%s: defaults are in defaults.go alone", key)
		}
	}
}
