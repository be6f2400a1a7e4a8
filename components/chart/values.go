package chart

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"

	"github.com/homelab-ai/homelab-ai/config"
)

// Values are a chart's values. Leaves are plain Go values or Outputs that are not secret; a secret one is refused
// with the path of the value in the error.
type Values = map[string]any

// merge lays the values of over on those of base: maps merge, everything else (lists too) is replaced. A null stays,
// because it makes Helm drop the chart's own default. Neither argument is changed.
func merge(base, over Values) Values {
	merged := make(Values, len(base)+len(over))
	for key, value := range base {
		merged[key] = normalise(value)
	}
	for key, value := range over {
		value = normalise(value)
		below, isMap := merged[key].(Values)
		above, bothMaps := value.(Values)
		if isMap && bothMaps {
			value = merge(below, above)
		}
		merged[key] = value
	}
	return merged
}

// normalise copies a value so that every map is a Values and every list a []any, whatever their element types are.
func normalise(value any) any {
	if value == nil {
		return nil
	}
	if _, isOutput := value.(pulumi.Output); isOutput {
		return value
	}
	v := reflect.ValueOf(value)
	switch {
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		copied := make(Values, v.Len())
		for _, key := range v.MapKeys() {
			copied[key.String()] = normalise(v.MapIndex(key).Interface())
		}
		return copied
	case v.Kind() == reflect.Slice:
		copied := make([]any, v.Len())
		for i := range copied {
			copied[i] = normalise(v.Index(i).Interface())
		}
		return copied
	case v.Kind() == reflect.Pointer && v.IsNil():
		return nil
	}
	return value
}

// set puts a value at a path (keys separated by dots) and makes the maps on the way.
func set(values Values, path, key string, value any) {
	at := values
	for _, step := range strings.Split(path, ".") {
		next, ok := at[step].(Values)
		if !ok {
			next = Values{}
			at[step] = next
		}
		at = next
	}
	at[key] = value
}

// inputs turns values into Pulumi inputs that fail when a secret is among them.
func inputs(ctx context.Context, chart string, values Values) (pulumi.Map, error) {
	converted := make(pulumi.Map, len(values))
	for key, value := range values {
		input, err := toInput(ctx, chart, key, value)
		if err != nil {
			return nil, err
		}
		converted[key] = input
	}
	return converted, nil
}

func toInput(ctx context.Context, chart, path string, value any) (pulumi.Input, error) {
	switch v := value.(type) {
	case nil:
		return pulumi.Any(nil), nil
	case Values:
		converted := make(pulumi.Map, len(v))
		for key, element := range v {
			input, err := toInput(ctx, chart, path+"."+key, element)
			if err != nil {
				return nil, err
			}
			converted[key] = input
		}
		return converted, nil
	case []any:
		converted := make(pulumi.Array, len(v))
		for i, element := range v {
			input, err := toInput(ctx, chart, fmt.Sprintf("%s[%d]", path, i), element)
			if err != nil {
				return nil, err
			}
			converted[i] = input
		}
		return converted, nil
	case config.Secret, *config.Secret:
		return nil, secretError(chart, path)
	case pulumi.Output:
		return refuseSecret(ctx, chart, path, v), nil
	case pulumi.Input:
		return refuseSecret(ctx, chart, path, pulumi.ToOutputWithContext(ctx, v)), nil
	}
	switch kind := reflect.ValueOf(value).Kind(); kind {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return pulumi.Any(value), nil
	default:
		return nil, fmt.Errorf("chart %s: value %s is a %s, which values can't hold: use maps, lists and plain values",
			chart, path, reflect.TypeOf(value))
	}
}

// refuseSecret passes an output on unless it is secret. Secretness is asked of the output itself, since a function
// applied to it would not run while its value is unknown.
func refuseSecret(ctx context.Context, chart, path string, output pulumi.Output) pulumi.Output {
	return pulumi.String("").ToStringOutput().ApplyTWithContext(ctx, func(ctx context.Context, _ string) (pulumi.AnyOutput, error) {
		result, err := internals.UnsafeAwaitOutput(ctx, output)
		if err != nil {
			return pulumi.AnyOutput{}, err
		}
		if result.Secret {
			return pulumi.AnyOutput{}, secretError(chart, path)
		}
		return output.ApplyT(func(v any) any { return v }).(pulumi.AnyOutput), nil
	}).(pulumi.AnyOutput)
}

func secretError(chart, path string) error {
	return fmt.Errorf("chart %s: value %s is a secret, and values are stored in plain text by Helm and Argo CD: "+
		"put it into a Secret and give the chart that Secret's name", chart, path)
}

// nulls returns the part of values that is null, and whether there is any. Pulumi drops nulls from maps.
func nulls(values Values) (Values, bool) {
	found := Values{}
	for key, value := range values {
		switch v := value.(type) {
		case nil:
			found[key] = nil
		case Values:
			if below, any := nulls(v); any {
				found[key] = below
			}
		}
	}
	return found, len(found) > 0
}
