package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const planted = "planted-secret-value"

// everyPath calls visit with every key of the config, lists and maps with one entry.
func everyPath(of reflect.Type, keys []any, visit func(keys []any, secret bool)) {
	if len(keys) > 0 {
		visit(keys, of == secretType)
	}
	deeper := func(key any) []any { return append(append([]any{}, keys...), key) }
	switch {
	case of == secretType:
	case of.Kind() == reflect.Pointer:
		everyPath(of.Elem(), keys, func(k []any, secret bool) {
			if len(k) > len(keys) {
				visit(k, secret)
			}
		})
	case of.Kind() == reflect.Struct:
		for key, index := range fieldsOf(of) {
			everyPath(of.Field(index).Type, deeper(key), visit)
		}
	case of.Kind() == reflect.Slice:
		everyPath(of.Elem(), deeper(0), visit)
	case of.Kind() == reflect.Map:
		everyPath(of.Elem(), deeper("ollama"), visit)
	}
}

// plant builds the tree that holds the value at the keys and nothing else.
func plant(keys []any, value any) any {
	if len(keys) == 0 {
		return value
	}
	if name, ok := keys[0].(string); ok {
		return map[string]any{name: plant(keys[1:], value)}
	}
	return []any{plant(keys[1:], value)}
}

// Wherever a secret stands, of whatever shape, and whatever is wrong with it: no problem shows it.
func TestNoProblemShowsASecret(t *testing.T) {
	looked, refused := 0, 0
	everyPath(reflect.TypeFor[Config](), nil, func(keys []any, secret bool) {
		shapes := map[string]any{
			"encrypted text":    Encrypted{planted},
			"encrypted list":    Encrypted{[]any{planted}},
			"encrypted mapping": Encrypted{map[string]any{"key": planted}},
			"encrypted below":   map[string]any{"unknown": Encrypted{planted}, "list": []any{Encrypted{planted}}},
		}
		if secret {
			shapes["plain text"] = planted
			shapes["plain list"] = []any{planted}
			shapes["plain mapping"] = map[string]any{"key": planted}
		}
		for shape, value := range shapes {
			tree := plant(keys, value).(map[string]any)
			raw := minimal(t)
			for key, item := range prefixed(tree) {
				raw[key] = lay(raw[key], item)
			}
			_, err := Parse(Input{Stack: "homelab", Keys: raw})
			looked++
			if err != nil {
				refused++
				assert.NotContains(t, err.Error(), planted, "%s at %v", shape, keys)
			}
		}
	})
	assert.Greater(t, looked, 500)
	assert.Greater(t, refused, looked/2)
}

// Every secret field takes an encrypted value and refuses the same in plain text.
func TestSecretFields(t *testing.T) {
	var fields []string
	everyPath(reflect.TypeFor[Config](), nil, func(keys []any, secret bool) {
		if !secret {
			return
		}
		fields = append(fields, fmt.Sprint(keys...))
		parse := func(value any) string {
			raw := minimal(t)
			for key, item := range prefixed(plant(keys, value).(map[string]any)) {
				raw[key] = lay(raw[key], item)
			}
			_, err := Parse(Input{Keys: raw})
			if err == nil {
				return ""
			}
			return err.Error()
		}
		assert.Contains(t, parse(planted), string(PlaintextSecret), "%v", keys)
		assert.Contains(t, parse(json.Number("123456")), string(PlaintextSecret), "%v", keys)
		assert.NotContains(t, parse(json.Number("123456")), "123456", "%v", keys)
		assert.NotContains(t, parse(Encrypted{planted}), string(PlaintextSecret), "%v", keys)
		assert.NotContains(t, parse(""), string(PlaintextSecret), "%v", keys)
	})
	assert.Len(t, fields, 7)
}

// A secret that is quoted by another key's problem is hidden there too.
func TestSecretIsHiddenElsewhere(t *testing.T) {
	_, problems := with(t, "{services: {gitlab: {host: {secure: planted-secret-value}}, openWebUI: {adminEmail: planted-secret-value}}}")
	assert.NotContains(t, problems.Error(), planted)
	assert.Len(t, problems, 2)
}

func TestSecretNeverPrints(t *testing.T) {
	secret := NewSecret(planted)
	encoded, err := json.Marshal(map[string]any{"secret": secret})
	require.NoError(t, err)
	for _, text := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q %d %x", secret, secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%+v", struct{ S Secret }{secret}), fmt.Sprintf("%+v %#v %d", struct{ s Secret }{secret}, struct{ s Secret }{secret}, struct{ s Secret }{secret}), fmt.Sprintf("%+v", &struct{ S *Secret }{&secret}), string(encoded),
	} {
		assert.NotContains(t, text, planted)
	}
	assert.Equal(t, planted, secret.Reveal())
	assert.True(t, secret.IsSet())
	assert.False(t, NewSecret("").IsSet())
	var read Secret
	require.NoError(t, json.Unmarshal([]byte(`"planted-secret-value"`), &read))
	assert.Equal(t, planted, read.Reveal())
}

// Where the stack file and the decrypted tree disagree, the whole is taken for secret.
func TestSeal(t *testing.T) {
	secret := Encrypted{"cipher"}
	for name, test := range map[string]struct{ decrypted, file, want any }{
		"a text":             {"a", "a", "a"},
		"an encrypted text":  {"a", secret, Encrypted{"a"}},
		"a field":            {map[string]any{"a": "1", "b": "2"}, map[string]any{"a": secret, "b": "2"}, map[string]any{"a": Encrypted{"1"}, "b": "2"}},
		"a field of no file": {map[string]any{"a": "1"}, map[string]any{}, map[string]any{"a": Encrypted{"1"}}},
		"an item":            {[]any{"1", "2"}, []any{"1", secret}, []any{"1", Encrypted{"2"}}},
		"no mapping":         {"a", map[string]any{}, Encrypted{"a"}},
		"no list":            {"a", []any{}, Encrypted{"a"}},
		"a longer list":      {[]any{"1", "2"}, []any{"1"}, Encrypted{[]any{"1", "2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, seal(test.decrypted, test.file))
		})
	}
}

// Below a key that is encrypted as a whole nobody knows what is secret, so no value shows.
func TestCoveredValuesAreHidden(t *testing.T) {
	keys := minimal(t)
	keys[prefix+"services"] = Encrypted{map[string]any{
		"gitlab":  map[string]any{"size": "planted-size", "tokn": "planted-token", "list": []any{"planted-item", map[string]any{"deep": "planted-deep"}}},
		"jupyter": map[string]any{"users": []any{"Planted User"}, "userCPU": json.Number("987654.3")},
	}}
	_, err := Parse(Input{Keys: keys})
	var problems Problems
	require.ErrorAs(t, err, &problems)
	assert.ElementsMatch(t, []string{
		"quantity@services.gitlab.size", "unknown-key@services.gitlab.tokn", "unknown-key@services.gitlab.list",
		"jupyter-user@services.jupyter.users[0]", "wrong-type@services.jupyter.userCPU",
	}, rulesAt(problems))
	assert.NotContains(t, err.Error(), "lanted-")
	assert.NotContains(t, err.Error(), "Planted")
	assert.NotContains(t, err.Error(), "987654")
}
