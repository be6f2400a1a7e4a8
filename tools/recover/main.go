// Command recover repairs Helm releases that a killed `pulumi up` has left pending.
//
// Helm marks a release as pending while it works on it. When the process dies midway the mark stays, every later
// operation on the release is refused, and neither Helm nor Pulumi repairs it. An interrupted installation is
// removed, so that the next update installs it anew; an interrupted upgrade or rollback goes back to the revision
// that was deployed last; an interrupted removal is finished. Claims and Secrets of the lab are not part of any
// release, and what a chart marks with helm.sh/resource-policy: keep stays.
//
// Only releases in the lab's own namespaces are looked at. A provider that has outlived its killed engine is ended first.
// No update of the stack may be running meanwhile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "recover:", err)
		}
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	stack      string
	project    string
	kubeconfig string
	dryRun     bool
	timeout    time.Duration
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("recover", flag.ContinueOnError)
	flags.StringVar(&o.stack, "stack", "", "Pulumi stack whose cluster is repaired")
	flags.StringVar(&o.project, "project", "../..", "directory of Pulumi.yaml")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "read the kubeconfig from this file (- is standard input) instead of from the stack")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "limit of each repair")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.stack == "" && o.kubeconfig == "" {
		return o, errors.New("no stack is named: use --stack, or make recover STACK=<stack>")
	}
	return o, nil
}

func run(ctx context.Context, arguments []string, stdin io.Reader, stdout io.Writer) error {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	if err := endOrphans(ctx, o.dryRun, stdout); err != nil {
		return err
	}
	kubeconfig, err := o.readKubeconfig(ctx, stdin)
	if err != nil {
		return err
	}
	c, err := connect(kubeconfig)
	if err != nil {
		return err
	}
	releases, err := c.releases(ctx)
	if err != nil {
		return err
	}
	return repairAll(plan(releases), repairer{configure: c.configure, dryRun: o.dryRun, timeout: o.timeout}, stdout)
}

// readKubeconfig returns the kubeconfig. It is a secret, so it stays in memory and out of messages.
func (o options) readKubeconfig(ctx context.Context, stdin io.Reader) ([]byte, error) {
	switch o.kubeconfig {
	case "":
		command := exec.CommandContext(ctx, "pulumi", "--cwd", o.project, "stack", "output", "kubeconfig",
			"--show-secrets", "--stack", o.stack)
		command.Stderr = os.Stderr
		text, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("the kubeconfig of stack %s can't be read (pulumi stack output kubeconfig): %w", o.stack, err)
		}
		return text, nil
	case "-":
		return io.ReadAll(stdin)
	default:
		return os.ReadFile(o.kubeconfig)
	}
}
