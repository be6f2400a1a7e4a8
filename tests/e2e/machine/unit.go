package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// unit is what the stand-in understands of a systemd service file.
type unit struct {
	name         string
	path         string
	notify       bool
	oneshot      bool
	startPre     [][]string
	start        []string
	stopPost     [][]string
	environment  []string
	restart      string
	restartAfter time.Duration
	startTimeout time.Duration
	wantedBy     []string
}

// Directories of unit files, the administrator's first.
const (
	administratorUnits = "/etc/systemd/system"
	distributionUnits  = "/lib/systemd/system"
)

func fullName(name string) string {
	if filepath.Ext(name) == "" {
		return name + ".service"
	}
	return name
}

// loadUnit reads a unit file. Only those of /etc are really run; the distribution's own are pretended (see start).
func loadUnit(name string) (*unit, error) {
	name = fullName(name)
	for _, directory := range []string{administratorUnits, distributionUnits} {
		path := filepath.Join(directory, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		return parseUnit(name, path)
	}
	return nil, fmt.Errorf("Unit %s could not be found.", name) //nolint:revive,staticcheck // systemd's own words
}

func parseUnit(name, path string) (*unit, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	u := &unit{name: name, path: path, restartAfter: 100 * time.Millisecond, startTimeout: 90 * time.Second}
	u.environment = append(u.environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8")
	text := strings.ReplaceAll(string(raw), "\\\n", " ")
	scanner := bufio.NewScanner(strings.NewReader(text))
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		key, value, found := strings.Cut(line, "=")
		if !found || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if err := u.set(key, strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, key, err)
		}
	}
	return u, scanner.Err()
}

func (u *unit) set(key, value string) error {
	var err error
	switch key {
	case "Type":
		u.notify, u.oneshot = value == "notify", value == "oneshot"
	case "ExecStartPre":
		u.startPre = append(u.startPre, words(value))
	case "ExecStart":
		u.start = words(value)
	case "ExecStopPost":
		u.stopPost = append(u.stopPost, words(value))
	case "Environment":
		u.environment = append(u.environment, words(value)...)
	case "EnvironmentFile":
		err = u.readEnvironment(value)
	case "Restart":
		u.restart = value
	case "RestartSec":
		u.restartAfter, err = seconds(value)
	case "TimeoutStartSec":
		u.startTimeout, err = seconds(value)
	case "WantedBy":
		u.wantedBy = strings.Fields(value)
	}
	return err
}

func (u *unit) readEnvironment(path string) error {
	optional := strings.HasPrefix(path, "-")
	raw, err := os.ReadFile(strings.TrimPrefix(path, "-"))
	if err != nil {
		if optional {
			return nil
		}
		return err
	}
	for _, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		u.environment = append(u.environment, strings.Join(words(line), " "))
	}
	return nil
}

// seconds reads a time span; 0 and infinity mean an hour here, so that a test ends.
func seconds(value string) (time.Duration, error) {
	if value == "0" || value == "infinity" {
		return time.Hour, nil
	}
	if n, err := strconv.Atoi(value); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	return time.ParseDuration(strings.ReplaceAll(strings.ReplaceAll(value, "min", "m"), " ", ""))
}

// words splits a line as systemd does, as far as plain and quoted words go.
func words(line string) []string {
	var result []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if inWord {
				result = append(result, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		result = append(result, word.String())
	}
	return result
}
