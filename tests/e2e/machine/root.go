package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

// rootSpec describes a private root: the machine's own files below a writable layer, so that nothing of the
// machine itself is ever written.
type rootSpec struct {
	// Directory holds the layer: upper and work are made in it. It must not be on an overlay itself.
	Directory string `json:"directory"`
	// Hostname of the new UTS namespace.
	Hostname string `json:"hostname"`
	// Binds maps targets in the new root to sources outside; each is mounted read-only.
	Binds map[string]string `json:"binds"`
	// Writable maps targets in the new root to directories outside that stay writable.
	Writable map[string]string `json:"writable"`
	// Hidden directories are empty in the new root.
	Hidden []string `json:"hidden"`
	// Files are written into the new root.
	Files map[string]rootFile `json:"files"`
	// Environment and Command start the root's main process.
	Environment []string `json:"environment"`
	Command     []string `json:"command"`
	// WorkingDirectory of the command. Default: /.
	WorkingDirectory string `json:"workingDirectory"`
}

type rootFile struct {
	Content string      `json:"content"`
	Mode    os.FileMode `json:"mode"`
}

// enterRoot builds the root that a spec file describes and turns into its main process. It runs in mount, PID, UTS
// and network namespaces of its own, and waits for a byte on standard input, which says that the network is ready.
func enterRoot(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: root SPEC")
	}
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var spec rootSpec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return err
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("waiting for the network: %w", err)
	}
	if err := buildRoot(&spec); err != nil {
		return err
	}
	if spec.WorkingDirectory != "" {
		if err := os.Chdir(spec.WorkingDirectory); err != nil {
			return err
		}
	}
	return syscall.Exec(spec.Command[0], spec.Command, spec.Environment)
}

// buildRoot mounts the layers and makes them the root of this process.
func buildRoot(spec *rootSpec) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	upper, work, root := filepath.Join(spec.Directory, "upper"), filepath.Join(spec.Directory, "work"), filepath.Join(spec.Directory, "root")
	for _, directory := range []string{upper, work, root} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)); err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	if err := mountSystem(root); err != nil {
		return err
	}
	for _, directory := range append([]string{"/tmp", "/run"}, spec.Hidden...) {
		if err := mountEmpty(root, directory); err != nil {
			return err
		}
	}
	if err := syscall.Sethostname([]byte(spec.Hostname)); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(root, outside), 0o700); err != nil {
		return err
	}
	if err := syscall.PivotRoot(root, filepath.Join(root, outside)); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	// From here on paths are those of the new root, symbolic links included.
	if err := furnish(spec); err != nil {
		return err
	}
	if err := syscall.Unmount(outside, syscall.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove(outside)
}

// outside is where the real machine's root is visible until the new root is furnished.
const outside = "/run/outside"

func furnish(spec *rootSpec) error {
	for _, target := range sorted(spec.Binds) {
		if err := bind(target, spec.Binds[target], true); err != nil {
			return err
		}
	}
	for _, target := range sorted(spec.Writable) {
		if err := bind(target, spec.Writable[target], false); err != nil {
			return err
		}
	}
	for _, path := range sorted(spec.Files) {
		if err := writeFile(path, spec.Files[path]); err != nil {
			return err
		}
	}
	return nil
}

// mountSystem gives the root its own /proc (with /proc/sys read-only), a /dev of a few devices, a read-only /sys, and
// the cgroup controllers of a usual host, which a machine in a container may not show.
func mountSystem(root string) error {
	proc, dev, sys := filepath.Join(root, "proc"), filepath.Join(root, "dev"), filepath.Join(root, "sys")
	if err := syscall.Mount("proc", proc, "proc", 0, ""); err != nil {
		return fmt.Errorf("proc: %w", err)
	}
	if err := syscall.Mount(filepath.Join(proc, "sys"), filepath.Join(proc, "sys"), "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	if err := syscall.Mount("", filepath.Join(proc, "sys"), "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := syscall.Mount("/sys", sys, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	if err := syscall.Mount("", sys, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := syscall.Mount("cgroup", filepath.Join(sys, "fs", "cgroup"), "tmpfs", 0, ""); err != nil {
		return err
	}
	controllers := rootFile{Content: "cpuset cpu io memory hugetlb pids\n", Mode: 0o644}
	if err := writeFile(filepath.Join(sys, "fs", "cgroup", "cgroup.controllers"), controllers); err != nil {
		return err
	}
	if err := syscall.Mount("dev", dev, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	devices := map[string]int{"null": 1<<8 | 3, "zero": 1<<8 | 5, "full": 1<<8 | 7, "random": 1<<8 | 8, "urandom": 1<<8 | 9, "tty": 5 << 8}
	for name, device := range devices {
		path := filepath.Join(dev, name)
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o666, device); err != nil {
			return fmt.Errorf("mknod %s: %w", name, err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	return mountEmpty(root, "/dev/shm")
}

func mountEmpty(root, directory string) error {
	path := filepath.Join(root, directory)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	mode := "mode=755"
	if directory == "/tmp" || directory == "/dev/shm" {
		mode = "mode=1777"
	}
	if err := syscall.Mount("empty", path, "tmpfs", 0, mode); err != nil {
		return fmt.Errorf("empty %s: %w", directory, err)
	}
	return nil
}

// bind makes a file or directory from outside appear in the root.
func bind(target, source string, readOnly bool) error {
	source = filepath.Join(outside, source)
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if _, statErr := os.Stat(target); statErr != nil {
		err = writeFile(target, rootFile{Mode: 0o755})
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	if !readOnly {
		return nil
	}
	return syscall.Mount("", target, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
}

func writeFile(path string, file rootFile) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(file.Content), file.Mode); err != nil {
		return err
	}
	return os.Chmod(path, file.Mode)
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
