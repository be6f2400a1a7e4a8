package chart

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPendingReleaseIsNamed(t *testing.T) {
	t.Parallel()
	for _, failure := range []string{
		"1 error occurred: another operation (install/upgrade/rollback) is in progress",
		"INSTALLATION FAILED: cannot re-use a name that is still in use",
	} {
		message := pendingMessage("ollama/ollama", "staging", []string{failure, "older"})
		assert.Contains(t, message, "Helm release ollama/ollama")
		assert.Contains(t, message, "make recover STACK=staging")
	}
	assert.Empty(t, pendingMessage("a/b", "staging", []string{"timed out", pendingErrors[0]}), "only the newest error counts")
	assert.Empty(t, pendingMessage("a/b", "staging", nil))
}

const unhealthy = `{"status": {
  "sync": {"status": "OutOfSync"}, "health": {"status": "Degraded"},
  "conditions": [{"type": "ComparisonError", "message": "chart not found"}],
  "operationState": {"phase": "Failed", "message": "one or more objects failed to apply"},
  "resources": [
    {"kind": "Service", "name": "fine", "status": "Synced", "health": {"status": "Healthy"}},
    {"kind": "ConfigMap", "name": "plain", "status": "Synced"},
    {"kind": "Deployment", "name": "web", "status": "Synced", "health": {"status": "Degraded", "message": "crash loop"}},
    {"kind": "Job", "name": "init", "status": "OutOfSync"}]}}`

const unhealthyReport = `sync OutOfSync, health Degraded
  condition ComparisonError: chart not found
  operation Failed: one or more objects failed to apply
  Deployment web: Synced, Degraded: crash loop
  Job init: OutOfSync`

func TestReport(t *testing.T) {
	t.Parallel()
	var app application
	require.NoError(t, json.Unmarshal([]byte(unhealthy), &app))
	assert.Equal(t, unhealthyReport, app.report())
	assert.Equal(t, "sync Unknown, health Unknown", (&application{}).report(), "Argo CD has not looked at it yet")
}

func TestReportTellsAnOldStatus(t *testing.T) {
	t.Parallel()
	text := func(spec, compared string) string {
		source := func(hash string) string { return `{"source": {"helm": {"parameters": [{"value": "` + hash + `"}]}}}` }
		return `{"spec": ` + source(spec) + `, "status": {"sync": {"status": "Synced", "comparedTo": ` + source(compared) +
			`}, "health": {"status": "Healthy"}}}`
	}
	for _, c := range []struct{ spec, compared, want string }{
		{"new", "new", "sync Synced, health Healthy"},
		{"new", "old", "sync Synced, health Healthy\n  Argo CD has not looked at this change yet; is its application controller running?"},
	} {
		var app application
		require.NoError(t, json.Unmarshal([]byte(text(c.spec, c.compared)), &app))
		assert.Equal(t, c.want, app.report())
	}
}

func TestOnlyWaitingIsExplained(t *testing.T) {
	t.Parallel()
	waited := `the Kubernetes API server reported that "argocd/web" failed to fully initialize or become live: timed out waiting`
	assert.True(t, waitedInVain([]string{waited}))
	assert.False(t, waitedInVain([]string{"applications.argoproj.io is forbidden", waited}))
	assert.False(t, waitedInVain(nil))
}

func TestReadApplication(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer of-this-test":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web":
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = w.Write([]byte(unhealthy))
		}
	}))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	kubeconfig := func(ca []byte, token string) string {
		return "clusters: [{cluster: {server: '" + server.URL + "', certificate-authority-data: " +
			base64.StdEncoding.EncodeToString(ca) + "}}]\nusers: [{user: {token: " + token + "}}]\n"
	}

	app, err := readApplication(t.Context(), kubeconfig(ca, "of-this-test"), "argocd", "web")
	require.NoError(t, err)
	assert.Equal(t, unhealthyReport, app.report())

	_, err = readApplication(t.Context(), kubeconfig(ca, "of-this-test"), "argocd", "gone")
	require.ErrorContains(t, err, "404 Not Found")
	_, err = readApplication(t.Context(), kubeconfig(ca, "wrong"), "argocd", "web")
	require.ErrorContains(t, err, "401 Unauthorized")
	assert.NotContains(t, err.Error(), "wrong")
	_, err = readApplication(t.Context(), kubeconfig(nil, "of-this-test"), "argocd", "web")
	require.ErrorContains(t, err, "no certificate authority")
	_, err = readApplication(t.Context(), "clusters: {of-this-test", "argocd", "web")
	require.EqualError(t, err, "the kubeconfig is not one")
}

// K3s's kubeconfig has a client certificate, not a token.
func TestReadApplicationWithClientCertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Len(t, r.TLS.PeerCertificates, 1)
		_, _ = w.Write([]byte(unhealthy))
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)

	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	text, err := json.Marshal(map[string]any{
		"clusters": []any{map[string]any{"cluster": map[string]any{
			"server": server.URL, "certificate-authority-data": encode("CERTIFICATE", server.Certificate().Raw),
		}}},
		"users": []any{map[string]any{"user": map[string]any{
			"client-certificate-data": encode("CERTIFICATE", certificate), "client-key-data": encode("PRIVATE KEY", keyDER),
		}}},
	})
	require.NoError(t, err)
	app, err := readApplication(t.Context(), string(text), "argocd", "web")
	require.NoError(t, err)
	assert.Equal(t, unhealthyReport, app.report())
}
