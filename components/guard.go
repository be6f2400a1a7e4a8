package components

import (
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
)

// guard keeps a protected stack whole. Pulumi deletes from the end of the graph towards its beginning, and stops at a
// protected resource only when it comes there: a destroy that is refused would have removed everything without
// protection by then. One protected resource that depends on all others is the first to be deleted, so the refusal
// comes before anything is gone.
type guard struct {
	mu  sync.Mutex
	all []pulumi.Resource
}

// newGuard notes every resource that is registered from now on.
func newGuard(ctx *pulumi.Context) (*guard, error) {
	g := &guard{}
	return g, ctx.RegisterStackTransformation(
		func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if _, custom := args.Resource.(pulumi.CustomResource); custom {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.all = append(g.all, args.Resource)
			}
			return nil
		})
}

// close declares the resource that depends on all that were noted.
func (g *guard) close(ctx *pulumi.Context, cfg *config.Config) error {
	if !cfg.Protected() {
		return nil
	}
	g.mu.Lock()
	all := append([]pulumi.Resource(nil), g.all...)
	g.mu.Unlock()
	_, err := pulumi.NewStash(ctx, "protection", &pulumi.StashArgs{
		Input: pulumi.String("to destroy this stack, run `pulumi state unprotect --all` first"),
	}, pulumi.Protect(true), pulumi.DependsOn(all))
	return err
}
