package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	helm "helm.sh/helm/v3/pkg/action"
)

// revisionsToRetain is the history limit that the lab's releases have.
const revisionsToRetain = 5

// whatNext is said when everything is repaired.
const whatNext = "Run `pulumi up` again. Where the stack is locked run `pulumi cancel` before; where Pulumi goes on " +
	"warning of pending operations run `pulumi refresh --clear-pending-creates` after."

// repairer carries steps out.
type repairer struct {
	// configure returns Helm's configuration for one namespace.
	configure func(namespace string) (*helm.Configuration, error)
	dryRun    bool
	timeout   time.Duration
}

// repairAll tries every step, and fails when one did.
func repairAll(steps []step, r repairer, out io.Writer) error {
	if len(steps) == 0 {
		_, err := fmt.Fprintln(out, "No Helm release is pending.")
		return err
	}
	var failures []error
	for _, s := range steps {
		if r.dryRun {
			_, _ = fmt.Fprintf(out, "%s (dry run, nothing done)\n", s)
			continue
		}
		if err := r.repair(s); err != nil {
			_, _ = fmt.Fprintf(out, "%s: failed\n", s)
			failures = append(failures, fmt.Errorf("%s/%s: %w", s.namespace, s.name, err))
			continue
		}
		_, _ = fmt.Fprintf(out, "%s: done\n", s)
	}
	if len(failures) == 0 && !r.dryRun {
		_, _ = fmt.Fprintln(out, whatNext)
	}
	return errors.Join(failures...)
}

func (r repairer) repair(s step) error {
	cfg, err := r.configure(s.namespace)
	if err != nil {
		return err
	}
	if s.action == rollback {
		back := helm.NewRollback(cfg)
		back.Version, back.MaxHistory, back.Timeout = s.to, revisionsToRetain, r.timeout
		// It is not waited for: whether pods become ready is for the next update to see.
		back.CleanupOnFail = true
		return back.Run(s.name)
	}
	uninstall := helm.NewUninstall(cfg)
	uninstall.IgnoreNotFound, uninstall.Wait, uninstall.Timeout = true, true, r.timeout
	// The hooks of what was never completely there can wait for things that will never come.
	uninstall.DisableHooks = true
	_, err = uninstall.Run(s.name)
	return err
}
