package k3s

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Script is what another package runs on the first server, where kubectl is at hand as "$k3s" kubectl.
type Script struct {
	// Verb names the script in the command's text: lower-case words with hyphens. REQUIRED.
	Verb string
	// Text is POSIX sh. It must be repeatable, and may use the functions of scripts/base.sh. The script runs again when
	// it changes. REQUIRED.
	Text string
	// Parameters are assigned before the script: names in upper case, values of any kind, secrets among them. They reach
	// the host by standard input alone. The script runs again when one changes. Default: none.
	Parameters map[string]pulumi.StringInput
	// Limit is how long the script may run. Default: 30m.
	Limit time.Duration
}

var verbPattern = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// Run declares a script on the first server. What it prints is a secret. A child of another component passes
// pulumi.Parent, and what has to be there first pulumi.DependsOn.
func (c *Cluster) Run(ctx *pulumi.Context, name string, script *Script, opts ...pulumi.ResourceOption) (*remote.Command, error) {
	if script == nil || !verbPattern.MatchString(script.Verb) || strings.TrimSpace(script.Text) == "" {
		return nil, errors.New("script " + name + ": a verb of lower-case words and a text are required")
	}
	limit := script.Limit
	if limit == 0 {
		limit = 30 * time.Minute
	}
	s := &step{
		verb: script.Verb, body: strings.TrimRight(script.Text, "\n") + "\n", later: script.Parameters,
		lock: hostLock, limit: limit,
	}
	b := &builder{ctx: ctx, parent: c}
	return b.named(name, c.first, s, []pulumi.Resource{c.Installation}, opts...)
}
