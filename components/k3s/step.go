package k3s

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

//go:embed scripts/*.sh
var scripts embed.FS

const (
	// hostLock is held while a step changes a host.
	hostLock = "/run/lock/homelab-ai.lock"
	// lockWait is how long a step waits for one that still runs. flock then ends with status 75.
	lockWait = 30 * time.Minute
	// receive reads the script whole before any of it runs, so that a broken connection leaves nothing half read.
	receive = `s=$(cat); case $s in *"#end") eval "$s" </dev/null;; *) echo "the script did not arrive whole" >&2; exit 1;; esac`
)

// step is a script with its parameters: one remote command.
type step struct {
	// verb is what the script is asked to do; remove is what it is asked when the resource is deleted, or empty.
	verb, remove string
	// scripts are files of the directory scripts, in order.
	scripts []string
	// body comes after the scripts; it is another package's, see Run.
	body string
	// params are assigned before the script; their names are upper case. They are part of the declaration's hash.
	params map[string]string
	// later are parameters that are known only when the steps before have run, secrets among them. They are no part of
	// the hash: the engine sees their change in the script itself.
	later map[string]pulumi.StringInput
	// lock is the file that keeps steps apart.
	lock string
	// limit is how long the script may run.
	limit time.Duration
	// watched steps are checked for drift, and run again under a new revision when there is some.
	watched bool
	// demandSudo explains what a user without root rights has to be given.
	demandSudo bool
}

// declared is the sha256 of everything that is declared for the step.
func (s *step) declared() string {
	sum := sha256.Sum256([]byte(s.script()))
	return hex.EncodeToString(sum[:])
}

// script is what is declared: the parameters known now, and the scripts.
func (s *step) script() string {
	var text strings.Builder
	text.WriteString(assignments(s.params))
	for _, name := range append([]string{"base.sh"}, s.scripts...) {
		content, err := scripts.ReadFile("scripts/" + name)
		if err != nil {
			panic(err) // the files are part of the program
		}
		text.Write(content)
	}
	text.WriteString(s.body)
	return text.String()
}

// text is what the host receives, given the parameters that became known later.
func (s *step) text(later map[string]string) string {
	return assignments(merge(later, map[string]string{"DECLARED": s.declared()})) + s.script() + "#end"
}

// stdin is text as an input. It is secret when one of the later parameters is.
func (s *step) stdin() pulumi.StringInput {
	if len(s.later) == 0 {
		return pulumi.String(s.text(nil))
	}
	later := pulumi.StringMap{}
	for name, value := range s.later {
		later[name] = value
	}
	return later.ToStringMapOutput().ApplyT(s.text).(pulumi.StringOutput)
}

func (s *step) create(user string) string { return s.command(user, s.verb+" "+s.declared()) }

func (s *step) update(user, revision string) string {
	return s.command(user, s.verb+" revision:"+revision)
}

func (s *step) delete(user string) string { return s.command(user, s.remove) }

// command is the text that the login shell of the user gets.
func (s *step) command(user, words string) string {
	text := fmt.Sprintf("sh -c '%s' homelab-ai %s", receive, words)
	if s.lock != "" {
		text = fmt.Sprintf("flock -o -E 75 -w %d %s timeout -k 30 %d %s",
			int(lockWait.Seconds()), s.lock, int(s.limit.Seconds()), text)
	}
	if user == "root" {
		return text
	}
	text = "sudo -n " + text
	if s.demandSudo {
		text = fmt.Sprintf("sudo -n true || { echo 'user %s can not run sudo without a password; "+
			"add \"%s ALL=(ALL) NOPASSWD: ALL\" to /etc/sudoers.d/%s on the host' >&2; exit 1; }; ", user, user, user) + text
	}
	return text
}

// assignments renders parameters as POSIX sh, sorted by name.
func assignments(values map[string]string) string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	var text strings.Builder
	for _, name := range names {
		text.WriteString(name + "=" + quote(values[name]) + "\n")
	}
	return text.String()
}

// quote makes one word of any text.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
