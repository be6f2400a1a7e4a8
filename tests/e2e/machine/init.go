package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// initialize is the first process of a PID namespace: it runs one command, buries orphans, and leaves with the
// command's status. The kernel then ends every other process of the namespace.
func initialize(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: init COMMAND [ARGUMENT...]")
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	main, err := os.StartProcess(path, args, &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for s := range signals {
			_ = main.Signal(s)
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if pid != main.Pid {
			continue
		}
		if status.Signaled() {
			os.Exit(128 + int(status.Signal()))
		}
		os.Exit(status.ExitStatus())
	}
}
