// Command bench measures where the time goes: a cold build of the program, and preview and up in the rehearsal. It prints
// the machine and medians as a Markdown table. Nothing is asserted: the numbers belong to the machine they were taken on.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

func main() {
	stack := flag.String("stack", "staging", "the stack to rehearse")
	count := flag.Int("count", 3, "how often preview and up are measured")
	builds := flag.Int("builds", 1, "how often a cold build is measured; each takes minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *stack, *count, *builds); err != nil {
		fmt.Fprintln(os.Stderr, "bench failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stack string, count, builds int) error {
	var wall, cpu, preview, unchanged, up []time.Duration
	var resources int
	for range builds {
		w, c, err := build(ctx)
		if err != nil {
			return err
		}
		wall, cpu = append(wall, w), append(cpu, c)
	}
	for range count {
		session, err := rehearsal.Open(ctx, rehearsal.Options{Stack: stack, Program: rehearsal.Project})
		if err != nil {
			return err
		}
		for _, each := range []struct {
			operation func(context.Context) (rehearsal.Result, error)
			into      *[]time.Duration
		}{{session.Preview, &preview}, {session.Up, &up}, {session.Preview, &unchanged}} {
			result, err := each.operation(ctx)
			if err != nil {
				return err
			}
			*each.into = append(*each.into, result.Duration)
			resources = max(resources, len(result.Steps)+result.Same)
		}
		if err := session.Close(); err != nil {
			return err
		}
	}

	fmt.Printf("Machine: %s, %d cores, %s of memory, %s, %s/%s\n\n",
		procField("/proc/cpuinfo", "model name"), runtime.NumCPU(), procField("/proc/meminfo", "MemTotal"),
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Printf("| what, stack %s, %d resources | runs | median |\n| --- | ---: | ---: |\n", stack, resources)
	for _, row := range []struct {
		name  string
		taken []time.Duration
	}{
		{"cold build of the program, elapsed", wall},
		{"cold build of the program, CPU time", cpu},
		{"rehearsal: preview of everything", preview},
		{"rehearsal: up of everything", up},
		{"rehearsal: preview without a change", unchanged},
	} {
		if len(row.taken) > 0 {
			fmt.Printf("| %s | %d | %.1f s |\n", row.name, len(row.taken), median(row.taken).Seconds())
		}
	}
	return nil
}

// build compiles the program with an empty build cache and returns the elapsed and the CPU time. Modules are there
// already.
func build(ctx context.Context) (elapsed, cpu time.Duration, err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	if err := exec.CommandContext(ctx, "go", "mod", "download").Run(); err != nil {
		return 0, 0, fmt.Errorf("downloading modules: %w", err)
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "program"), ".")
	command.Env = append(os.Environ(), "GOCACHE="+filepath.Join(dir, "cache"))
	start := time.Now()
	if output, err := command.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("building the program: %w\n%s", err, output)
	}
	state := command.ProcessState
	return time.Since(start), state.UserTime() + state.SystemTime(), nil
}

func median(taken []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(taken))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// procField returns a field of a file below /proc, or "unknown".
func procField(path, field string) string {
	file, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
