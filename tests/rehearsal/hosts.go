package rehearsal

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// hosts is what the commands act on: it answers each step of the bootstrap as a host does.
type hosts struct {
	journal *journal
	cluster *cluster
	ca      *authority
	token   string

	mu sync.Mutex
	// installed and prepared are the addresses of hosts that have come so far.
	installed, prepared map[string]bool
	// server is the address of the first server.
	server string
}

func newHosts(j *journal, c *cluster, ca *authority) *hosts {
	h := &hosts{
		journal: j, cluster: c, ca: ca,
		token:     "K10" + hex.EncodeToString(draw(32)) + "::server:" + hex.EncodeToString(draw(16)),
		installed: map[string]bool{}, prepared: map[string]bool{},
	}
	j.keep("join token", h.token)
	return h
}

// verb finds the step's name in a command's text.
var verb = regexp.MustCompile(`\bhomelab-ai ([a-z-]+)\b`)

// run answers one command on a host.
func (h *hosts) run(urn resource.URN, which string, inputs resource.PropertyMap) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	host := text(inputs, "connection", "host")
	if text(inputs, "connection", "hostKey") == "" {
		return "", fmt.Errorf("%s: the host's key would not be verified", urn.Name())
	}
	line := text(inputs, resource.PropertyKey(which))
	found := verb.FindStringSubmatch(line)
	if found == nil {
		return "", fmt.Errorf("%s: the rehearsal finds no step in the command %q", urn.Name(), line)
	}
	step := found[1]
	if which == "delete" {
		step = "delete " + step
	}
	switch step {
	case "preflight", "drain", "ready":
		return "", nil
	case "ca":
		h.server = host
		return h.ca.certificate + h.ca.key, nil
	case "prepare":
		h.prepared[host] = true
		return "", nil
	case "install":
		return "", h.install(host)
	case "token":
		return h.token, nil
	case "kubeconfig":
		if !h.installed[h.server] {
			return "", fmt.Errorf("%s: K3s does not run yet", urn.Name())
		}
		return h.kubeconfig(), nil
	}
	if strings.HasPrefix(step, "delete ") {
		if h.installed[host] {
			delete(h.installed, host)
			if len(h.installed) == 0 {
				h.cluster.uninstall()
			}
		}
		return "", nil
	}
	return "", fmt.Errorf("%s: the rehearsal does not know the step %s", urn.Name(), step)
}

// install refuses what the scripts could not do: a host that was not prepared, and a node that joins nothing.
func (h *hosts) install(host string) error {
	if !h.prepared[host] {
		return fmt.Errorf("host %s was not prepared", host)
	}
	if host != h.server && !h.installed[h.server] {
		return fmt.Errorf("host %s joins a server that does not run", host)
	}
	h.installed[host] = true
	h.cluster.install()
	return nil
}

// kubeconfig is one as K3s writes it.
func (h *hosts) kubeconfig() string {
	certificate := base64.StdEncoding.EncodeToString([]byte(h.ca.certificate))
	key := base64.StdEncoding.EncodeToString([]byte(h.ca.key))
	h.journal.keep("kubeconfig", key)
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: default
  cluster: {server: "https://%s:6443", certificate-authority-data: %s}
users:
- name: default
  user: {client-certificate-data: %s, client-key-data: %s}
contexts:
- name: default
  context: {cluster: default, user: default}
current-context: default
`, h.server, certificate, certificate, key)
}
