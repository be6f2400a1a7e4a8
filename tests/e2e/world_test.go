package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The world's two networks, each a bridge of this network namespace, which is the router between them.
const (
	lanBridge = "lan"
	podBridge = "pods"
)

// world is the isolated surroundings of all machines: a router without a way out.
type world struct {
	directory string
	lan       netip.Prefix
	gateway   netip.Addr
	pods      netip.Prefix
	services  netip.Prefix
	podRouter netip.Addr

	mutex sync.Mutex
	links int
}

// theWorld is made once per run; the tests share it one after another.
var theWorld *world

// runInside prepares this process's namespaces and runs the tests in them.
func runInside(m *testing.M, directory string) int {
	theWorld = &world{directory: directory}
	if err := theWorld.isolate(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: isolated world:", err)
		return 1
	}
	return m.Run()
}

// isolate gives the namespace its own /proc and a working directory in memory, and makes sure that there is no way out.
func (w *world) isolate() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	// The outer process's programs stay; everything else of the run lives in memory, sized as a host's disk would be.
	runs := filepath.Join(w.directory, "run")
	if err := os.Mkdir(runs, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("run", runs, "tmpfs", 0, "size=200g,mode=755"); err != nil {
		return err
	}
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return err
	}
	if lines := strings.Count(strings.TrimSpace(string(routes)), "\n"); lines != 0 {
		return fmt.Errorf("the network namespace is not empty:\n%s", routes)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	return ip("link", "set", "lo", "up")
}

// connect lays out the networks of one stack: machines on the LAN, pods behind the pod bridge, and service addresses
// that are local, so that the service proxy can listen on them.
func (w *world) connect(lan netip.Prefix, gateway netip.Addr, pods, services netip.Prefix) error {
	w.lan, w.gateway, w.pods, w.services = lan, gateway, pods, services
	w.podRouter = lastAddress(pods)
	for _, arguments := range [][]string{
		{"link", "add", lanBridge, "type", "bridge"},
		{"addr", "add", netip.PrefixFrom(gateway, lan.Bits()).String(), "dev", lanBridge},
		{"link", "set", lanBridge, "up"},
		{"link", "add", podBridge, "type", "bridge"},
		{"addr", "add", netip.PrefixFrom(w.podRouter, pods.Bits()).String(), "dev", podBridge},
		{"link", "set", podBridge, "up"},
		{"route", "add", "local", services.String(), "dev", "lo"},
	} {
		if err := ip(arguments...); err != nil {
			return err
		}
	}
	return nil
}

// disconnect removes what connect made.
func (w *world) disconnect() error {
	return errors.Join(
		ip("link", "del", lanBridge), ip("link", "del", podBridge), ip("route", "del", "local", w.services.String(), "dev", "lo"),
	)
}

// lastAddress is the highest host address of a range.
func lastAddress(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Masked().Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(bytes).Prev()
}

func ip(arguments ...string) error { return command("ip", arguments...) }

func command(name string, arguments ...string) error {
	if output, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, output)
	}
	return nil
}

// rootSpec mirrors the one of the program machine; see there.
type rootSpec struct {
	Directory        string              `json:"directory"`
	Hostname         string              `json:"hostname"`
	Binds            map[string]string   `json:"binds"`
	Writable         map[string]string   `json:"writable"`
	Hidden           []string            `json:"hidden"`
	Files            map[string]rootFile `json:"files"`
	Environment      []string            `json:"environment"`
	Command          []string            `json:"command"`
	WorkingDirectory string              `json:"workingDirectory"`
}

type rootFile struct {
	Content string      `json:"content"`
	Mode    os.FileMode `json:"mode"`
}

// root is a running private root: a machine or a pod.
type root struct {
	process *exec.Cmd
	done    chan struct{}
	err     error
	link    string
}

// startRoot starts a root with one network interface on a bridge. Its output goes to a log file.
func (w *world) startRoot(spec *rootSpec, bridge, address, router, log string) (*root, error) {
	if err := os.MkdirAll(spec.Directory, 0o755); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	specFile := filepath.Join(spec.Directory, "root.json")
	if err := os.WriteFile(specFile, raw, 0o600); err != nil {
		return nil, err
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	process := exec.Command(filepath.Join(w.directory, "machine"), "root", specFile)
	process.Stdout, process.Stderr = output, output
	process.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Setsid:     true,
	}
	gate, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	r := &root{process: process, done: make(chan struct{})}
	go func() { r.err = process.Wait(); close(r.done) }()
	if err := w.plug(r, bridge, address, router); err != nil {
		r.stop()
		return nil, err
	}
	if _, err := gate.Write([]byte{1}); err != nil {
		r.stop()
		return nil, err
	}
	return r, gate.Close()
}

// plug gives a root its interface eth0.
func (w *world) plug(r *root, bridge, address, router string) error {
	w.mutex.Lock()
	w.links++
	r.link = "port" + strconv.Itoa(w.links)
	w.mutex.Unlock()
	pid := strconv.Itoa(r.process.Process.Pid)
	if err := errors.Join(
		ip("link", "add", r.link, "type", "veth", "peer", "name", "eth0", "netns", pid),
		ip("link", "set", r.link, "master", bridge, "up"),
	); err != nil {
		return err
	}
	for _, arguments := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", address, "dev", "eth0"},
		{"link", "set", "eth0", "up"},
		{"route", "add", "default", "via", router},
	} {
		if err := command("nsenter", append([]string{"-t", pid, "-n", "ip"}, arguments...)...); err != nil {
			return err
		}
	}
	return nil
}

// stop ends a root with everything that runs in it.
func (r *root) stop() {
	_ = r.process.Process.Kill()
	<-r.done
	_ = exec.Command("ip", "link", "del", r.link).Run()
}
