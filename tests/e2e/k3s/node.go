package main

import (
	"crypto/sha256"
	"crypto/tls"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

//go:embed manifests
var manifests embed.FS

// bring applies what K3s brings itself: CoreDNS, the local-path provisioner, runtime classes.
func (s *server) bring() error {
	files, err := manifests.ReadDir("manifests")
	if err != nil {
		return err
	}
	replacements := strings.NewReplacer(
		"%{CLUSTER_DNS}%", s.settings.text("cluster-dns", "10.43.0.10"),
		"%{CLUSTER_DOMAIN}%", s.settings.text("cluster-domain", "cluster.local"),
		"%{DEFAULT_LOCAL_STORAGE_PATH}%", s.settings.text("default-local-storage-path", filepath.Join(s.settings.dataDir(), "storage")),
	)
	disabled := strings.Join(s.settings.texts("disable"), ",")
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".yaml")
		if strings.Contains(disabled, name) {
			continue
		}
		raw, err := manifests.ReadFile("manifests/" + file.Name())
		if err != nil {
			return err
		}
		if err := applyManifest(kubeconfigPath, replacements.Replace(string(raw))); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func applyManifest(kubeconfig, manifest string) error {
	command := kubectlCommand(kubeconfig, "apply", "--server-side", "--field-manager=deploy@k3s", "--force-conflicts", "-f", "-")
	command.Stdin = strings.NewReader(manifest)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// registerNode makes or updates this machine's Node object, with the capacity of a well-equipped host: what runs on
// it is simulated.
func registerNode(s settings, address, kubeconfig string) error {
	name := s.nodeName()
	labels := map[string]string{
		"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH,
		"node.kubernetes.io/instance-type": "k3s",
	}
	if s.text("server", "") == "" {
		labels["node-role.kubernetes.io/control-plane"], labels["node-role.kubernetes.io/etcd"] = "true", "true"
	}
	for _, label := range s.texts("node-label") {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	node := map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{
		"name": name, "labels": labels,
		"annotations": map[string]string{"kwok.x-k8s.io/node": "fake", "k3s.io/node-config-hash": version},
	}}
	raw, err := json.Marshal(node)
	if err != nil {
		return err
	}
	if err := applyManifest(kubeconfig, string(raw)); err != nil {
		return err
	}
	for _, taint := range s.texts("node-taint") {
		if output, err := kubectlCommand(kubeconfig, "taint", "--overwrite", "node", name, taint).CombinedOutput(); err != nil {
			return fmt.Errorf("taint %s: %w: %s", taint, err, output)
		}
	}
	resources := map[string]string{"cpu": "32", "memory": "128Gi", "pods": "250", "ephemeral-storage": "500Gi"}
	now := time.Now().UTC().Format(time.RFC3339)
	status := map[string]any{"status": map[string]any{
		"addresses": []map[string]string{{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}},
		"capacity":  resources, "allocatable": resources,
		"conditions": []map[string]string{{
			"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "simulated",
			"lastHeartbeatTime": now, "lastTransitionTime": now,
		}},
		"nodeInfo": map[string]string{
			"kubeletVersion": version, "kubeProxyVersion": version, "containerRuntimeVersion": "containerd://simulated",
			"operatingSystem": "linux", "architecture": runtime.GOARCH, "osImage": "simulated", "kernelVersion": "simulated",
			"machineID": "", "systemUUID": "", "bootID": "",
		},
	}}
	if raw, err = json.Marshal(status); err != nil {
		return err
	}
	output, err := kubectlCommand(kubeconfig, "patch", "node", name, "--subresource=status", "--type=merge", "-p", string(raw)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("status of node %s: %w: %s", name, err, output)
	}
	return nil
}

// runKwok plays the kubelet of every node of the cluster.
func (s *server) runKwok() error {
	return s.run("kwok", "--kubeconfig="+kubeconfigPath, "--config="+stages, "--manage-all-nodes=true", "--node-lease-duration-seconds=40",
		"--cidr="+s.settings.text("cluster-cidr", "10.42.0.0/16"), "--server-address=127.0.0.1:10247")
}

// join is `k3s agent`: it verifies the server against the token's hash, registers its node, and stays until it is
// stopped; the server's kwok plays its kubelet.
func join(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("flags belong into /etc/rancher/k3s/config.yaml: %v", args)
	}
	s, err := load()
	if err != nil {
		return err
	}
	if err := checkKernel(s); err != nil {
		return err
	}
	if err := noteStart("agent"); err != nil {
		return err
	}
	secret, hash, err := s.token()
	if err != nil {
		return err
	}
	server := s.text("server", os.Getenv("K3S_URL"))
	if server == "" || secret == "" {
		return errors.New("--server and --token are required")
	}
	authority, err := verifiedAuthority(server, hash)
	if err != nil {
		return err
	}
	address, err := nodeAddress(s)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dataDir(), "agent", "kubelet.kubeconfig")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	content := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"default",`+
		`"clusters":[{"name":"default","cluster":{"server":%q,"certificate-authority-data":%q}}],`+
		`"contexts":[{"name":"default","context":{"cluster":"default","user":"default"}}],`+
		`"users":[{"name":"default","user":{"token":%q}}]}`, server, base64.StdEncoding.EncodeToString(authority), secret)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if err := registerNode(s, address, path); err != nil {
		return err
	}
	notifyReady()
	<-stop
	return nil
}

// verifiedAuthority fetches the server's certificate authority and compares it with the hash of a full token.
func verifiedAuthority(server, hash string) ([]byte, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	connection, err := tls.Dial("tcp", parsed.Host, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // verified by the hash below
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	chain := connection.ConnectionState().PeerCertificates
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[len(chain)-1].Raw})
	sum := sha256.Sum256(authority)
	if hash != "" && hex.EncodeToString(sum[:]) != hash {
		return nil, errors.New("token CA hash does not match the Cluster CA certificate hash")
	}
	return authority, nil
}
