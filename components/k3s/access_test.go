package k3s

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// sshd serves SSH on loopback: it answers each command with the command and its input, and forwards connections.
func sshd(t *testing.T, client ssh.PublicKey) *Access {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	settings := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
		if string(offered.Marshal()) != string(client.Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}
		return &ssh.Permissions{}, nil
	}}
	settings.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, settings)
		}
	}()
	return &Access{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "lab",
		HostKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))),
	}
}

func serve(conn net.Conn, settings *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, settings)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offer := range channels {
		if offer.ChannelType() == "direct-tcpip" {
			var to struct {
				Host   string
				Port   uint32
				Origin string
				From   uint32
			}
			_ = ssh.Unmarshal(offer.ExtraData(), &to)
			target, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
			if err != nil {
				_ = offer.Reject(ssh.ConnectionFailed, err.Error())
				continue
			}
			channel, requests, _ := offer.Accept()
			go ssh.DiscardRequests(requests)
			go func() { _, _ = io.Copy(channel, target); _ = channel.Close() }()
			go func() { _, _ = io.Copy(target, channel) }()
			continue
		}
		channel, requests, _ := offer.Accept()
		go func() {
			for request := range requests {
				var command struct{ Text string }
				_ = ssh.Unmarshal(request.Payload, &command)
				_ = request.Reply(true, nil)
				if command.Text == "hang" {
					continue
				}
				input, _ := io.ReadAll(channel)
				_, _ = fmt.Fprintf(channel, "%s:%s", command.Text, input)
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{}))
				_ = channel.Close()
			}
		}()
	}
}

func clientKey(t *testing.T, passphrase string) (string, ssh.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(block)), signer.PublicKey()
}

func TestSSHProbeRunsACommand(t *testing.T) {
	key, public := clientKey(t, "")
	access := sshd(t, public)
	access.key = key
	answer, err := SSHProbe(t.Context(), access, "probe", "script")
	require.NoError(t, err)
	assert.Equal(t, "probe:script", answer)

	t.Run("encrypted key", func(t *testing.T) {
		key, public := clientKey(t, "open sesame")
		access := sshd(t, public)
		access.key, access.passphrase = key, "open sesame"
		_, err := SSHProbe(t.Context(), access, "probe", "")
		require.NoError(t, err)
		access.passphrase = "wrong"
		_, err = SSHProbe(t.Context(), access, "probe", "")
		require.ErrorContains(t, err, "the private key can't be used")
		assert.NotContains(t, err.Error(), "wrong")
	})
	t.Run("jump host", func(t *testing.T) {
		through := *access
		through.Through = sshd(t, public)
		through.Through.key = key
		answer, err := SSHProbe(t.Context(), &through, "probe", "script")
		require.NoError(t, err)
		assert.Equal(t, "probe:script", answer)
		through.Through.HostKey = access.HostKey
		_, err = SSHProbe(t.Context(), &through, "probe", "script")
		require.ErrorIs(t, err, errHostKey)
	})
	t.Run("another host", func(t *testing.T) {
		impostor := *access
		impostor.HostKey = sshd(t, public).HostKey
		_, err := SSHProbe(t.Context(), &impostor, "probe", "script")
		require.ErrorIs(t, err, errHostKey)
	})
	t.Run("silence", func(t *testing.T) {
		limited, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := SSHProbe(limited, access, "hang", "")
		require.Error(t, err)
		assert.Less(t, time.Since(start), 5*time.Second)

		mute, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = mute.Close() }()
		silent := *access
		silent.Port = mute.Addr().(*net.TCPAddr).Port
		limited, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err = SSHProbe(limited, &silent, "probe", "")
		require.Error(t, err)
	})
}
