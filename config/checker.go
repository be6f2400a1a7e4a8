package config

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// checker collects the problems of one config.
type checker struct {
	cfg       *Config
	catalogue Catalogue
	problems  Problems
	// secretPaths are the keys that hold secrets, secretTexts what they hold: neither may show in a problem.
	secretPaths []string
	secretTexts []string
	// storageDeclared tells that the stack itself says what every node offers to volumes.
	storageDeclared bool
}

// add notes a problem, unless one is known at that key or above: what follows from a problem is none of its own.
func (c *checker) add(rule Rule, path, value, fix string, args ...any) {
	if !c.fine(path) {
		return
	}
	c.problems = append(c.problems, Problem{Rule: rule, Path: path, Value: value, Fix: fmt.Sprintf(fix, args...)})
}

// fine tells whether no problem is known at that key or above it.
func (c *checker) fine(paths ...string) bool {
	for _, path := range paths {
		for _, problem := range c.problems {
			if within(path, problem.Path) {
				return false
			}
		}
	}
	return true
}

// within tells whether path is the key above or lies below it.
func within(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// noteSecret keeps the value at path, and whatever is below it, out of every problem.
func (c *checker) noteSecret(path string, value any) {
	c.secretPaths = append(c.secretPaths, path)
	c.noteTexts(value)
}

func (c *checker) noteTexts(value any) {
	switch value := value.(type) {
	case Encrypted:
		c.noteTexts(value.Value)
	case map[string]any:
		for _, item := range value {
			c.noteTexts(item)
		}
	case []any:
		for _, item := range value {
			c.noteTexts(item)
		}
	case string:
		c.secretTexts = append(c.secretTexts, value)
	case json.Number:
		c.secretTexts = append(c.secretTexts, value.String())
	}
}

// noteTree notes the secrets of a tree that is not decoded.
func (c *checker) noteTree(path string, value any, covered bool) {
	switch value := value.(type) {
	case Encrypted:
		c.noteSecret(path, value.Value)
		return
	case map[string]any:
		for key, item := range value {
			c.noteTree(join(path, key), item, covered)
		}
	case []any:
		for i, item := range value {
			c.noteTree(fmt.Sprintf("%s[%d]", path, i), item, covered)
		}
	}
	if covered {
		c.noteSecret(path, value)
	}
}

// credentials matches what must not be shown although no key calls it a secret: a private key, a password in a URL.
var credentials = regexp.MustCompile(`PRIVATE KEY|://[^/]*@`)

// shortSecret is the length below which a secret is not looked for inside other texts: it would be found everywhere.
const shortSecret = 4

// sorted returns the problems in order of their keys, without a trace of a secret.
func (c *checker) sorted() Problems {
	hide := []string{}
	for _, text := range c.secretTexts {
		if len(text) >= shortSecret {
			hide = append(hide, text, redacted)
		}
	}
	hidden := strings.NewReplacer(hide...)
	for i := range c.problems {
		problem := &c.problems[i]
		for _, path := range c.secretPaths {
			if problem.Rule != UnknownKey && within(problem.Path, path) && problem.Value != "" {
				problem.Value = redacted
			}
		}
		if credentials.MatchString(problem.Value) {
			problem.Value = redacted
		}
		problem.Value = hidden.Replace(problem.Value)
		problem.Fix = hidden.Replace(problem.Fix)
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return c.problems
}

func (c *checker) validate() {
	c.validateDomain()
	c.validateCluster()
	c.validateNetwork()
	c.validateTLS()
	c.validateSignIn()
	c.validateServices()
	c.validateResources()
	c.validateBackup()
	c.validateVersions()
}

// required tells whether the value is there, and notes a problem when it is not.
func (c *checker) required(path, value, fix string) bool {
	if value == "" {
		c.add(Required, path, "", "%s", fix)
	}
	return value != ""
}

func (c *checker) oneOf(rule Rule, path, value string, allowed ...string) bool {
	if slices.Contains(allowed, value) {
		return true
	}
	c.add(rule, path, value, "must be one of %s", strings.Join(allowed, ", "))
	return false
}

func (c *checker) count(path string, value, least, most int) {
	if value < least || value > most {
		c.add(Count, path, strconv.Itoa(value), "must be between %d and %d", least, most)
	}
}

func (c *checker) port(path string, value int) {
	if value < 1 || value > 65535 {
		c.add(Port, path, strconv.Itoa(value), "must be a port between 1 and 65535")
	}
}

// quantity returns a Kubernetes quantity above zero, or nil after noting the problem.
func (c *checker) quantity(path, value string) *resource.Quantity {
	quantity, err := resource.ParseQuantity(value)
	if err != nil || quantity.Sign() <= 0 {
		c.add(Quantity, path, value, "must be a Kubernetes quantity above zero, such as 500m or 2 for cores, 20Gi for sizes")
		return nil
	}
	return &quantity
}

// duration returns a duration above zero, or zero after noting the problem.
func (c *checker) duration(path, value string) time.Duration {
	duration, err := time.ParseDuration(value)
	if err != nil || duration <= 0 {
		c.add(Duration, path, value, "must be a duration above zero, such as 90s, 15m or 720h")
		return 0
	}
	return duration
}

var retention = regexp.MustCompile(`^[1-9][0-9]{0,5}[hdwy]$`)

func (c *checker) retention(path, value string) {
	if !retention.MatchString(value) {
		c.add(Retention, path, value, "must be a number with h, d, w or y, such as 15d")
	}
}

func (c *checker) cron(path, value string) {
	// The parser stumbles over a time zone without an expression, and the host's time zone holds anyway.
	if strings.Contains(value, "TZ=") {
		c.add(Cron, path, value, "must be a cron expression without a time zone, such as 0 3 * * *")
		return
	}
	if _, err := cron.ParseStandard(value); err != nil {
		c.add(Cron, path, value, "must be a cron expression of five fields, such as 0 3 * * *")
	}
}

// address returns an IPv4 address, or an invalid one after noting the problem.
func (c *checker) address(path, value string) netip.Addr {
	address, err := netip.ParseAddr(value)
	if err != nil || !address.Is4() {
		c.add(Address, path, value, "must be an IPv4 address, such as 192.168.1.20")
		return netip.Addr{}
	}
	return address
}

// cidr returns an IPv4 network, or an invalid one after noting the problem.
func (c *checker) cidr(path, value string) netip.Prefix {
	network, err := netip.ParsePrefix(value)
	if err != nil || !network.Addr().Is4() {
		c.add(CIDR, path, value, "must be an IPv4 range, such as 192.168.1.0/24")
		return netip.Prefix{}
	}
	if network != network.Masked() {
		c.add(CIDRHostBits, path, value, "names an address inside its network; write the network itself, %s", network.Masked())
		return netip.Prefix{}
	}
	return network
}

// isHost tells whether the text is an IPv4 address or a DNS name.
func isHost(value string) bool {
	if address, err := netip.ParseAddr(value); err == nil {
		return address.Is4()
	}
	// What looks like an address but is none must not pass as a name: 192.168.1.300.
	last := value[strings.LastIndex(value, ".")+1:]
	if _, err := strconv.Atoi(last); err == nil {
		return false
	}
	return len(validation.IsDNS1123Subdomain(value)) == 0
}

func (c *checker) host(rule Rule, path, value string) bool {
	if !isHost(value) {
		c.add(rule, path, value, "must be an IPv4 address or a DNS name in lower case")
		return false
	}
	return true
}

func (c *checker) hostPort(path, value string) {
	host, port, found := strings.Cut(value, ":")
	number, err := strconv.Atoi(port)
	if !found || err != nil || number < 1 || number > 65535 || !isHost(host) {
		c.add(HostPort, path, value, "must be host:port, such as 1.1.1.1:53")
	}
}

// url notes whatever is not a complete URL of one of the schemes.
func (c *checker) url(rule Rule, path, value string, schemes ...string) *url.URL {
	address, err := url.Parse(value)
	if err != nil || !slices.Contains(schemes, address.Scheme) || address.Hostname() == "" || address.User != nil ||
		address.RawQuery != "" || address.Fragment != "" {
		c.add(rule, path, value, "must be a URL that begins with %s://, names a host, and holds no credentials",
			strings.Join(schemes, ":// or "))
		return nil
	}
	return address
}

func (c *checker) email(rule Rule, path, value string) {
	address, err := mail.ParseAddress(value)
	if err != nil || address.Address != value {
		c.add(rule, path, value, "must be a mail address, such as me@example.org")
	}
}

func (c *checker) absolutePath(key, value string) {
	if !path.IsAbs(value) || path.Clean(value) != value || value == "/" || strings.ContainsAny(value, " \t\n\"'\\$`") {
		c.add(AbsolutePath, key, value, "must be an absolute path below / without blanks, quotes or a slash at its end")
	}
}

// unique notes every text of a list that was there before.
func (c *checker) unique(path string, values []string) {
	for i, value := range values {
		if slices.Contains(values[:i], value) {
			c.add(Duplicate, fmt.Sprintf("%s[%d]", path, i), value, "is in the list already; remove it")
		}
	}
}
