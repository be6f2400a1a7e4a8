package main

import (
	"context"
	"errors"
	"fmt"

	helm "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// tenantSelector selects the lab's namespaces; components/tenant labels them.
	tenantSelector = "homelab-ai/tenant=true"
	// storageDriver is where Helm, and Pulumi's Helm releases, keep revisions.
	storageDriver = "secret"
)

// cluster is the lab's cluster as seen from one namespace. It is what Helm calls a RESTClientGetter, from a kubeconfig
// that is in memory only.
type cluster struct {
	config    *clientcmdapi.Config
	namespace string
}

func connect(kubeconfig []byte) (*cluster, error) {
	loaded, err := clientcmd.Load(kubeconfig)
	if err != nil {
		// The error quotes the text, and the text is a secret.
		return nil, errors.New("the kubeconfig can't be parsed")
	}
	return &cluster{config: loaded}, nil
}

// in is the cluster seen from another namespace. Helm puts objects that name no namespace themselves there, and looks
// for them there when it deletes them.
func (c *cluster) in(namespace string) *cluster {
	return &cluster{config: c.config, namespace: namespace}
}

// releases returns every revision of every release in the lab's namespaces.
func (c *cluster) releases(ctx context.Context) ([]*release.Release, error) {
	restConfig, err := c.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return nil, err
	}
	namespaces, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: tenantSelector})
	if err != nil {
		return nil, fmt.Errorf("listing the lab's namespaces: %w", err)
	}
	var found []*release.Release
	for _, namespace := range namespaces.Items {
		cfg, err := c.configure(namespace.Name)
		if err != nil {
			return nil, err
		}
		revisions, err := cfg.Releases.ListReleases()
		if err != nil {
			return nil, fmt.Errorf("listing releases in %s: %w", namespace.Name, err)
		}
		found = append(found, revisions...)
	}
	return found, nil
}

func (c *cluster) configure(namespace string) (*helm.Configuration, error) {
	cfg := new(helm.Configuration)
	return cfg, cfg.Init(c.in(namespace), namespace, storageDriver, func(string, ...any) {})
}

// ToRESTConfig implements RESTClientGetter.
func (c *cluster) ToRESTConfig() (*rest.Config, error) {
	return c.ToRawKubeConfigLoader().ClientConfig()
}

// ToDiscoveryClient implements RESTClientGetter.
func (c *cluster) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	cfg, err := c.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return memory.NewMemCacheClient(client), nil
}

// ToRESTMapper implements RESTClientGetter.
func (c *cluster) ToRESTMapper() (meta.RESTMapper, error) {
	client, err := c.ToDiscoveryClient()
	if err != nil {
		return nil, err
	}
	return restmapper.NewDeferredDiscoveryRESTMapper(client), nil
}

// ToRawKubeConfigLoader implements RESTClientGetter.
func (c *cluster) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: c.namespace}}
	return clientcmd.NewDefaultClientConfig(*c.config, overrides)
}
