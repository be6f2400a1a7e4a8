// Command k3s stands in for K3s in the end-to-end suite. The host scripts download, verify, install, start, upgrade
// and remove it exactly as they would the real binary; `server` then runs a true etcd, kube-apiserver,
// controller-manager and scheduler with the settings of /etc/rancher/k3s/config.yaml, and kwok in the place of the
// kubelet and containerd. What K3s itself does is not proven by it.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// version is what this build says it is; the suite sets it with -ldflags, to have two releases to upgrade between.
var version = "v0.0.0+k3s1"

// Where the suite puts the programs of the control plane and kwok's stages, and where this program notes its starts.
const (
	programs = "/opt/kubernetes/bin"
	stages   = "/opt/kubernetes/stages.yaml"
	journal  = "/run/machine/k3s.starts"
)

const kubeconfigPath = "/etc/rancher/k3s/k3s.yaml"

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "k3s: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	name := filepath.Base(args[0])
	if name == "k3s" {
		if len(args) < 2 {
			return errors.New("no command")
		}
		args = args[1:]
		name = args[0]
	}
	switch name {
	case "--version", "-v":
		fmt.Printf("k3s version %s (00000000)\ngo version %s\n", version, runtime.Version())
		return nil
	case "server":
		return serve(args[1:])
	case "agent":
		return join(args[1:])
	case "kubectl":
		return kubectl(args[1:])
	case "etcd-snapshot":
		return snapshot(args[1:])
	case "secrets-encrypt":
		return encryptionStatus()
	case "crictl", "ctr":
		return nil // no container runs here: an empty list is the truth
	}
	return fmt.Errorf("the stand-in does not know the command %q", name)
}

// kubectl becomes the real kubectl with the cluster's administrator's kubeconfig.
func kubectl(args []string) error {
	path := filepath.Join(programs, "kubectl")
	environment := append(os.Environ(), "KUBECACHEDIR=/tmp/kubectl")
	if os.Getenv("KUBECONFIG") == "" {
		environment = append(environment, "KUBECONFIG="+kubeconfigPath)
	}
	return syscall.Exec(path, append([]string{"kubectl"}, args...), environment)
}

func encryptionStatus() error {
	settings, err := load()
	if err != nil {
		return err
	}
	state := "Disabled"
	if settings.flag("secrets-encryption") {
		state = "Enabled"
	}
	fmt.Printf("Encryption Status: %s\nCurrent Rotation Stage: start\nServer Encryption Hashes: All hashes match\n", state)
	return nil
}

// noteStart appends a line to the journal, by which a case counts the restarts.
func noteStart(role string) error {
	if err := os.MkdirAll(filepath.Dir(journal), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, strings.Join([]string{role, version}, " "))
	return errors.Join(err, file.Close())
}
