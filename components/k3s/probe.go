package k3s

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
)

// probeTimeout is how long all hosts together may take to answer. A preview waits for it.
const probeTimeout = 6 * time.Second

// ProbeFunc runs a command that only reads on a host, and returns its standard output.
type ProbeFunc func(ctx context.Context, access *Access, command, stdin string) (string, error)

// SSHProbe runs the command over SSH, with the same settings and the same host key verification as every other step.
func SSHProbe(ctx context.Context, access *Access, command, stdin string) (string, error) {
	return access.run(ctx, command, stdin)
}

// host is a node, the way to it, and what is known about it.
type host struct {
	node     config.Node
	access   *Access
	prepared pulumi.Resource
	// condition is what the host says about each step that ran on it; nil when it was not asked or did not answer.
	condition map[string]*trace
}

// trace is what a step left on a host.
type trace struct {
	// revision names the last repair, and declared is the sha256 of what was declared then.
	revision, declared string
	// drift lists what is no longer as the step left it.
	drift []string
}

// revision names the repair that the host needs, or the one it had last, so that the text of a command changes exactly
// when there is something to repair. It is not known when the host did not answer.
func (h *host) revision(s *step) (string, bool) {
	if h.condition == nil {
		return "0", false
	}
	left, installed := h.condition[s.verb]
	if !installed {
		return "0", true
	}
	if len(left.drift) == 0 && left.declared == s.declared() {
		return left.revision, true
	}
	sum := sha256.Sum256([]byte(left.revision + "\n" + left.declared + "\n" + strings.Join(left.drift, "\n")))
	return hex.EncodeToString(sum[:6]), true
}

// probe asks all hosts at once how they are. A host that does not answer is skipped with a warning; one that proves to
// be another host is an error.
func probe(ctx *pulumi.Context, cluster *Cluster, hosts []*host, ask ProbeFunc) error {
	if ask == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx.Context(), probeTimeout)
	defer cancel()
	failures := make([]error, len(hosts))
	var group sync.WaitGroup
	for i, h := range hosts {
		group.Go(func() {
			s := probeStep(h)
			answer, err := ask(limited, h.access, s.create(h.access.User), s.text(nil))
			if err == nil {
				h.condition, err = parseCondition(answer)
			}
			failures[i] = err
		})
	}
	group.Wait()
	var impostors []error
	for i, h := range hosts {
		switch err := failures[i]; {
		case errors.Is(err, errHostKey):
			impostors = append(impostors, fmt.Errorf("node %s: %w", h.node.Name, err))
		case err != nil:
			warn(ctx, cluster, "%s was not checked for drift: %v", h.node.Name, err)
		}
		var drift []string
		for _, left := range h.condition {
			for _, what := range left.drift {
				drift = append(drift, describe(what))
			}
		}
		if len(drift) > 0 {
			slices.Sort(drift)
			warn(ctx, cluster, "%s is no longer as declared and will be repaired: %s", h.node.Name, strings.Join(drift, ", "))
		}
	}
	return errors.Join(impostors...)
}

// describe words one finding of probe.sh: a path and its sha256 now, or what became of it.
func describe(finding string) string {
	what, now, _ := strings.Cut(finding, " ")
	if len(now) == sha256.Size*2 {
		now = "changed"
	}
	return what + " is " + now
}

// parseCondition reads what probe.sh prints.
func parseCondition(answer string) (map[string]*trace, error) {
	condition := map[string]*trace{}
	for _, line := range strings.Split(strings.TrimSpace(answer), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 1 && fields[0] == "end":
			return condition, nil
		case len(fields) == 4 && fields[0] == "step":
			condition[fields[1]] = &trace{revision: fields[2], declared: fields[3]}
		case len(fields) == 4 && fields[0] == "drift" && condition[fields[1]] != nil:
			left := condition[fields[1]]
			left.drift = append(left.drift, fields[2]+" "+fields[3])
		default:
			return nil, fmt.Errorf("the host's answer can't be read: %q", line)
		}
	}
	return nil, errors.New("the host's answer is not whole")
}
