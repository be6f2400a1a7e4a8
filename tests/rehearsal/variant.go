package rehearsal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// Variant changes a stack file: change gets the mapping under the key config, whose keys are homelab-ai:...
func Variant(content []byte, change func(settings map[string]any)) ([]byte, error) {
	var file map[string]any
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	settings := mapping(file["config"])
	if settings == nil {
		return nil, fmt.Errorf("the stack file has no mapping under the key config")
	}
	change(settings)
	return yaml.Marshal(file)
}

// Section returns the mapping under a path of keys, made where it is missing.
func Section(settings map[string]any, path ...string) map[string]any {
	for _, key := range path {
		below := mapping(settings[key])
		if below == nil {
			below = map[string]any{}
			settings[key] = below
		}
		settings = below
	}
	return settings
}

// HighlyAvailable turns a committed stack into one with three servers and two agents, behind an endpoint of its own.
func HighlyAvailable(settings map[string]any) {
	cluster := Section(settings, "homelab-ai:cluster")
	nodes, _ := cluster["nodes"].([]any)
	if len(nodes) == 0 {
		return
	}
	first := mapping(nodes[0])
	host := str(first["host"])
	host = host[:strings.LastIndex(host, ".")+1]
	for i := 1; i <= 4; i++ {
		role := "server"
		if i > 2 {
			role = "agent"
		}
		nodes = append(nodes, map[string]any{
			"name": fmt.Sprintf("lab-more-%d", i), "role": role, "host": fmt.Sprintf("%s%d", host, 20+i),
			"hostKey": hostKey(byte(i)), "capacity": first["capacity"],
		})
	}
	cluster["nodes"] = nodes
	cluster["endpoint"] = host + "9"
}

// hostKey is a public key of the right form that belongs to no host.
func hostKey(seed byte) string {
	key := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), bytes.Repeat([]byte{seed}, 32)...)
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(key)
}
