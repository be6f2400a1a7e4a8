package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// settings is the merged configuration, as K3s reads it: config.yaml, then config.yaml.d in alphabetical order.
type settings map[string]any

// known are the keys of K3s's server and agent commands that this program accepts; K3s too refuses what it does not
// know.
var known = map[string]bool{
	"advertise-address": true, "agent-token": true, "agent-token-file": true, "bind-address": true, "cluster-cidr": true,
	"cluster-dns": true, "cluster-domain": true, "cluster-init": true, "data-dir": true, "debug": true,
	"default-local-storage-path": true, "default-runtime": true, "disable": true, "disable-cloud-controller": true,
	"disable-helm-controller": true, "disable-kube-proxy": true, "disable-network-policy": true, "egress-selector-mode": true,
	"embedded-registry": true, "etcd-arg": true, "etcd-expose-metrics": true, "etcd-snapshot-compress": true,
	"etcd-snapshot-dir": true, "etcd-snapshot-retention": true, "etcd-snapshot-schedule-cron": true, "flannel-backend": true,
	"flannel-conf": true, "flannel-iface": true, "https-listen-port": true, "kube-apiserver-arg": true,
	"kube-controller-manager-arg": true, "kube-proxy-arg": true, "kube-scheduler-arg": true, "kubelet-arg": true, "log": true,
	"node-external-ip": true, "node-ip": true, "node-label": true, "node-name": true, "node-taint": true,
	"prefer-bundled-bin": true, "private-registry": true, "protect-kernel-defaults": true, "resolv-conf": true, "secrets-encryption": true,
	"secrets-encryption-provider": true, "selinux": true, "server": true, "service-cidr": true, "service-node-port-range": true,
	"snapshotter": true, "tls-san": true, "tls-san-security": true, "token": true, "token-file": true, "write-kubeconfig": true,
	"write-kubeconfig-group": true, "write-kubeconfig-mode": true,
}

func load() (settings, error) {
	files := []string{"/etc/rancher/k3s/config.yaml"}
	more, err := filepath.Glob("/etc/rancher/k3s/config.yaml.d/*.yaml")
	if err != nil {
		return nil, err
	}
	sort.Strings(more)
	merged := settings{}
	for _, file := range append(files, more...) {
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var part map[string]any
		if err := yaml.Unmarshal(raw, &part); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for key, value := range part {
			name := strings.TrimSuffix(key, "+")
			if !known[name] {
				return nil, fmt.Errorf("%s: flag provided but not defined: -%s", file, name)
			}
			if name != key {
				value = append(list(merged[name]), list(value)...)
			}
			merged[name] = value
		}
	}
	return merged, nil
}

func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

func (s settings) text(key, otherwise string) string {
	if value, set := s[key]; set && fmt.Sprint(value) != "" {
		return fmt.Sprint(value)
	}
	return otherwise
}

func (s settings) flag(key string) bool { return s.text(key, "false") == "true" }

// texts is a list setting; K3s takes a comma-separated word for one too.
func (s settings) texts(key string) []string {
	var result []string
	for _, value := range list(s[key]) {
		result = append(result, fmt.Sprint(value))
	}
	return result
}

func (s settings) dataDir() string { return s.text("data-dir", "/var/lib/rancher/k3s") }

func (s settings) nodeName() string {
	host, _ := os.Hostname()
	return s.text("node-name", host)
}

// token is the secret part of the cluster's token, whether it is given short or in full (K10<hash>::server:<secret>).
func (s settings) token() (secret, hash string, err error) {
	token := s.text("token", os.Getenv("K3S_TOKEN"))
	if file := s.text("token-file", os.Getenv("K3S_TOKEN_FILE")); token == "" && file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", "", err
		}
		token = strings.TrimSpace(string(raw))
	}
	if !strings.HasPrefix(token, "K10") {
		return token, "", nil
	}
	hash, rest, _ := strings.Cut(strings.TrimPrefix(token, "K10"), "::")
	_, secret, _ = strings.Cut(rest, ":")
	if len(hash) != 64 || secret == "" {
		return "", "", errors.New("invalid token format")
	}
	return secret, hash, nil
}

// arguments renders flags: the base, overridden by name by what the settings pass through.
func arguments(base map[string]string, passed []string) []string {
	for _, argument := range passed {
		name, value, found := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		if !found {
			value = "true"
		}
		base[name] = value
	}
	var result []string
	for name, value := range base {
		result = append(result, "--"+name+"="+value)
	}
	sort.Strings(result)
	return result
}
