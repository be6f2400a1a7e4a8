package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// Namespace is the project's name, before the colon of each of its config keys.
const Namespace = "homelab-ai"

const prefix = Namespace + ":"

// Input is what Parse looks at.
type Input struct {
	// Stack is the stack's name.
	Stack string
	// Keys holds the raw value of each config key by its full name, such as homelab-ai:domain. Values are trees of
	// map[string]any, []any, string, bool, json.Number and nil, with Encrypted around what is a secret. Keys
	// of other namespaces are left alone.
	Keys map[string]any
	// Siblings holds the same for the other stacks of the project, by stack name. Only what is plain text in them is
	// compared.
	Siblings map[string]map[string]any
}

// Encrypted marks a config value that the stack file holds encrypted.
type Encrypted struct {
	// Value is the decrypted tree, or the ciphertext where it was read from a stack file.
	Value any
}

// stackFileKeys returns the config keys of a stack file.
func stackFileKeys(text []byte) (map[string]any, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("not valid YAML: %s; correct that line", briefly(err))
	}
	tree, err := decodeJSON(asJSON)
	if err != nil {
		return nil, errors.New("not valid YAML")
	}
	file, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("not a mapping with the key config")
	}
	keys, ok := file["config"].(map[string]any)
	if !ok {
		return nil, errors.New("no mapping under the key config")
	}
	for key, value := range keys {
		keys[key] = markEncrypted(value)
	}
	return keys, nil
}

// markEncrypted replaces Pulumi's {secure: ciphertext} by Encrypted.
func markEncrypted(tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		if text, ok := tree["secure"].(string); ok && len(tree) == 1 {
			return Encrypted{Value: text}
		}
		for key, value := range tree {
			tree[key] = markEncrypted(value)
		}
	case []any:
		for i, value := range tree {
			tree[i] = markEncrypted(value)
		}
	}
	return tree
}

// decodeJSON decodes one JSON value and keeps numbers as they are spelled.
func decodeJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return tree, nil
}

// seal carries the marks of a stack file's tree over to the decrypted tree of the same key. Pulumi tells a program only
// which top-level keys hold a secret somewhere; the file knows where.
func seal(decrypted, file any) any {
	switch file := file.(type) {
	case Encrypted:
		return Encrypted{Value: decrypted}
	case map[string]any:
		tree, ok := decrypted.(map[string]any)
		if !ok {
			return Encrypted{Value: decrypted}
		}
		sealed := make(map[string]any, len(tree))
		for key, value := range tree {
			marked, known := file[key]
			if !known {
				sealed[key] = Encrypted{Value: value}
				continue
			}
			sealed[key] = seal(value, marked)
		}
		return sealed
	case []any:
		list, ok := decrypted.([]any)
		if !ok || len(list) != len(file) {
			return Encrypted{Value: decrypted}
		}
		sealed := make([]any, len(list))
		for i, value := range list {
			sealed[i] = seal(value, file[i])
		}
		return sealed
	}
	return decrypted
}

// briefly keeps the YAML library's message to one line: the first of its findings, without the heading. Its messages name
// lines and keys, never values.
func briefly(err error) string {
	message := err.Error()
	if _, findings, several := strings.Cut(message, "unmarshal errors:\n"); several {
		message = findings
	}
	message, _, _ = strings.Cut(message, "\n")
	return strings.TrimPrefix(strings.TrimSpace(message), "yaml: ")
}
