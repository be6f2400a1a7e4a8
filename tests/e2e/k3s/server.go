package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is one run of the control plane.
type server struct {
	settings settings
	data     string // <data-dir>/server
	address  string
	ca       *authority
	secret   string // of the token
	children []*exec.Cmd
	ended    chan error
}

// serve is `k3s server`: it starts the control plane, reports readiness to the service manager, and stops everything
// again on SIGTERM. It ends with an error as soon as one part does.
func serve(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("flags belong into /etc/rancher/k3s/config.yaml: %v", args)
	}
	s := &server{ended: make(chan error, 16)}
	var err error
	if s.settings, err = load(); err != nil {
		return err
	}
	if err := checkKernel(s.settings); err != nil {
		return err
	}
	if err := noteStart("server"); err != nil {
		return err
	}
	if s.settings.text("server", "") != "" {
		return errors.New("the stand-in runs one server only")
	}
	s.data = filepath.Join(s.settings.dataDir(), "server")
	if s.address, err = nodeAddress(s.settings); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	defer s.stop()
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	notifyReady()
	select {
	case <-stop:
		return nil
	case err := <-s.ended:
		return err
	}
}

// checkKernel refuses what the kubelet refuses with protect-kernel-defaults.
func checkKernel(s settings) error {
	if !s.flag("protect-kernel-defaults") {
		return nil
	}
	wanted := map[string]string{"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
	for name, value := range wanted {
		raw, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			return err
		}
		if actual := strings.TrimSpace(string(raw)); actual != value {
			return fmt.Errorf("invalid kernel flag: %s, expected value: %s, actual value: %s", name, value, actual)
		}
	}
	return nil
}

// nodeAddress is node-ip, or the first address of the machine that is not its loopback.
func nodeAddress(s settings) (string, error) {
	if address := s.text("node-ip", ""); address != "" {
		return address, nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if ip, _, err := net.ParseCIDR(address.String()); err == nil && !ip.IsLoopback() && ip.To4() != nil {
			return ip.String(), nil
		}
	}
	return "", errors.New("no address for the node")
}

func (s *server) file(name ...string) string {
	return filepath.Join(append([]string{s.data}, name...)...)
}

// prepare writes certificates, token, encryption key and kubeconfigs.
func (s *server) prepare() error {
	var err error
	if s.ca, err = openAuthority(s.file("tls")); err != nil {
		return err
	}
	serviceIP, err := firstAddress(s.settings.text("service-cidr", "10.43.0.0/16"))
	if err != nil {
		return err
	}
	hosts := append([]string{
		"127.0.0.1", "localhost", s.address, s.settings.nodeName(), serviceIP,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}, s.settings.texts("tls-san")...)
	if err := errors.Join(
		s.ca.server("serving-kube-apiserver", hosts),
		s.ca.client("client-admin", "system:admin", "system:masters"),
		s.ca.client("client-controller", "system:kube-controller-manager"),
		s.ca.client("client-scheduler", "system:kube-scheduler"),
	); err != nil {
		return err
	}
	if _, err := os.Stat(s.ca.file("service.key")); errors.Is(err, os.ErrNotExist) {
		if err := s.ca.client("service", "service-accounts"); err != nil {
			return err
		}
	}
	if err := s.writeToken(); err != nil {
		return err
	}
	if err := s.writeEncryption(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.file("logs"), 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(kubeconfigPath), 0o755); err != nil {
		return err
	}
	return errors.Join(
		s.writeKubeconfig(kubeconfigPath, "client-admin"),
		s.writeKubeconfig(s.file("cred", "controller.kubeconfig"), "client-controller"),
		s.writeKubeconfig(s.file("cred", "scheduler.kubeconfig"), "client-scheduler"),
	)
}

func (s *server) writeToken() error {
	given, _, err := s.settings.token()
	if err != nil {
		return err
	}
	path := s.file("token")
	if raw, err := os.ReadFile(path); err == nil {
		_, secret, _ := strings.Cut(strings.TrimSpace(string(raw)), "::server:")
		if given != "" && given != secret {
			return errors.New("bootstrap data already found and encrypted with different token")
		}
		s.secret = secret
	} else if given != "" {
		s.secret = given
	} else {
		drawn := make([]byte, 16)
		if _, err := rand.Read(drawn); err != nil {
			return err
		}
		s.secret = hex.EncodeToString(drawn)
	}
	hash, err := s.ca.hash()
	if err != nil {
		return err
	}
	token := []byte("K10" + hash + "::server:" + s.secret + "\n")
	return errors.Join(
		os.WriteFile(path, token, 0o600),
		os.WriteFile(s.file("node-token"), token, 0o600),
		os.WriteFile(s.file("cred-passwd.csv"), []byte(s.secret+",node,node,\"system:masters\"\n"), 0o600),
	)
}

