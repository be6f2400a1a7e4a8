package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/require"
)

// secretScan looks for secrets, in plain text and in base64.
type secretScan struct {
	needles map[string][]byte // by the name of the secret and its encoding
	scanned int
}

// least is the length from which a secret is looked for; shorter ones would be found by chance.
const least = 12

// add makes a scan look for a value under a name.
func (s *secretScan) add(name, value string) {
	value = strings.TrimSpace(value)
	if strings.Contains(value, "-----BEGIN ") {
		s.addPEM(name, value)
		return
	}
	if len(value) < least {
		return
	}
	s.needles[name+" in plain text"] = []byte(value)
	for offset := range 3 {
		s.needles[fmt.Sprintf("%s in base64 (%d)", name, offset)] = encodedAt([]byte(value), offset)
	}
}

// addPEM looks for the lines of a private key; certificates are public.
func (s *secretScan) addPEM(name, value string) {
	for _, block := range pemBlock.FindAllStringSubmatch(value, -1) {
		if !strings.Contains(block[1], "PRIVATE KEY") {
			continue
		}
		lines := strings.Fields(block[2])
		for i, line := range lines {
			if len(line) > 40 && i > 0 { // the first line of a key is much the same in all
				s.add(fmt.Sprintf("%s line %d", name, i), line)
			}
		}
	}
}

