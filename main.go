// Command homelab-ai is the Pulumi program of the lab: it reads the stack's configuration and declares everything.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components"
	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/config"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cfg, err := config.Load(ctx)
		if err != nil {
			return err
		}
		return components.Deploy(ctx, cfg, components.WithProbe(k3s.SSHProbe))
	})
}