// writeEncryption keeps one key for Secrets at rest, with the provider that the settings ask for.
func (s *server) writeEncryption() error {
	path := s.file("cred", "encryption-config.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil || !s.settings.flag("secrets-encryption") {
		return nil
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	config := fmt.Sprintf(`{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["secrets"],`+
		`"providers":[{%q:{"keys":[{"name":"key1","secret":%q}]}},{"identity":{}}]}]}`,
		s.settings.text("secrets-encryption-provider", "aescbc"), base64.StdEncoding.EncodeToString(key))
	return os.WriteFile(path, []byte(config), 0o600)
}

func (s *server) writeKubeconfig(path, client string) error {
	encode := func(name string) string {
		raw, err := os.ReadFile(s.ca.file(name))
		if err != nil {
			return ""
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	content := fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`, encode("server-ca.crt"), encode(client+".crt"), encode(client+".key"))
	return os.WriteFile(path, []byte(content), 0o600)
}

// start runs the parts in the order in which they need each other.
func (s *server) start() error {
	etcd := s.file("db", "etcd")
	if err := os.MkdirAll(etcd, 0o700); err != nil {
		return err
	}
	if err := s.run("etcd", "--data-dir="+etcd, "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--log-level=warn"); err != nil {
		return err
	}
	tls := s.ca.file
	api := map[string]string{
		"advertise-address": s.address, "allow-privileged": "true", "anonymous-auth": "false", "authorization-mode": "Node,RBAC",
		"bind-address": "0.0.0.0", "client-ca-file": tls("server-ca.crt"), "enable-admission-plugins": "NodeRestriction",
		"etcd-servers": "http://127.0.0.1:2379", "secure-port": "6443", "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
		"service-account-key-file": tls("service.key"), "service-account-signing-key-file": tls("service.key"),
		"service-cluster-ip-range": s.settings.text("service-cidr", "10.43.0.0/16"), "tls-cert-file": tls("serving-kube-apiserver.crt"),
		"tls-private-key-file": tls("serving-kube-apiserver.key"), "token-auth-file": s.file("cred-passwd.csv"),
	}
	if s.settings.flag("secrets-encryption") {
		api["encryption-provider-config"] = s.file("cred", "encryption-config.json")
	}
	if err := s.run("kube-apiserver", arguments(api, s.settings.texts("kube-apiserver-arg"))...); err != nil {
		return err
	}
	if err := s.awaitAPI(); err != nil {
		return err
	}
	controller := map[string]string{
		"allocate-node-cidrs": "true", "cluster-cidr": s.settings.text("cluster-cidr", "10.42.0.0/16"), "bind-address": "127.0.0.1",
		"cluster-signing-cert-file": tls("server-ca.crt"), "cluster-signing-key-file": tls("server-ca.key"),
		"controllers": "*", "kubeconfig": s.file("cred", "controller.kubeconfig"), "leader-elect": "false",
		"root-ca-file": tls("server-ca.crt"), "service-account-private-key-file": tls("service.key"),
		"service-cluster-ip-range": api["service-cluster-ip-range"], "use-service-account-credentials": "true",
	}
	if err := s.run("kube-controller-manager", arguments(controller, s.settings.texts("kube-controller-manager-arg"))...); err != nil {
		return err
	}
	scheduler := map[string]string{"bind-address": "127.0.0.1", "kubeconfig": s.file("cred", "scheduler.kubeconfig"), "leader-elect": "false"}
	if err := s.run("kube-scheduler", arguments(scheduler, s.settings.texts("kube-scheduler-arg"))...); err != nil {
		return err
	}
	if err := s.bring(); err != nil {
		return err
	}
	if err := registerNode(s.settings, s.address, kubeconfigPath); err != nil {
		return err
	}
	return s.runKwok()
}

// run starts a part; the whole server ends when it does.
func (s *server) run(name string, args ...string) error {
	command := exec.Command(filepath.Join(programs, name), args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.children = append(s.children, command)
	go func() {
		s.ended <- fmt.Errorf("%s ended: %w", name, errors.Join(errors.New("unexpectedly"), command.Wait()))
	}()
	return nil
}

// stop ends the parts, the last first, and waits for each.
func (s *server) stop() {
	for i := len(s.children) - 1; i >= 0; i-- {
		process := s.children[i].Process
		_ = process.Signal(syscall.SIGTERM)
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if syscall.Kill(process.Pid, 0) != nil {
				break
			}
		}
		_ = process.Kill()
	}
}

func (s *server) awaitAPI() error {
	var last []byte
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		select {
		case err := <-s.ended:
			return err
		default:
		}
		output, err := kubectlCommand(kubeconfigPath, "get", "--raw", "/readyz").CombinedOutput()
		if err == nil {
			return nil
		}
		last = output
	}
	return fmt.Errorf("the API server does not get ready: %s", last)
}

func kubectlCommand(kubeconfig string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(programs, "kubectl"), append([]string{"--kubeconfig", kubeconfig, "--cache-dir", "/tmp/kubectl"}, args...)...)
}

// notifyReady is sd_notify(READY=1).
func notifyReady() {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	connection, err := net.Dial("unixgram", socket)
	if err != nil {
		return
	}
	defer connection.Close()
	_, _ = connection.Write([]byte("READY=1"))
}

// firstAddress is the address of the API server's own Service.
func firstAddress(cidr string) (string, error) {
	ip, _, err := net.ParseCIDR(cidr)
	if err != nil {
		return "", err
	}
	four := ip.To4()
	four[3]++
	return four.String(), nil
}
