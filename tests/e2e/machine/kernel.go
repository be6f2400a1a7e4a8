package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// sysctl sets kernel parameters of the throw-away machine only: a value is a file of its own, mounted over the one
// in /proc/sys, so that whoever reads /proc/sys sees it too and the kernel's own stays as it was.
func sysctl(args []string) error {
	var assignments, reads []string
	namesOnly, valueOnly, ignore := false, false, false
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--system":
			files, _ := filepath.Glob("/etc/sysctl.d/*.conf")
			sort.Strings(files)
			for _, file := range append(files, "/etc/sysctl.conf") {
				assignments = append(assignments, assignmentsOf(file)...)
			}
			ignore = true
		case arg == "-p" || strings.HasPrefix(arg, "--load"):
			file := "/etc/sysctl.conf"
			if _, path, found := strings.Cut(arg, "="); found {
				file = path
			} else if i+1 < len(args) {
				i++
				file = args[i]
			}
			assignments = append(assignments, assignmentsOf(file)...)
		case arg == "-n" || arg == "--values":
			valueOnly = true
		case arg == "-N" || arg == "--names":
			namesOnly = true
		case arg == "-e" || arg == "--ignore":
			ignore = true
		case strings.HasPrefix(arg, "-"):
		case strings.Contains(arg, "="):
			assignments = append(assignments, arg)
		default:
			reads = append(reads, arg)
		}
	}
	for _, assignment := range assignments {
		key, value, _ := strings.Cut(assignment, "=")
		if err := setParameter(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil && !ignore {
			return err
		}
	}
	for _, key := range reads {
		raw, err := os.ReadFile(parameterPath(key))
		if err != nil {
			return fmt.Errorf("cannot stat %s: No such file or directory", parameterPath(key))
		}
		switch value := strings.TrimSpace(string(raw)); {
		case namesOnly:
			fmt.Println(key)
		case valueOnly:
			fmt.Println(value)
		default:
			fmt.Printf("%s = %s\n", key, value)
		}
	}
	return nil
}

func assignmentsOf(path string) []string {
	raw, _ := os.ReadFile(path)
	var result []string
	for _, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "-")
		if line == "" || line[0] == '#' || line[0] == ';' || !strings.Contains(line, "=") {
			continue
		}
		result = append(result, line)
	}
	return result
}

func parameterPath(key string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
}

func setParameter(key, value string) error {
	path := parameterPath(key)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("cannot stat %s: No such file or directory", path)
	}
	own := filepath.Join(stateDirectory, "sysctl", key)
	_, err := os.Stat(own)
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		return err
	}
	if writeErr := os.WriteFile(own, []byte(value+"\n"), 0o644); writeErr != nil {
		return writeErr
	}
	if err == nil {
		return nil
	}
	return syscall.Mount(own, path, "", syscall.MS_BIND, "")
}

// modprobe notes what was asked for; the kernel is shared with the real machine and stays untouched.
func modprobe(args []string) error {
	file, err := os.OpenFile(filepath.Join(stateDirectory, "modules"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, strings.Join(args, " "))
	return errors.Join(err, file.Close())
}
