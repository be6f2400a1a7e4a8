package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
)

// inventory is what the suite found of the parts that it does not bring itself.
type inventory struct {
	programs map[string]string // name to path
	missing  []string          // with where to get each
	gitops   []string          // what is missing for the delivery by Argo CD
}

// Where each part comes from, for the message that names a missing one.
const (
	fromPulumi     = "https://www.pulumi.com/docs/install/"
	fromPlugins    = "pulumi plugin install resource"
	fromKubernetes = "https://dl.k8s.io/release/<version>/bin/linux/<arch>/"
	fromEtcd       = "https://github.com/etcd-io/etcd/releases (3.5 or newer)"
	fromKwok       = "https://github.com/kubernetes-sigs/kwok/releases"
	fromHelm       = "https://get.helm.sh"
	fromImages     = "the container image of the same name, or go build in its repository"
	fromSystem     = "the distribution's packages"
)

var neededPrograms = map[string]string{
	"pulumi": fromPulumi, "pulumi-resource-kubernetes": fromPlugins, "pulumi-resource-command": fromPlugins, "pulumi-resource-random": fromPlugins,
	"etcd": fromEtcd, "kube-apiserver": fromKubernetes, "kube-controller-manager": fromKubernetes, "kube-scheduler": fromKubernetes,
	"kubectl": fromKubernetes, "kwok": fromKwok, "helm": fromHelm,
	"cert-manager-controller": fromImages, "cert-manager-webhook": fromImages, "cert-manager-cainjector": fromImages,
	"trust-manager": fromImages, "metallb-controller": fromImages,
	"sshd": fromSystem, "ssh": fromSystem, "ssh-keygen": fromSystem, "ip": fromSystem, "nsenter": fromSystem, "go": fromSystem,
	// What the host scripts use on a machine; a real one may fetch packages, a throw-away one can't.
	"openssl": fromSystem, "update-ca-certificates": fromSystem, "curl": fromSystem, "flock": fromSystem,
}

var gitopsPrograms = map[string]string{"argocd": fromImages, "redis-server": fromSystem, "git": fromSystem, "gpg": fromSystem}

func takeInventory() *inventory {
	found := &inventory{programs: map[string]string{}}
	if runtime.GOOS != "linux" {
		found.missing = append(found.missing, "Linux (namespaces and overlay mounts)")
		return found
	}
	if os.Geteuid() != 0 {
		found.missing = append(found.missing, "root (the throw-away machines are namespaces and mounts)")
	}
	found.look(neededPrograms, &found.missing)
	found.look(gitopsPrograms, &found.gitops)
	if charts, _ := filepath.Glob(filepath.Join(os.Getenv("E2E_CHARTS"), "*.tgz")); os.Getenv("E2E_CHARTS") == "" || len(charts) == 0 {
		found.missing = append(found.missing, "charts: set E2E_CHARTS to a directory of .tgz files (helm pull <repository>/<chart>)")
	}
	return found
}

// look finds programs in E2E_BIN, then on PATH and in the administrator's directories.
func (i *inventory) look(wanted map[string]string, missing *[]string) {
	names := make([]string, 0, len(wanted))
	for name := range wanted {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		path := findProgram(name)
		if path == "" {
			*missing = append(*missing, fmt.Sprintf("%s: %s", name, wanted[name]))
			continue
		}
		i.programs[name] = path
	}
}

func findProgram(name string) string {
	for _, directory := range []string{os.Getenv("E2E_BIN"), "", "/usr/sbin", "/sbin"} {
		candidate := name
		if directory != "" {
			candidate = filepath.Join(directory, name)
		}
		if path, err := exec.LookPath(candidate); err == nil {
			if resolved, err := filepath.EvalSymlinks(path); err == nil && name != "pulumi" {
				path = resolved
			}
			if absolute, err := filepath.Abs(path); err == nil {
				return absolute
			}
		}
	}
	return ""
}