var pemBlock = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END`)

// encodedAt is the part of base64(prefix + value) that depends on the value alone, for a prefix of the given length.
func encodedAt(value []byte, offset int) []byte {
	encoded := base64.StdEncoding.EncodeToString(append(make([]byte, offset), value...))
	encoded = strings.TrimRight(encoded, "=")
	begin := 0
	if offset > 0 {
		begin = offset + 1
	}
	end := len(encoded)
	if (offset+len(value))%3 != 0 {
		end-- // the last character holds bits of what follows
	}
	return []byte(encoded[begin:end])
}

// text looks through one text; what it finds is named, never shown.
func (s *secretScan) text(where string, content []byte) []string {
	s.scanned++
	var found []string
	for name, needle := range s.needles {
		if bytes.Contains(content, needle) {
			found = append(found, where+": "+name)
		}
	}
	sort.Strings(found)
	return found
}

// directory looks through all files below a directory.
func (s *secretScan) directory(directory string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found = append(found, s.text(path, content)...)
		return nil
	})
	return found, err
}

// secrets collects what the deployment generated: from the state, from the machines and from the cluster.
func (l *lab) secrets(t *testing.T) *secretScan {
	t.Helper()
	scan := &secretScan{needles: map[string][]byte{}}
	resources, err := l.stack.state(t.Context(), true)
	require.NoError(t, err)
	random := 0
	for _, r := range resources {
		if strings.HasPrefix(string(r.Type), "random:") {
			for _, key := range []string{"result", "hex", "b64Std"} {
				if value, text := plaintext(r.Outputs[key]).(string); text {
					scan.add("output "+key+" of "+r.URN.Name(), value)
					random++
				}
			}
		}
	}
	require.NotZero(t, random, "the state holds no random secret")
	for _, file := range []string{
		"/etc/homelab-ai/ca/ca.key", "/var/lib/rancher/k3s/server/token", "/var/lib/rancher/k3s/server/tls/client-admin.key",
		"/var/lib/rancher/k3s/server/tls/server-ca.key", "/var/lib/rancher/k3s/server/tls/service.key",
	} {
		content := l.nodes[0].mustSSH(t, "cat "+file)
		require.NotEmpty(t, content, file)
		scan.add(file, content)
		if _, secret, found := strings.Cut(strings.TrimSpace(content), "::server:"); found {
			scan.add(file, secret)
		}
	}
	key, err := os.ReadFile(filepath.Join(l.directory, "keys", "id_ed25519"))
	require.NoError(t, err)
	scan.add("SSH key", string(key))
	scan.add("passphrase", l.stack.env["PULUMI_CONFIG_PASSPHRASE"])
	scan.addClusterSecrets(t, l.attendant.client())
	return scan
}

// addClusterSecrets adds the values of the cluster's Secrets: passwords, tokens and private keys.
func (s *secretScan) addClusterSecrets(t *testing.T, client *api) {
	t.Helper()
	secrets, err := client.list("/api/v1/secrets")
	require.NoError(t, err)
	require.NotEmpty(t, secrets)
	for _, secret := range secrets {
		if strings.HasPrefix(secret.text("type"), "helm.sh/") {
			continue
		}
		data, _ := secret["data"].(map[string]any)
		for key, value := range data {
			if !secretKey.MatchString(key) {
				continue
			}
			raw, err := base64.StdEncoding.DecodeString(fmt.Sprint(value))
			require.NoError(t, err)
			s.add("key "+key+" of Secret "+secret.namespace()+"/"+secret.name(), string(raw))
		}
	}
}

// secretKey names the keys of Secrets that hold something secret, rather than names, URLs and certificates.
var secretKey = regexp.MustCompile(`(?i)(key|password|passwd|token|secret)$`)

// plaintext unwraps a secret of an exported state.
func plaintext(value any) any {
	wrapped, ok := value.(map[string]any)
	if !ok {
		return value
	}
	text, ok := wrapped["plaintext"].(string)
	if !ok {
		return value
	}
	var inner any
	if json.Unmarshal([]byte(text), &inner) != nil {
		return text
	}
	return inner
}

// look searches everything that a deployment leaves behind or shows.
func (l *lab) look(t *testing.T, scan *secretScan) []string {
	t.Helper()
	var found []string
	for _, directory := range []string{
		filepath.Join(l.stack.directory, "logs"), filepath.Join(l.stack.directory, "state"), filepath.Join(l.stack.directory, "project"),
		filepath.Join(l.directory, "pod-logs"),
	} {
		hits, err := scan.directory(directory)
		require.NoError(t, err)
		found = append(found, hits...)
	}
	for _, n := range l.nodes {
		logs, err := filepath.Glob(filepath.Join(n.state, "*.log"))
		require.NoError(t, err)
		audit, err := filepath.Glob(filepath.Join(n.dir, "upper", "var", "lib", "rancher", "k3s", "server", "logs", "*"))
		require.NoError(t, err)
		for _, file := range append(append(logs, audit...), filepath.Join(n.dir, "sshd.log"), filepath.Join(n.state, "systemctl.calls")) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			found = append(found, scan.text(file, content)...)
		}
	}
	objects, err := l.attendant.client().everything()
	require.NoError(t, err)
	for path, o := range objects {
		switch {
		case !strings.Contains(path, "/secrets/"):
			raw, err := json.Marshal(o)
			require.NoError(t, err)
			found = append(found, scan.text(path, raw)...)
		case strings.HasPrefix(o.text("type"), "helm.sh/"):
			release, err := decodeRelease(o)
			require.NoError(t, err)
			found = append(found, scan.text(path, release)...)
		}
	}
	return found
}

// decodeRelease is Helm's record of a release: values and manifest.
func decodeRelease(secret object) ([]byte, error) {
	once, err := base64.StdEncoding.DecodeString(secret.text("data", "release"))
	if err != nil {
		return nil, err
	}
	twice, err := base64.StdEncoding.DecodeString(string(once))
	if err != nil {
		return nil, err
	}
	reader, err := gzip.NewReader(bytes.NewReader(twice))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

// requireEncrypted checks that the state as stored shows no secret value and does hold encrypted ones.
func requireEncrypted(t *testing.T, resources []apitype.ResourceV3) {
	t.Helper()
	sealed := 0
	for _, r := range resources {
		raw, err := json.Marshal(r)
		require.NoError(t, err)
		require.NotContains(t, string(raw), `"plaintext"`, string(r.URN))
		sealed += bytes.Count(raw, []byte(`"ciphertext"`))
	}
	require.NotZero(t, sealed, "the state holds no encrypted value")
}

// The scan itself finds what it should, whatever surrounds it.
func TestScanFindsPlantedSecrets(t *testing.T) {
	scan := &secretScan{needles: map[string][]byte{}}
	scan.add("password", "correct-horse-battery")
	for name, text := range map[string]string{
		"plain":           "error: login with correct-horse-battery failed",
		"base64":          base64.StdEncoding.EncodeToString([]byte("correct-horse-battery")),
		"inside base64":   base64.StdEncoding.EncodeToString([]byte("user:correct-horse-battery\n")),
		"at offset two":   base64.StdEncoding.EncodeToString([]byte("ab" + "correct-horse-battery" + "c")),
		"at offset three": base64.StdEncoding.EncodeToString([]byte("abcd" + "correct-horse-battery" + "cd")),
	} {
		require.NotEmpty(t, scan.text(name, []byte(text)), name)
	}
	require.Empty(t, scan.text("harmless", []byte("correct-horse")))
	require.Equal(t, 6, scan.scanned)
}
