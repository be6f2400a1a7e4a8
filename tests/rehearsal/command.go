package rehearsal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

// commandVersion is the version of pulumi-command whose rules are simulated.
const commandVersion = "1.2.1"

// commandRules simulates pulumi-command: triggers replace, every other change runs update, or create again, in place. Its
// output is plain, as the real provider's is, unless the program declares it secret.
type commandRules struct {
	hosts *hosts
}

func (c *commandRules) configure(resource.PropertyMap) {}

func (c *commandRules) check(
	urn resource.URN, _, news resource.PropertyMap,
) (resource.PropertyMap, []plugin.CheckFailure) {
	var failures []plugin.CheckFailure
	if kind := string(urn.Type()); kind != "command:remote:Command" {
		failures = append(failures, plugin.CheckFailure{Reason: "the rehearsal does not simulate " + kind})
	}
	host := lookup(news, "connection", "host")
	if !host.IsComputed() && (!host.IsString() || host.StringValue() == "") {
		failures = append(failures, plugin.CheckFailure{Property: "connection", Reason: "host is required"})
	}
	return news, failures
}

func (c *commandRules) replaces(_ resource.URN, path string, _, _ resource.PropertyMap) bool {
	return path == "triggers" || strings.HasPrefix(path, "triggers[")
}

func (c *commandRules) deleteFirst(resource.URN, resource.PropertyMap, resource.PropertyMap) bool {
	return false
}

func (c *commandRules) create(
	urn resource.URN, inputs resource.PropertyMap, preview bool,
) (string, resource.PropertyMap, error) {
	state, err := c.run(urn, inputs, "create", preview)
	if err != nil || preview {
		return "", state, err
	}
	return "cmd-" + urn.Name(), state, nil
}

func (c *commandRules) update(
	urn resource.URN, _ string, _, inputs resource.PropertyMap, preview bool,
) (resource.PropertyMap, error) {
	if text(inputs, "update") != "" {
		return c.run(urn, inputs, "update", preview)
	}
	return c.run(urn, inputs, "create", preview)
}

func (c *commandRules) remove(urn resource.URN, _ string, state resource.PropertyMap) error {
	if text(state, "delete") == "" {
		return nil
	}
	_, err := c.hosts.run(urn, "delete", state)
	return err
}

func (c *commandRules) run(
	urn resource.URN, inputs resource.PropertyMap, which resource.PropertyKey, preview bool,
) (resource.PropertyMap, error) {
	state := inputs.Copy()
	if preview {
		state["stdout"] = resource.MakeComputed(resource.NewProperty(""))
		state["stderr"] = resource.MakeComputed(resource.NewProperty(""))
		return state, nil
	}
	if inputs.ContainsUnknowns() {
		return nil, errors.New("a command was run with inputs that are not known")
	}
	stdout, err := c.hosts.run(urn, string(which), inputs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", urn.Name(), err)
	}
	state["stdout"] = resource.NewProperty(stdout)
	state["stderr"] = resource.NewProperty("")
	return state, nil
}
