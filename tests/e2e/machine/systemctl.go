package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stateDirectory holds what the stand-ins know: <unit>.state, <unit>.pid (of the supervisor), <unit>.main (of the
// service) and <unit>.log. The suite mounts a directory of its own there.
const stateDirectory = "/run/machine"

func stateFile(name, suffix string) string { return filepath.Join(stateDirectory, name+"."+suffix) }

func readState(name, suffix string) string {
	raw, _ := os.ReadFile(stateFile(name, suffix))
	return strings.TrimSpace(string(raw))
}

func writeState(name, suffix, value string) {
	temporary := stateFile(name, suffix+".new")
	if os.WriteFile(temporary, []byte(value+"\n"), 0o644) == nil {
		_ = os.Rename(temporary, stateFile(name, suffix))
	}
}

// systemctl answers the verbs that host scripts use.
func systemctl(args []string) error {
	options, operands := map[string]bool{}, []string{}
	var properties []string
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case (arg == "-p" || arg == "--property") && i+1 < len(args):
			i++
			properties = append(properties, strings.Split(args[i], ",")...)
		case strings.HasPrefix(arg, "--property="):
			properties = append(properties, strings.Split(strings.TrimPrefix(arg, "--property="), ",")...)
		case strings.HasPrefix(arg, "-"):
			options[strings.TrimLeft(arg, "-")] = true
		default:
			operands = append(operands, arg)
		}
	}
	if len(operands) == 0 {
		return errors.New("no verb")
	}
	verb, names := operands[0], operands[1:]
	appendJournal(strings.Join(args, " "))
	switch verb {
	case "daemon-reload", "reset-failed", "mask", "unmask", "preset":
		return nil
	case "is-system-running":
		fmt.Println("running")
		return nil
	case "list-units", "list-unit-files":
		return listUnits(names)
	}
	if len(names) == 0 {
		return fmt.Errorf("%s needs a unit", verb)
	}
	for _, name := range names {
		if err := apply(verb, fullName(name), options, properties); err != nil {
			return err
		}
	}
	return nil
}

