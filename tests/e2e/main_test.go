package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// insideVariable is set in the process that runs in the isolated world; its value is the directory that the outer
// process prepared.
const insideVariable = "E2E_INSIDE"

// parts says which programs and charts were found, and what is missing.
var parts *inventory

func init() { runtime.LockOSThread() } // the world ends with the thread that started it

// TestMain runs the suite inside an isolated world: the outer process looks for the parts and builds the programs
// that are the suite's own, the inner one runs the tests.
func TestMain(m *testing.M) {
	flag.Parse()
	parts = takeInventory()
	if directory := os.Getenv(insideVariable); directory != "" {
		os.Exit(runInside(m, directory))
	}
	if len(parts.missing) > 0 {
		os.Exit(m.Run()) // every test says what is missing
	}
	code, err := runOutside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// needParts skips a test, or fails it with E2E_REQUIRE=1, when the suite cannot run here.
func needParts(t *testing.T) {
	t.Helper()
	if len(parts.missing) == 0 {
		return
	}
	reason := "the end-to-end suite lacks:\n  " + strings.Join(parts.missing, "\n  ") + "\ndocs/e2e.md says where to get each"
	skip(t, reason)
}

// skip is a failure where E2E_REQUIRE=1 asks for the whole suite.
func skip(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("E2E_REQUIRE") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

func runOutside() (int, error) {
	directory, err := os.MkdirTemp("", "homelab-ai-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(directory)
	if err := buildPrograms(directory); err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	world := exec.Command(filepath.Join(directory, "machine"), append([]string{"init", self}, os.Args[1:]...)...)
	world.Stdin, world.Stdout, world.Stderr = os.Stdin, os.Stdout, os.Stderr
	world.Env = append(os.Environ(), insideVariable+"="+directory)
	world.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = world.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Releases of the k3s stand-in: the one that is installed first, and the one that it is upgraded to.
const (
	firstRelease  = "v1.36.3+k3s1"
	secondRelease = "v1.36.4+k3s1"
)

// buildPrograms compiles the suite's own programs and the recovery tool while modules can still be had.
func buildPrograms(directory string) error {
	builds := [][]string{
		{"build", "-o", filepath.Join(directory, "machine"), "./machine"},
		{"build", "-ldflags", "-X main.version=" + firstRelease, "-o", filepath.Join(directory, "k3s-first"), "./k3s"},
		{"build", "-ldflags", "-X main.version=" + secondRelease, "-o", filepath.Join(directory, "k3s-second"), "./k3s"},
		{"build", "-C", "../../tools/recover", "-o", filepath.Join(directory, "recover"), "."},
	}
	for _, arguments := range builds {
		build := exec.Command("go", arguments...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(arguments, " "), err, output)
		}
	}
	return nil
}
