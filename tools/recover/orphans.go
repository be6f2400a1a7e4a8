package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// providerName is the plugin that works on releases.
const providerName = "pulumi-resource-kubernetes"

// process is one line of ps.
type process struct {
	pid, parent int
	name        string
}

// endOrphans ends the Kubernetes provider of a `pulumi` that was killed. The plugin outlives the engine: it goes on
// with the operation that it was at, and would undo the repair when that reaches its limit. No engine can use it any
// more.
func endOrphans(ctx context.Context, dryRun bool, out io.Writer) error {
	listing, err := exec.CommandContext(ctx, "ps", "-u", strconv.Itoa(os.Getuid()), "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		return fmt.Errorf("running processes can't be listed (ps): %w", err)
	}
	for _, pid := range orphans(parseProcesses(listing)) {
		verdict := "ended"
		if dryRun {
			verdict = "would be ended"
		} else if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("process %d (%s of a killed update) can't be ended: %w", pid, providerName, err)
		}
		if _, err := fmt.Fprintf(out, "process %d, %s of a killed update: %s\n", pid, providerName, verdict); err != nil {
			return err
		}
	}
	return nil
}

func parseProcesses(listing []byte) []process {
	var found []process
	lines := bufio.NewScanner(bytes.NewReader(listing))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		parent, parentErr := strconv.Atoi(fields[1])
		if err == nil && parentErr == nil {
			found = append(found, process{pid: pid, parent: parent, name: filepath.Base(fields[2])})
		}
	}
	return found
}

// orphans are the providers whose parent is no Pulumi engine.
func orphans(processes []process) []int {
	engines := map[int]bool{}
	for _, p := range processes {
		if p.name == "pulumi" {
			engines[p.pid] = true
		}
	}
	var pids []int
	for _, p := range processes {
		if p.name == providerName && !engines[p.parent] {
			pids = append(pids, p.pid)
		}
	}
	return pids
}
