package chart

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ base, over, want Values }{
		"maps merge":           {Values{"a": Values{"b": 1, "c": 2}}, Values{"a": Values{"c": 3, "d": 4}}, Values{"a": Values{"b": 1, "c": 3, "d": 4}}},
		"lists replace":        {Values{"a": []any{1, 2}}, Values{"a": []any{3}}, Values{"a": []any{3}}},
		"typed lists as well":  {Values{"a": []string{"x"}}, Values{"a": []string{"y", "z"}}, Values{"a": []any{"y", "z"}}},
		"null stays":           {Values{"a": Values{"b": 1}}, Values{"a": nil}, Values{"a": nil}},
		"scalar over map":      {Values{"a": Values{"b": 1}}, Values{"a": "x"}, Values{"a": "x"}},
		"map over scalar":      {Values{"a": "x"}, Values{"a": Values{"b": 1}}, Values{"a": Values{"b": 1}}},
		"maps of strings":      {Values{"a": map[string]string{"b": "1"}}, Values{"a": map[string]any{"c": 2}}, Values{"a": Values{"b": "1", "c": 2}}},
		"false is a value":     {Values{"a": true}, Values{"a": false}, Values{"a": false}},
		"nothing over nothing": {nil, nil, Values{}},
	}
	for name, c := range cases {
		assert.Equal(t, c.want, merge(c.base, c.over), name)
	}
}

// randomValues draws a tree of maps, lists and scalars.
func randomValues(r *rand.Rand, depth int) Values {
	values := Values{}
	for range r.IntN(4) {
		key := string(rune('a' + r.IntN(4)))
		switch kind := r.IntN(4); {
		case kind == 0 && depth > 0:
			values[key] = randomValues(r, depth-1)
		case kind == 1:
			values[key] = []any{r.IntN(3)}
		case kind == 2:
			values[key] = nil
		default:
			values[key] = r.IntN(3)
		}
	}
	return values
}

func TestMergeLaws(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		a, b := randomValues(r, 3), randomValues(r, 3)
		before := text(t, a) + text(t, b)
		merged := merge(a, b)
		require.Equal(t, before, text(t, a)+text(t, b), "the arguments stay, seed %d", seed)
		require.Equal(t, a, merge(a, nil), "nothing over a is a, seed %d", seed)
		require.Equal(t, b, merge(nil, b), "b over nothing is b, seed %d", seed)
		require.Equal(t, merged, merge(merged, b), "twice is once, seed %d", seed)
		requireMerged(t, a, b, merged)
	}
}

// requireMerged compares key by key with what a reader expects of a merge.
func requireMerged(t *testing.T, a, b, merged Values) {
	t.Helper()
	for key, value := range merged {
		below, inA := a[key]
		above, inB := b[key]
		lower, lowerIsMap := below.(Values)
		upper, upperIsMap := above.(Values)
		switch {
		case inB && lowerIsMap && upperIsMap:
			requireMerged(t, lower, upper, value.(Values))
		case inB:
			require.Equal(t, above, value)
		default:
			require.True(t, inA, "%s comes from nowhere", key)
			require.Equal(t, below, value)
		}
	}
	for key := range a {
		require.Contains(t, merged, key)
	}
	for key := range b {
		require.Contains(t, merged, key)
	}
}

func TestMergeDoesNotShareMaps(t *testing.T) {
	t.Parallel()
	base := Values{"pod": Values{"annotations": Values{}}}
	merged := merge(base, nil)
	set(merged, "pod.annotations", "x", "y")
	set(merged, "new.path", "x", "y")
	assert.Equal(t, Values{"pod": Values{"annotations": Values{}}}, base)
	assert.Equal(t, Values{"pod": Values{"annotations": Values{"x": "y"}}, "new": Values{"path": Values{"x": "y"}}}, merged)
}

func TestNulls(t *testing.T) {
	t.Parallel()
	only, found := nulls(Values{"a": nil, "b": Values{"c": nil, "d": 1}, "e": Values{"f": 2}})
	assert.True(t, found)
	assert.Equal(t, Values{"a": nil, "b": Values{"c": nil}}, only)
	_, found = nulls(Values{"a": Values{"b": 0}})
	assert.False(t, found)
}

func text(t *testing.T, v Values) string {
	t.Helper()
	encoded, err := json.Marshal(v)
	require.NoError(t, err)
	return string(encoded)
}
