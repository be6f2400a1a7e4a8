// Command rehearse runs a stack's whole life with Pulumi's real engine and simulated providers, and shows it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

func main() {
	stack := flag.String("stack", "staging", "the stack to rehearse")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *stack); err != nil {
		// What Pulumi printed stands above already.
		message, _, _ := strings.Cut(err.Error(), "\ncode:")
		fmt.Fprintln(os.Stderr, "rehearsal failed:", message)
		os.Exit(1)
	}
}

func run(ctx context.Context, stack string) (err error) {
	color := "never"
	if term.IsTerminal(int(os.Stdout.Fd())) {
		color = "always"
	}
	fmt.Printf("Rehearsing the stack %s: Pulumi's engine is real, hosts and Kubernetes are simulated.\n", stack)
	session, err := rehearsal.Open(ctx, rehearsal.Options{
		Stack: stack, Program: rehearsal.Project, Progress: os.Stdout, Color: color,
	})
	if err != nil {
		return err
	}
	defer func() {
		if closing := session.Close(); err == nil {
			err = closing
		}
	}()
	phase := 0
	report, err := rehearsal.Run(ctx, session, func(announcement string) {
		phase++
		fmt.Printf("\n== %d. %s\n\n", phase, announcement)
	})
	if err != nil {
		return err
	}
	fmt.Println("\n== What the rehearsal showed")
	fmt.Println()
	report.Print(os.Stdout)
	return nil
}
