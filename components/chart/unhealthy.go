package chart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"
)

// readTimeout bounds the one request that is made after an Application has failed.
const readTimeout = 10 * time.Second

// explainUnhealthy reports what Argo CD says about an Application that did not become synced and healthy. The
// provider itself only says that it waited in vain.
func (d *deployment) explainUnhealthy(ctx *pulumi.Context, name string, timeout time.Duration) (*pulumi.ErrorHook, error) {
	gitops, release := d.Delivery.GitOps, d.release
	var kubeconfig atomic.Pointer[string]
	if d.Delivery.Kubeconfig != nil {
		d.Delivery.Kubeconfig.ToStringOutput().ApplyT(func(text string) string {
			kubeconfig.Store(&text)
			return ""
		})
	}
	return ctx.RegisterErrorHook(name+"-explain-unhealthy", func(args *pulumi.ErrorHookArgs) (bool, error) {
		if !waitedInVain(args.Errors) {
			return false, nil
		}
		var report string
		if text := kubeconfig.Load(); text == nil {
			report = "its state can't be read without a kubeconfig"
		} else if app, err := readApplication(ctx.Context(), *text, gitops.Namespace, release); err != nil {
			report = "its state can't be read: " + err.Error()
		} else {
			report = app.report()
		}
		return false, ctx.Log.Error(fmt.Sprintf("Argo CD Application %s/%s is not synced and healthy (limit %s): %s",
			gitops.Namespace, release, timeout, report), nil)
	})
}

// waitedInVain tells whether the newest error is the provider's own report that an object did not become ready; any
// other error explains itself.
func waitedInVain(failures []string) bool {
	return len(failures) > 0 && strings.Contains(failures[0], "failed to fully initialize")
}

// application is the part of an Argo CD Application that explains its state.
type application struct {
	Spec struct {
		Source applicationSource `json:"source"`
	} `json:"spec"`
	Status struct {
		Sync struct {
			Status     string `json:"status"`
			ComparedTo struct {
				Source applicationSource `json:"source"`
			} `json:"comparedTo"`
		} `json:"sync"`
		Health     health `json:"health"`
		Conditions []struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"conditions"`
		OperationState *struct {
			Phase   string `json:"phase"`
			Message string `json:"message"`
		} `json:"operationState"`
		Resources []struct {
			Kind   string  `json:"kind"`
			Name   string  `json:"name"`
			Status string  `json:"status"`
			Health *health `json:"health"`
		} `json:"resources"`
	} `json:"status"`
}

// applicationSource is the part of a source that tells one spec from another.
type applicationSource struct {
	Helm struct {
		Parameters []struct {
			Value string `json:"value"`
		} `json:"parameters"`
	} `json:"helm"`
}

func (s applicationSource) hash() string {
	if len(s.Helm.Parameters) == 0 {
		return ""
	}
	return s.Helm.Parameters[0].Value
}

type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// report says in one paragraph why an Application is not done.
func (a *application) report() string {
	known := func(s string) string {
		if s == "" {
			return "Unknown"
		}
		return s
	}
	lines := []string{fmt.Sprintf("sync %s, health %s", known(a.Status.Sync.Status), known(a.Status.Health.Status))}
	if a.Status.Sync.ComparedTo.Source.hash() != a.Spec.Source.hash() {
		lines = append(lines, "Argo CD has not looked at this change yet; is its application controller running?")
	}
	for _, condition := range a.Status.Conditions {
		lines = append(lines, fmt.Sprintf("condition %s: %s", condition.Type, condition.Message))
	}
	if op := a.Status.OperationState; op != nil {
		lines = append(lines, fmt.Sprintf("operation %s: %s", op.Phase, op.Message))
	}
	for _, r := range a.Status.Resources {
		unhealthy := r.Health != nil && r.Health.Status != "Healthy"
		if !unhealthy && r.Status == "Synced" {
			continue
		}
		line := fmt.Sprintf("%s %s: %s", r.Kind, r.Name, known(r.Status))
		if unhealthy {
			line += strings.TrimSuffix(fmt.Sprintf(", %s: %s", r.Health.Status, r.Health.Message), ": ")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n  ")
}

// kubeconfig is the part of a kubeconfig that K3s writes.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
			Token       string `json:"token"`
		} `json:"user"`
	} `json:"users"`
}

// readApplication asks the API server. One GET needs no client library.
func readApplication(ctx context.Context, kubeconfigText, namespace, name string) (*application, error) {
	var cfg kubeconfig
	if err := yaml.Unmarshal([]byte(kubeconfigText), &cfg); err != nil || len(cfg.Clusters) == 0 || len(cfg.Users) == 0 {
		// The text is a secret; so is what a parser quotes of it.
		return nil, errors.New("the kubeconfig is not one")
	}
	cluster, user := cfg.Clusters[0].Cluster, cfg.Users[0].User
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(cluster.CA) {
		return nil, errors.New("the kubeconfig has no certificate authority")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}}
	defer transport.CloseIdleConnections()
	if len(user.Certificate) > 0 {
		pair, err := tls.X509KeyPair(user.Certificate, user.Key)
		if err != nil {
			return nil, errors.New("the kubeconfig's client certificate can't be used")
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	url := fmt.Sprintf("%s/apis/argoproj.io/v1alpha1/namespaces/%s/applications/%s",
		strings.TrimSuffix(cluster.Server, "/"), namespace, name)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if user.Token != "" {
		request.Header.Set("Authorization", "Bearer "+user.Token)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API server answered %s", response.Status)
	}
	var app application
	return &app, json.NewDecoder(response.Body).Decode(&app)
}
