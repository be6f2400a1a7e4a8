// Command machine is what the end-to-end suite puts below and into its throw-away machines: the first process of
// a private root (init), and the stand-ins for systemctl, sysctl and modprobe, which need what a container-like
// root lacks (systemd, a kernel of its own). Called under one of those names it acts as that program.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	programs := map[string]func([]string) error{
		"root":       enterRoot,
		"init":       initialize,
		"supervise":  supervise,
		"systemctl":  systemctl,
		"sysctl":     sysctl,
		"modprobe":   modprobe,
		"journalctl": journalctl,
	}
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	if name == "machine" && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	run, known := programs[name]
	if !known {
		fmt.Fprintf(os.Stderr, "machine: no program %q\n", name)
		os.Exit(2)
	}
	if err := run(args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
