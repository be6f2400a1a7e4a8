package components

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"

	"github.com/homelab-ai/homelab-ai/config"
)

// The two ways in which workload charts are delivered.
const (
	byArgoCD = "applications"
	byHelm   = "releases"
)

// keepDelivery refuses a change of gitops.enabled on a stack that is up. The same objects would have to leave one owner
// and join another: Helm refuses to install over what Argo CD has applied, and Argo CD deletes with its Applications
// what Helm had installed in the meantime.
//
// A Stash keeps the value that it was created with, in the stack's state, from the first resource of the first update
// on. It is read before anything else is registered.
func keepDelivery(ctx *pulumi.Context, cfg *config.Config) error {
	wanted := byHelm
	if cfg.GitOpsEnabled() {
		wanted = byArgoCD
	}
	stash, err := pulumi.NewStash(ctx, "delivery", &pulumi.StashArgs{Input: pulumi.String(wanted)},
		pulumi.IgnoreChanges([]string{"input"}))
	if err != nil {
		return err
	}

	kept, err := internals.UnsafeAwaitOutput(ctx.Context(), stash.Output)
	if err != nil {
		return err
	}
	if !kept.Known || kept.Value == nil || kept.Value == wanted {
		return nil
	}
	return errors.New(refusal(wanted))
}

// refusal names the key, the reason and the way out.
func refusal(wanted string) string {
	now, key := "Helm releases", "true"
	if wanted == byHelm {
		now, key = "Argo CD Applications", "false"
	}
	return "gitops.enabled: " + key + " is refused: the workloads of this stack are " + now +
		", and no object can change its owner while it is up. Put the key back, or destroy the stack " +
		"(restore its data from a backup afterwards) and create it anew"
}
