package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a stack's config.
type Problem struct {
	// Rule is the name of the rule that was broken.
	Rule Rule
	// Path is the key at fault below the namespace homelab-ai, such as cluster.nodes[1].host; for the rule stack-file it
	// is the file's name.
	Path string
	// Value is the offending value as the stack says it; [secret] for encrypted values, empty when there is none.
	Value string
	// Fix says what to do.
	Fix string
}

// String renders the problem on one line.
func (p Problem) String() string {
	value := ""
	if p.Value != "" && p.Rule != UnknownKey { // there the path ends with it
		value = fmt.Sprintf(" = %q", p.Value)
		if p.Value == redacted {
			value = " = " + redacted
		}
	}
	path := prefix + p.Path
	if p.Rule == StackFile {
		path = p.Path
	}
	return fmt.Sprintf("%s%s: %s (%s)", path, value, p.Fix, p.Rule)
}

// Problems is every problem of a config at once.
type Problems []Problem

// Error implements error.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p)+1)
	if len(p) == 1 {
		lines = append(lines, "the config has 1 problem; nothing was changed:")
	} else {
		lines = append(lines, fmt.Sprintf("the config has %d problems; nothing was changed:", len(p)))
	}
	for _, problem := range p {
		lines = append(lines, "  - "+problem.String())
	}
	return strings.Join(lines, "\n")
}
