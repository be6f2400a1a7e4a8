package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Load returns the config of the stack that is being deployed. It compares it with the stack files that lie next to
// Pulumi.yaml, so that two stacks never claim one address. The error is Problems, or says which file can't be read.
func Load(ctx *pulumi.Context) (*Config, error) {
	if ctx.Project() != Namespace {
		return nil, fmt.Errorf("the project is named %s, but its config keys begin with %s; restore the name in Pulumi.yaml", ctx.Project(), prefix)
	}
	directory := ctx.RootDirectory()
	if directory == "" {
		directory = "."
	}
	files, err := stackFiles(directory)
	if err != nil {
		return nil, err
	}
	own := files[ctx.Stack()]
	delete(files, ctx.Stack())
	return Parse(Input{Stack: ctx.Stack(), Keys: contextKeys(ctx, own), Siblings: files})
}

// ParseStackFile returns the config of a stack file named Pulumi.<stack>.yaml as it is committed: a secret holds its
// ciphertext. It compares it with the stack files beside it. The error is Problems, or says which file can't be read.
func ParseStackFile(path string) (*Config, error) {
	stack, ok := stackName(path)
	if !ok {
		return nil, fmt.Errorf("%s is not a stack file: its name must be Pulumi.<stack>.yaml", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the config of stack %s: %w", stack, err)
	}
	keys, err := stackFileKeys(text)
	if err != nil {
		return nil, Problems{{Rule: StackFile, Path: filepath.Base(path), Fix: err.Error()}}
	}
	files, err := stackFiles(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	delete(files, stack)
	return Parse(Input{Stack: stack, Keys: keys, Siblings: files})
}

// Parse decodes, defaults and checks. The error is Problems.
func Parse(input Input) (*Config, error) {
	cfg := &Config{Stack: input.Stack}
	c := &checker{cfg: cfg, catalogue: DefaultCatalogue()}
	c.decode(input.Keys)
	c.requireProtect()
	c.mergeVersions()
	c.noteStorage()
	cfg.applyDefaults()
	c.validate()
	c.compareWithSiblings(input.Siblings)
	if problems := c.sorted(); len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

// Validate checks a config that Parse has returned and a program has changed since, against every rule that needs neither
// the text of the stack file nor other stacks. The error is Problems.
func (c *Config) Validate() error {
	again := &checker{cfg: c, catalogue: DefaultCatalogue()}
	again.validate()
	if problems := again.sorted(); len(problems) > 0 {
		return problems
	}
	return nil
}

// stackFiles reads every stack file of a directory; one that can't be parsed has no keys to compare with.
func stackFiles(directory string) (map[string]map[string]any, error) {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for stack files: %w", err)
	}
	files := map[string]map[string]any{}
	for _, entry := range entries {
		stack, ok := stackName(entry.Name())
		if !ok || entry.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the config of stack %s: %w", stack, err)
		}
		if keys, err := stackFileKeys(text); err == nil {
			files[stack] = keys
		}
	}
	return files, nil
}

// stackName returns the stack that a file configures.
func stackName(path string) (string, bool) {
	base := filepath.Base(path)
	name, isYAML := strings.CutSuffix(base, ".yaml")
	name, isStack := strings.CutPrefix(name, "Pulumi.")
	return name, isYAML && isStack && name != ""
}

// contextKeys returns the decrypted keys of the running program, with secrets marked as far as the stack file tells.
//
// The SDK answers for one key at a time. The CLI passes all of them in the environment; an inline program has
// no such variable, so there the known keys are asked for, and the stack file shows keys that are not known.
func contextKeys(ctx *pulumi.Context, file map[string]any) map[string]any {
	raw := map[string]string{}
	if text := os.Getenv(pulumi.EnvConfig); text == "" || json.Unmarshal([]byte(text), &raw) != nil {
		raw = map[string]string{}
		names := topLevelKeys()
		for key := range file {
			if name, ours := strings.CutPrefix(key, prefix); ours {
				names = append(names, name)
			}
		}
		for _, name := range names {
			if value, ok := ctx.GetConfig(prefix + name); ok {
				raw[prefix+name] = value
			}
		}
	}
	keys := map[string]any{}
	for key, text := range raw {
		name, ours := strings.CutPrefix(key, prefix)
		if !ours {
			continue
		}
		value := parseText(name, text)
		if ctx.IsConfigSecret(key) {
			marks, known := file[key]
			if !known {
				marks = Encrypted{}
			}
			value = seal(value, marks)
		}
		keys[key] = value
	}
	// A key that the program was not given, but the file holds, can only be one that is not known.
	for key := range file {
		name, ours := strings.CutPrefix(key, prefix)
		if _, given := keys[key]; ours && !given && !isTopLevelKey(name) {
			keys[key] = nil
		}
	}
	return keys
}

// parseText turns the text of a top-level key into a tree: the text itself where a string is wanted, else its JSON.
func parseText(name, text string) any {
	if isTextKey(name) {
		return text
	}
	tree, err := decodeJSON([]byte(text))
	if err != nil {
		return text // decoding refuses it with the type that is wanted
	}
	return tree
}
