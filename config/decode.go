package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agext/levenshtein"
)

var secretType = reflect.TypeFor[Secret]()

// decode fills the config from the raw keys and notes whatever does not fit the typed structs.
func (c *checker) decode(keys map[string]any) {
	tree := make(map[string]any, len(keys))
	for key, value := range keys {
		if name, ours := strings.CutPrefix(key, prefix); ours {
			tree[name] = value
		}
	}
	c.decodeStruct("", tree, reflect.ValueOf(c.cfg).Elem(), false)
}

// decodeValue fills one target. covered says that a key above is encrypted as a whole, so that nobody knows which part
// of it is secret.
func (c *checker) decodeValue(path string, value any, target reflect.Value, covered bool) {
	encrypted := covered
	if mark, ok := value.(Encrypted); ok {
		c.noteSecret(path, mark.Value)
		value, encrypted = mark.Value, true
		if !covered && target.Type() != secretType && !isTree(value) {
			c.add(EncryptedValue, path, redacted, "this is not a secret; store it in plain text, and encrypt secret fields alone: "+
				"pulumi config set --secret --path '%s<key>.<field>'", prefix)
			return
		}
		covered = true
	}
	if value == nil {
		return
	}
	if target.Type() == secretType {
		c.decodeSecret(path, value, target, encrypted)
		return
	}
	switch target.Kind() {
	case reflect.Pointer:
		element := reflect.New(target.Type().Elem())
		c.decodeValue(path, value, element.Elem(), covered)
		target.Set(element)
	case reflect.Struct:
		tree, ok := value.(map[string]any)
		if !ok {
			c.wrongType(path, value, "a mapping")
			return
		}
		c.decodeStruct(path, tree, target, covered)
	case reflect.Map:
		c.decodeMap(path, value, target, covered)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			c.wrongType(path, value, "a list")
			return
		}
		elements := reflect.MakeSlice(target.Type(), len(list), len(list))
		for i, item := range list {
			c.decodeValue(fmt.Sprintf("%s[%d]", path, i), item, elements.Index(i), covered)
		}
		target.Set(elements)
	case reflect.String:
		c.decodeString(path, value, target)
	case reflect.Bool:
		c.decodeBool(path, value, target)
	case reflect.Int:
		c.decodeInt(path, value, target)
	default:
		panic(fmt.Sprintf("config: no way to decode a %s at %s", target.Type(), path))
	}
}

func (c *checker) decodeStruct(path string, tree map[string]any, target reflect.Value, covered bool) {
	fields := fieldsOf(target.Type())
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		index, known := fields[key]
		if !known {
			c.unknownKey(join(path, key), key, slices.Sorted(maps.Keys(fields)))
			c.noteTree(join(path, key), tree[key], covered)
			continue
		}
		c.decodeValue(join(path, key), tree[key], target.Field(index), covered)
	}
}

func (c *checker) decodeMap(path string, value any, target reflect.Value, covered bool) {
	tree, ok := value.(map[string]any)
	if !ok {
		c.wrongType(path, value, "a mapping")
		return
	}
	entries := reflect.MakeMapWithSize(target.Type(), len(tree))
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		if target.Type().Elem().Kind() == reflect.Interface {
			entries.SetMapIndex(reflect.ValueOf(key), c.freeForm(join(path, key), tree[key], covered))
			continue
		}
		element := reflect.New(target.Type().Elem()).Elem()
		c.decodeValue(join(path, key), tree[key], element, covered)
		entries.SetMapIndex(reflect.ValueOf(key), element)
	}
	target.Set(entries)
}

// freeForm turns a tree of chart values into plain Go values: string, bool, int, float64, nil, map[string]any, []any.
// Values are readable in Argo CD and in Helm's history, so a secret must not reach them.
func (c *checker) freeForm(path string, value any, covered bool) reflect.Value {
	plain := c.plain(path, value, covered)
	if plain == nil {
		return reflect.Zero(reflect.TypeFor[any]())
	}
	return reflect.ValueOf(plain)
}

