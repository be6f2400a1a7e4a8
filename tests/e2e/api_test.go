package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// object is a Kubernetes object as JSON says it.
type object map[string]any

// at follows a path of keys; it is nil where one is missing.
func (o object) at(path ...string) any {
	var value any = map[string]any(o)
	for _, key := range path {
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[key]
	}
	return value
}

func (o object) text(path ...string) string {
	value, _ := o.at(path...).(string)
	return value
}

func (o object) name() string      { return o.text("metadata", "name") }
func (o object) namespace() string { return o.text("metadata", "namespace") }

// items reads a list of objects at a path.
func (o object) items(path ...string) []object {
	list, _ := o.at(path...).([]any)
	var result []object
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			result = append(result, m)
		}
	}
	return result
}

// api is a client of the cluster's API server with the administrator's certificate.
type api struct {
	server string
	client *http.Client
}

var errNotFound = errors.New("not found")

// newAPI reads a kubeconfig.
func newAPI(kubeconfig []byte) (*api, error) {
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string `yaml:"server"`
				CA     string `yaml:"certificate-authority-data"`
			} `yaml:"cluster"`
		} `yaml:"clusters"`
		Users []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			} `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal(kubeconfig, &config); err != nil {
		return nil, err
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, errors.New("a kubeconfig with one cluster and one user is expected")
	}
	decode := func(text string) []byte { raw, _ := base64.StdEncoding.DecodeString(text); return raw }
	pair, err := tls.X509KeyPair(decode(config.Users[0].User.Certificate), decode(config.Users[0].User.Key))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(decode(config.Clusters[0].Cluster.CA)) {
		return nil, errors.New("the kubeconfig has no certificate authority")
	}
	return &api{
		server: config.Clusters[0].Cluster.Server,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}},
	}, nil
}

// call sends a request; it asks again when the server is not ready for it yet, as clients do.
func (a *api) call(method, path, contentType string, body any) (object, error) {
	for try := 0; ; try++ {
		result, status, err := a.once(method, path, contentType, body)
		if status != http.StatusTooManyRequests || try == 30 {
			return result, err
		}
		time.Sleep(time.Second)
	}
}

func (a *api) once(method, path, contentType string, body any) (object, int, error) {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, 0, err
		}
		reader = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, a.server+path, reader)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := a.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, 0, err
	}
	if response.StatusCode == http.StatusNotFound {
		return nil, response.StatusCode, fmt.Errorf("%s: %w", path, errNotFound)
	}
	if response.StatusCode >= 300 {
		return nil, response.StatusCode, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, raw)
	}
	var result object
	return result, response.StatusCode, json.Unmarshal(raw, &result)
}

func (a *api) get(path string) (object, error) {
	return a.call(http.MethodGet, path, "application/json", nil)
}

func (a *api) list(path string) ([]object, error) {
	result, err := a.get(path)
	return result.items("items"), err
}

func (a *api) create(path string, body any) (object, error) {
	return a.call(http.MethodPost, path, "application/json", body)
}

func (a *api) merge(path string, body any) error {
	_, err := a.call(http.MethodPatch, path, "application/merge-patch+json", body)
	return err
}

func (a *api) remove(path string) error {
	_, err := a.call(http.MethodDelete, path, "application/json", nil)
	return err
}

// everything lists all objects of the cluster that a client can list, by API path.
func (a *api) everything() (map[string]object, error) {
	found := map[string]object{}
	groups := map[string]string{"/api/v1": "/api/v1"}
	list, err := a.get("/apis")
	if err != nil {
		return nil, err
	}
	for _, group := range list.items("groups") {
		version := group.text("preferredVersion", "groupVersion")
		groups["/apis/"+version] = "/apis/" + version
	}
	for base := range groups {
		resources, err := a.get(base)
		if err != nil {
			return nil, err
		}
		for _, resource := range resources.items("resources") {
			if name := resource.text("name"); strings.Contains(name, "/") || !strings.Contains(fmt.Sprint(resource["verbs"]), "list") {
				continue
			}
			objects, err := a.list(base + "/" + resource.text("name"))
			if err != nil {
				return nil, err
			}
			for _, o := range objects {
				found[strings.Join([]string{base, resource.text("name"), o.namespace(), o.name()}, "/")] = o
			}
		}
	}
	return found, nil
}

func shortHash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
