package rehearsal

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components"
	"github.com/homelab-ai/homelab-ai/config"
)

// Project is the program of the project, as its main function runs it.
func Project(ctx *pulumi.Context) error {
	cfg, err := config.Load(ctx)
	if err != nil {
		return err
	}
	return components.Deploy(ctx, cfg)
}
