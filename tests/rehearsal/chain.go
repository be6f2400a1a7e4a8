package rehearsal

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// LongestChain returns the longest run of resources that each need the one before: what bounds the time of an update
// however much runs side by side. Components, providers and values in state take no time and
// do not count.
func LongestChain(resources []apitype.ResourceV3) []resource.URN {
	needs := dependencies(resources)
	custom := map[resource.URN]bool{}
	for _, r := range resources {
		custom[r.URN] = r.Custom && !isProvider(r) && r.Type != stashType
	}
	length, next := map[resource.URN]int{}, map[resource.URN]resource.URN{}
	var measure func(urn resource.URN) int
	measure = func(urn resource.URN) int {
		if n, ok := length[urn]; ok {
			return n
		}
		length[urn] = 0 // state has no cycles
		for _, need := range needs[urn] {
			if n := measure(need); n > length[urn] || next[urn] == "" {
				length[urn], next[urn] = n, need
			}
		}
		if custom[urn] {
			length[urn]++
		}
		return length[urn]
	}
	var last resource.URN
	for _, r := range resources {
		if last == "" || measure(r.URN) > measure(last) {
			last = r.URN
		}
	}
	var chain []resource.URN
	for urn := last; urn != ""; urn = next[urn] {
		if custom[urn] {
			chain = append([]resource.URN{urn}, chain...)
		}
	}
	return chain
}

// dependencies are, per resource, the resources it waits for: those it names, and its provider.
func dependencies(resources []apitype.ResourceV3) map[resource.URN][]resource.URN {
	needs := map[resource.URN][]resource.URN{}
	for _, r := range resources {
		needs[r.URN] = append(needs[r.URN], r.Dependencies...)
		if provider := providerURN(r.Provider); provider != "" {
			needs[r.URN] = append(needs[r.URN], provider)
		}
	}
	return needs
}

// DependsOn tells whether the resource waits for the other, directly or through others.
func DependsOn(resources []apitype.ResourceV3, urn, other resource.URN) bool {
	needs, seen := dependencies(resources), map[resource.URN]bool{}
	var reach func(resource.URN) bool
	reach = func(from resource.URN) bool {
		for _, need := range needs[from] {
			if need == other {
				return true
			}
			if !seen[need] {
				seen[need] = true
				if reach(need) {
					return true
				}
			}
		}
		return false
	}
	return reach(urn)
}

// stashType is a value that the engine keeps by itself.
const stashType = "pulumi:index:Stash"

func isProvider(r apitype.ResourceV3) bool {
	return len(r.Type) > 17 && r.Type[:17] == "pulumi:providers:"
}

// providerURN strips the identity from a provider reference, <urn>::<id>.
func providerURN(reference string) resource.URN {
	for i := len(reference) - 1; i > 0; i-- {
		if reference[i] == ':' && reference[i-1] == ':' {
			return resource.URN(reference[:i-1])
		}
	}
	return ""
}
