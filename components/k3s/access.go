package k3s

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/homelab-ai/homelab-ai/config"
)

// Access is how a host is reached over SSH.
type Access struct {
	// Host is its address or name, Port its SSH port and User who logs in.
	Host string
	Port int
	User string
	// HostKey is the public key that the host must prove (authorized_keys form). Empty only where the stack turned
	// verification off.
	HostKey string
	// Through is the jump host, or nil.
	Through *Access

	key, passphrase string // empty: the SSH agent
}

// errHostKey says that another host answers than the one that was declared.
var errHostKey = errors.New("host key mismatch: the host was reinstalled, or something answers in its place; " +
	"compare with /etc/ssh/ssh_host_ed25519_key.pub on the host itself, then set hostKey")

// newAccess is the only place where an SSH connection is described: commands and probes both use it. A key file that
// does not exist is an error only when a key is needed.
func newAccess(settings *config.SSH, node *config.Node, needKey bool) (*Access, error) {
	access := &Access{Host: node.Host, Port: node.Port, User: node.User, HostKey: strings.TrimSpace(node.HostKey)}
	switch {
	case settings.PrivateKey.IsSet():
		access.key = settings.PrivateKey.Reveal()
	case settings.PrivateKeyFile != "":
		key, err := os.ReadFile(expandHome(settings.PrivateKeyFile))
		if err != nil && (needKey || !errors.Is(err, os.ErrNotExist)) {
			return nil, fmt.Errorf("cluster.ssh.privateKeyFile: %w; name the private key's file, or use cluster.ssh.agent", err)
		}
		access.key = string(key)
	}
	access.passphrase = settings.PrivateKeyPassphrase.Reveal()
	if jump := settings.JumpHost; jump != nil {
		access.Through = &Access{
			Host: jump.Host, Port: jump.Port, User: jump.User, HostKey: strings.TrimSpace(jump.HostKey),
			key: access.key, passphrase: access.passphrase,
		}
	}
	for hop, name := access, "the node "+node.Name; hop != nil; hop, name = hop.Through, "cluster.ssh.jumpHost" {
		switch {
		case settings.InsecureIgnoreHostKeys:
			hop.HostKey = ""
		case hop.HostKey == "":
			return nil, fmt.Errorf("hostKey of %s is missing; take it from /etc/ssh/ssh_host_ed25519_key.pub there", name)
		}
	}
	return access, nil
}

func expandHome(path string) string {
	if rest, found := strings.CutPrefix(path, "~/"); found {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// connection renders the settings for remote commands.
func (a *Access) connection() *remote.ConnectionArgs {
	args := &remote.ConnectionArgs{
		Host: pulumi.String(a.Host),
		Port: pulumi.Float64(float64(a.Port)),
		User: pulumi.String(a.User),
	}
	if a.HostKey != "" {
		args.HostKey = pulumi.String(a.HostKey)
	}
	if a.key != "" {
		args.PrivateKey = secret(a.key)
	}
	if a.passphrase != "" {
		args.PrivateKeyPassword = secret(a.passphrase)
	}
	if jump := a.Through; jump != nil {
		proxy := &remote.ProxyConnectionArgs{
			Host: pulumi.String(jump.Host),
			Port: pulumi.Float64(float64(jump.Port)),
			User: pulumi.String(jump.User),
		}
		if jump.HostKey != "" {
			proxy.HostKey = pulumi.String(jump.HostKey)
		}
		if jump.key != "" {
			proxy.PrivateKey = secret(jump.key)
		}
		if jump.passphrase != "" {
			proxy.PrivateKeyPassword = secret(jump.passphrase)
		}
		args.Proxy = proxy
	}
	return args
}

func secret(text string) pulumi.StringPtrOutput {
	return pulumi.ToSecret(pulumi.String(text).ToStringOutput()).(pulumi.StringOutput).ToStringPtrOutput()
}

// run executes a command on the host and returns what it printed. The context limits all of it.
func (a *Access) run(ctx context.Context, command, stdin string) (string, error) {
	client, closeAll, err := a.dial(ctx)
	if err != nil {
		return "", err
	}
	defer closeAll()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	stop := context.AfterFunc(ctx, closeAll)
	defer stop()
	session.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	session.Stderr = &stderr
	stdout, err := session.Output(command)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return string(stdout), nil
}

// dial connects, through the jump host where there is one.
func (a *Access) dial(ctx context.Context) (*ssh.Client, func(), error) {
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	closeJump := func() {}
	if a.Through != nil {
		jump, closer, err := a.Through.dial(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("jump host: %w", err)
		}
		closeJump = closer
		dialer = func(ctx context.Context, address string) (net.Conn, error) {
			return jump.DialContext(ctx, "tcp", address)
		}
	}
	settings, closeAgent, err := a.clientConfig()
	if err != nil {
		closeJump()
		return nil, nil, err
	}
	defer closeAgent()
	address := net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
	conn, err := dialer(ctx, address)
	if err != nil {
		closeJump()
		return nil, nil, err
	}
	// A peer that accepts and then says nothing must not hold up the preview.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	established, channels, requests, err := ssh.NewClientConn(conn, address, settings)
	if err != nil {
		_ = conn.Close()
		closeJump()
		return nil, nil, err
	}
	client := ssh.NewClient(established, channels, requests)
	return client, func() { _ = client.Close(); closeJump() }, nil
}

func (a *Access) clientConfig() (*ssh.ClientConfig, func(), error) {
	settings := &ssh.ClientConfig{User: a.User}
	if a.HostKey == "" {
		settings.HostKeyCallback = ssh.InsecureIgnoreHostKey() //nolint:gosec // cluster.ssh.insecureIgnoreHostKeys says so
	} else {
		declared, _, _, _, err := ssh.ParseAuthorizedKey([]byte(a.HostKey))
		if err != nil {
			return nil, nil, fmt.Errorf("hostKey of %s: %w", a.Host, err)
		}
		settings.HostKeyAlgorithms = []string{declared.Type()}
		settings.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if string(key.Marshal()) != string(declared.Marshal()) {
				return errHostKey
			}
			return nil
		}
	}
	if a.key != "" {
		signer, err := a.signer()
		if err != nil {
			return nil, nil, err
		}
		settings.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer)}
		return settings, func() {}, nil
	}
	socket, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK")) //nolint:gosec // the user names their own agent
	if err != nil {
		return nil, nil, fmt.Errorf("no SSH agent answers at SSH_AUTH_SOCK (%w): start one and give it your key with ssh-add, "+
			"or set cluster.ssh.privateKeyFile", err)
	}
	settings.Auth = []ssh.AuthMethod{ssh.PublicKeysCallback(agent.NewClient(socket).Signers)}
	return settings, func() { _ = socket.Close() }, nil
}

func (a *Access) signer() (ssh.Signer, error) {
	var signer ssh.Signer
	var err error
	if a.passphrase != "" {
		signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(a.key), []byte(a.passphrase))
	} else {
		signer, err = ssh.ParsePrivateKey([]byte(a.key))
	}
	if err != nil {
		// The cause is about the form of the key and never holds any of it.
		return nil, fmt.Errorf("cluster.ssh: the private key can't be used: %w", err)
	}
	return signer, nil
}