// appendJournal records each call, so that a case can count the restarts.
func appendJournal(line string) {
	file, err := os.OpenFile(filepath.Join(stateDirectory, "systemctl.calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer file.Close()
	fmt.Fprintf(file, "%s %s\n", time.Now().UTC().Format(time.RFC3339), line)
}

func apply(verb, name string, options map[string]bool, properties []string) error {
	switch verb {
	case "show":
		return show(name, properties, options["value"])
	case "is-active":
		return answer(activeState(name), options["quiet"] || options["q"], "active", 3)
	case "is-failed":
		return answer(activeState(name), options["quiet"] || options["q"], "failed", 1)
	case "is-enabled":
		return answer(enabledState(name), options["quiet"] || options["q"], "enabled", 1)
	case "stop", "kill":
		return stop(name)
	}
	u, err := loadUnit(name)
	if err != nil {
		if verb == "disable" || verb == "status" {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(4)
		}
		return err
	}
	switch verb {
	case "cat":
		raw, err := os.ReadFile(u.path)
		fmt.Print(string(raw))
		return err
	case "status":
		fmt.Printf("%s: %s\n%s", name, activeState(name), tail(stateFile(name, "log"), 4000))
		return nil
	case "enable":
		if err := enable(u); err != nil || !options["now"] {
			return err
		}
		return start(u, options["no-block"])
	case "disable":
		for _, target := range u.wantedBy {
			_ = os.Remove(wantsLink(target, name))
		}
		if options["now"] {
			return stop(name)
		}
		return nil
	case "start":
		return start(u, options["no-block"])
	case "restart", "reload-or-restart", "try-restart":
		if verb == "try-restart" && activeState(name) != "active" {
			return nil
		}
		if err := stop(name); err != nil {
			return err
		}
		return start(u, options["no-block"])
	case "reload":
		return nil
	}
	return fmt.Errorf("the stand-in does not know the verb %q", verb)
}

func answer(state string, quiet bool, wanted string, otherwise int) error {
	if !quiet {
		fmt.Println(state)
	}
	if state != wanted {
		os.Exit(otherwise)
	}
	return nil
}

func wantsLink(target, name string) string {
	return filepath.Join(administratorUnits, target+".wants", name)
}

func enable(u *unit) error {
	for _, target := range u.wantedBy {
		link := wantsLink(target, u.name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(u.path, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

func enabledState(name string) string {
	u, err := loadUnit(name)
	if err != nil {
		return "not-found"
	}
	for _, target := range u.wantedBy {
		if _, err := os.Lstat(wantsLink(target, name)); err == nil {
			return "enabled"
		}
	}
	return "disabled"
}

func activeState(name string) string {
	state := readState(name, "state")
	if state == "" {
		return "inactive"
	}
	if pid := readState(name, "pid"); pid != "" && !alive(pid) && state != "failed" {
		return "inactive"
	}
	return state
}

func alive(pid string) bool {
	n, err := strconv.Atoi(pid)
	return err == nil && n > 0 && syscall.Kill(n, 0) == nil
}

func show(name string, properties []string, valueOnly bool) error {
	u, loadErr := loadUnit(name)
	loaded := "loaded"
	if loadErr != nil {
		loaded, u = "not-found", &unit{name: name}
	}
	main := readState(name, "main")
	if main == "" || activeState(name) == "inactive" {
		main = "0"
	}
	sub := map[string]string{"active": "running", "activating": "start", "failed": "failed"}[activeState(name)]
	if sub == "" {
		sub = "dead"
	}
	values := map[string]string{
		"Id": name, "LoadState": loaded, "ActiveState": activeState(name), "SubState": sub, "MainPID": main,
		"UnitFileState": enabledState(name), "FragmentPath": u.path, "NRestarts": readState(name, "restarts"),
		"NeedDaemonReload": "no", "ActiveEnterTimestamp": readState(name, "since"), "Result": "success",
	}
	if len(properties) == 0 {
		properties = sorted(values)
	}
	for _, property := range properties {
		if valueOnly {
			fmt.Println(values[property])
		} else {
			fmt.Printf("%s=%s\n", property, values[property])
		}
	}
	return nil
}

func listUnits(patterns []string) error {
	for _, directory := range []string{administratorUnits, distributionUnits} {
		files, _ := filepath.Glob(filepath.Join(directory, "*.service"))
		for _, file := range files {
			name := filepath.Base(file)
			wanted := len(patterns) == 0
			for _, pattern := range patterns {
				match, _ := filepath.Match(pattern, name)
				wanted = wanted || match || fullName(pattern) == name
			}
			if wanted {
				fmt.Printf("%s %s\n", name, enabledState(name))
			}
		}
	}
	return nil
}

// start runs a unit's service under a supervisor of its own and waits until it is up. Services of the distribution
// (time synchronisation and the like) are only said to run: their work needs the real machine.
func start(u *unit, noBlock bool) error {
	if state := activeState(u.name); state == "active" {
		return nil
	}
	if filepath.Dir(u.path) != administratorUnits {
		writeState(u.name, "state", "active")
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(stateFile(u.name, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	writeState(u.name, "state", "activating")
	supervisor := exec.Command(self, u.name)
	supervisor.Args[0] = "supervise"
	supervisor.Dir, supervisor.Env = "/", u.environment
	supervisor.Stdout, supervisor.Stderr = log, log
	supervisor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := supervisor.Start(); err != nil {
		return err
	}
	writeState(u.name, "pid", strconv.Itoa(supervisor.Process.Pid))
	go func() { _ = supervisor.Wait() }()
	if noBlock {
		return nil
	}
	for deadline := time.Now().Add(u.startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		switch readState(u.name, "state") {
		case "active":
			return nil
		case "failed":
			return fmt.Errorf("Job for %s failed because the control process exited with error code.", u.name) //nolint:revive,staticcheck // systemd's own words
		}
	}
	return fmt.Errorf("Job for %s failed because a timeout was exceeded.", u.name) //nolint:revive,staticcheck // systemd's own words
}

func stop(name string) error {
	pid := readState(name, "pid")
	if pid == "" || !alive(pid) {
		writeState(name, "state", "inactive")
		return nil
	}
	n, _ := strconv.Atoi(pid)
	_ = syscall.Kill(n, syscall.SIGTERM)
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !alive(pid) {
			writeState(name, "state", "inactive")
			return nil
		}
	}
	return fmt.Errorf("%s does not stop", name)
}

// supervise runs a unit until it is told to stop, and starts its service anew as its Restart setting says.
func supervise(args []string) error {
	u, err := loadUnit(args[0])
	if err != nil {
		return err
	}
	stopping := make(chan os.Signal, 1)
	signal.Notify(stopping, syscall.SIGTERM)
	for restarts := 0; ; restarts++ {
		writeState(u.name, "restarts", strconv.Itoa(restarts))
		err := u.runOnce(stopping)
		if errors.Is(err, errStopped) || (err == nil && u.oneshot) {
			return nil
		}
		fmt.Fprintf(os.Stderr, "%s: service ended: %v\n", u.name, err)
		if u.restart != "always" && (u.restart != "on-failure" || err == nil) {
			writeState(u.name, "state", "failed")
			return err
		}
		if restarts == 4 {
			writeState(u.name, "state", "failed")
			return fmt.Errorf("start request repeated too quickly: %w", err)
		}
		writeState(u.name, "state", "activating")
		time.Sleep(min(u.restartAfter, time.Second))
	}
}

var errStopped = errors.New("stopped")

func (u *unit) runOnce(stopping <-chan os.Signal) error {
	for _, command := range u.startPre {
		if err := runWords(command); err != nil {
			return err
		}
	}
	socket := stateFile(u.name, "notify")
	_ = os.Remove(socket)
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer listener.Close()
	command := exec.Command(u.start[0], u.start[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	if err := command.Start(); err != nil {
		return err
	}
	writeState(u.name, "main", strconv.Itoa(command.Process.Pid))
	go u.awaitReady(listener)
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	select {
	case err := <-done:
		if u.oneshot && err == nil {
			writeState(u.name, "state", "active")
		}
		return err
	case <-stopping:
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	select {
	case <-done: //nolint:errcheck // how it ended does not matter any more
	case <-time.After(60 * time.Second):
		_ = command.Process.Kill()
		<-done //nolint:errcheck // as above
	}
	for _, after := range u.stopPost {
		_ = runWords(after)
	}
	writeState(u.name, "state", "inactive")
	return errStopped
}

// awaitReady marks the unit active: at once for a simple service, on READY=1 for one that notifies.
func (u *unit) awaitReady(listener *net.UnixConn) {
	ready := func() {
		writeState(u.name, "since", time.Now().UTC().Format(time.RFC3339Nano))
		writeState(u.name, "state", "active")
	}
	if !u.notify {
		if !u.oneshot {
			ready()
		}
		return
	}
	buffer := make([]byte, 4096)
	for {
		n, err := listener.Read(buffer)
		if err != nil {
			return
		}
		if strings.Contains(string(buffer[:n]), "READY=1") {
			ready()
		}
	}
}

// runWords runs a helper command of a unit; a leading dash forgives its failure.
func runWords(command []string) error {
	if len(command) == 0 {
		return nil
	}
	forgiven := strings.HasPrefix(command[0], "-")
	program := strings.TrimLeft(command[0], "-@:+!")
	run := exec.Command(program, command[1:]...)
	run.Stdout, run.Stderr = os.Stdout, os.Stderr
	if err := run.Run(); err != nil && !forgiven {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}

func tail(path string, size int) string {
	raw, _ := os.ReadFile(path)
	if len(raw) > size {
		raw = raw[len(raw)-size:]
	}
	return string(raw)
}

// journalctl prints the log of the unit that -u names.
func journalctl(args []string) error {
	for i, arg := range args {
		if (arg == "-u" || arg == "--unit") && i+1 < len(args) {
			fmt.Print(tail(stateFile(fullName(args[i+1]), "log"), 8000))
		}
	}
	return nil
}