func (c *checker) plain(path string, value any, covered bool) any {
	if mark, ok := value.(Encrypted); ok {
		c.noteSecret(path, mark.Value)
		covered, value = true, mark.Value
	}
	switch value := value.(type) {
	case map[string]any:
		plain := make(map[string]any, len(value))
		for key, item := range value {
			plain[key] = c.plain(join(path, key), item, covered)
		}
		return plain
	case []any:
		plain := make([]any, len(value))
		for i, item := range value {
			plain[i] = c.plain(fmt.Sprintf("%s[%d]", path, i), item, covered)
		}
		return plain
	}
	if covered {
		c.add(SecretInValues, path, redacted, "chart values are readable in Argo CD and in Helm's history; keep the secret in a "+
			"Kubernetes Secret and name that in the values")
		return nil
	}
	if number, ok := value.(json.Number); ok {
		if integer, err := strconv.Atoi(number.String()); err == nil {
			return integer
		}
		float, err := number.Float64()
		if err != nil {
			c.wrongType(path, value, "a number that fits 64 bits")
			return nil
		}
		return float
	}
	return value
}

func (c *checker) decodeSecret(path string, value any, target reflect.Value, encrypted bool) {
	c.noteSecret(path, value)
	text, ok := value.(string)
	if number, isNumber := value.(json.Number); isNumber {
		text, ok = number.String(), true
	}
	switch {
	case !ok:
		c.wrongType(path, value, "an encrypted text")
	case text == "":
	case !encrypted:
		c.add(PlaintextSecret, path, redacted, "is a secret in plain text; replace it at its source, then store it with: "+
			"pulumi config set --secret --path '%s%s'", prefix, path)
	default:
		target.Set(reflect.ValueOf(NewSecret(text)))
	}
}

func (c *checker) decodeString(path string, value any, target reflect.Value) {
	switch value := value.(type) {
	case string:
		if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			c.add(Text, path, "", "must be one line without control characters")
			return
		}
		target.SetString(value)
	case json.Number:
		// 1.10 would lose its zero on the way, so only whole numbers may go without quotes.
		if _, err := strconv.Atoi(value.String()); err != nil {
			c.wrongType(path, value, "a text; put it in quotes")
			return
		}
		target.SetString(value.String())
	default:
		c.wrongType(path, value, "a text; put it in quotes")
	}
}

func (c *checker) decodeBool(path string, value any, target reflect.Value) {
	switch value {
	case true, "true":
		target.SetBool(true)
	case false, "false":
		target.SetBool(false)
	default:
		c.wrongType(path, value, "true or false")
	}
}

func (c *checker) decodeInt(path string, value any, target reflect.Value) {
	text := ""
	switch value := value.(type) {
	case json.Number:
		text = value.String()
	case string:
		text = value
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		c.wrongType(path, value, "a whole number")
		return
	}
	target.SetInt(number)
}

func (c *checker) wrongType(path string, value any, want string) {
	c.add(WrongType, path, describe(value), "must be %s", want)
}

func (c *checker) unknownKey(path, key string, known []string) {
	fix := "there is no such key; known here: " + strings.Join(known, ", ")
	if nearest := nearest(key, known); nearest != "" {
		fix = fmt.Sprintf("there is no such key; did you mean %s?", nearest)
	}
	c.add(UnknownKey, path, key, "%s", fix)
}

// nearest returns the known word that is most like the given one, or nothing when none is.
func nearest(word string, known []string) string {
	best, distance := "", len(word)
	for _, candidate := range known {
		d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(candidate), nil)
		if d < distance && d <= (len(candidate)+1)/2 {
			best, distance = candidate, d
		}
	}
	return best
}

// describe shows a value of the wrong type without spreading it out.
func describe(value any) string {
	switch value := value.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case Encrypted:
		return redacted
	default:
		return fmt.Sprint(value)
	}
}

func isTree(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fieldsOf returns the index of each field of a struct by its key.
func fieldsOf(structure reflect.Type) map[string]int {
	fields := make(map[string]int, structure.NumField())
	for i := range structure.NumField() {
		if key := structure.Field(i).Tag.Get("json"); key != "" && key != "-" {
			fields[key] = i
		}
	}
	return fields
}

func topLevelKeys() []string {
	return slices.Sorted(maps.Keys(fieldsOf(reflect.TypeFor[Config]())))
}

func isTopLevelKey(name string) bool {
	_, known := fieldsOf(reflect.TypeFor[Config]())[name]
	return known
}

// isTextKey tells whether the top-level key is a plain text, which Pulumi passes as it is.
func isTextKey(name string) bool {
	index, known := fieldsOf(reflect.TypeFor[Config]())[name]
	return known && reflect.TypeFor[Config]().Field(index).Type.Kind() == reflect.String
}
