package rehearsal

import (
	"fmt"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// object is the identity of something in the cluster.
type object struct {
	group, kind, namespace, name string
}

func (o object) id() string {
	if o.namespace == "" {
		return o.name
	}
	return o.namespace + "/" + o.name
}

func (o object) String() string { return o.kind + " " + o.id() }

// identify reads the identity from a resource's inputs or state.
func identify(urn resource.URN, m resource.PropertyMap) object {
	if string(urn.Type()) == releaseType {
		return object{group: "helm.sh", kind: "Release", namespace: text(m, "namespace"), name: text(m, "name")}
	}
	o := object{
		kind:      text(m, "kind"),
		namespace: text(m, "metadata", "namespace"),
		name:      text(m, "metadata", "name"),
	}
	if group, _, ok := strings.Cut(text(m, "apiVersion"), "/"); ok {
		o.group = group
	}
	switch {
	case clusterScoped[o.kind]:
		o.namespace = ""
	case o.namespace == "":
		o.namespace = "default"
	}
	return o
}

// clusterScoped are the kinds without a namespace.
var clusterScoped = map[string]bool{
	"APIService": true, "Bundle": true, "ClusterIssuer": true, "ClusterRole": true, "ClusterRoleBinding": true,
	"CustomResourceDefinition": true, "IngressClass": true, "MutatingWebhookConfiguration": true, "Namespace": true,
	"Node": true, "PersistentVolume": true, "PriorityClass": true, "RuntimeClass": true, "StorageClass": true,
	"ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true,
	"ValidatingWebhookConfiguration": true, "VolumeSnapshotClass": true,
}

// chartDefinitions are the API groups that a chart's release brings, for the charts of the catalogue that do.
var chartDefinitions = map[string][]string{
	"metallb":                  {"metallb.io"},
	"cert-manager":             {"cert-manager.io", "acme.cert-manager.io"},
	"trust-manager":            {"trust.cert-manager.io"},
	"argo-cd":                  {"argoproj.io"},
	"prometheus-operator-crds": {"monitoring.coreos.com"},
	"velero":                   {"velero.io"},
	"trivy-operator":           {"aquasecurity.github.io"},
}

// definitions are the API groups that creating this resource brings to the cluster.
func definitions(urn resource.URN, inputs resource.PropertyMap) []string {
	if string(urn.Type()) == releaseType {
		chart := text(inputs, "chart")
		return chartDefinitions[chart[strings.LastIndex(chart, "/")+1:]]
	}
	if text(inputs, "kind") == "CustomResourceDefinition" {
		return []string{text(inputs, "spec", "group")}
	}
	return nil
}

// cluster is an API server's bookkeeping: what exists, and what it refuses.
type cluster struct {
	mu                                sync.Mutex
	kubeconfig                        string
	mutableSecrets, mutableConfigMaps bool
	objects                           map[object]bool
	groups                            map[string]bool
	installed                         bool
}

func newCluster() *cluster {
	return &cluster{objects: map[object]bool{}, groups: map[string]bool{}}
}

// install brings the cluster up with what K3s has from the start. It may be called again.
func (c *cluster) install() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.installed {
		return
	}
	c.installed = true
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		c.addNamespace(name)
	}
	c.objects[object{group: "storage.k8s.io", kind: "StorageClass", name: "local-path"}] = true
	c.objects[object{kind: "ConfigMap", namespace: "kube-system", name: "coredns"}] = true
	c.objects[object{kind: "ConfigMap", namespace: "kube-system", name: "local-path-config"}] = true
}

// uninstall takes the cluster down with everything in it.
func (c *cluster) uninstall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.installed, c.kubeconfig = false, ""
	c.objects, c.groups = map[object]bool{}, map[string]bool{}
}

// connect keeps the settings of the provider that talks to the cluster.
func (c *cluster) connect(kubeconfig string, mutableSecrets, mutableConfigMaps bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kubeconfig, c.mutableSecrets, c.mutableConfigMaps = kubeconfig, mutableSecrets, mutableConfigMaps
}

func (c *cluster) secretsMutable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mutableSecrets
}

func (c *cluster) configMapsMutable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mutableConfigMaps
}

func (c *cluster) addNamespace(name string) {
	c.objects[object{kind: "Namespace", name: name}] = true
	c.objects[object{kind: "ServiceAccount", namespace: name, name: "default"}] = true
	c.objects[object{kind: "ConfigMap", namespace: name, name: "kube-root-ca.crt"}] = true
}

// add creates an object. A patch is a server-side apply: it takes hold of an object, which may exist already.
func (c *cluster) add(o object, patch bool, groups []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.installed:
		return fmt.Errorf("%s: the cluster is not reachable, K3s is not installed yet", o)
	case c.kubeconfig == "":
		return fmt.Errorf("%s: the provider has no kubeconfig yet", o)
	case o.namespace != "" && !c.objects[object{kind: "Namespace", name: o.namespace}]:
		return fmt.Errorf("%s: namespaces %q not found", o, o.namespace)
	case custom(o) && !c.groups[o.group]:
		return fmt.Errorf("%s: no matches for kind %q in group %q: its definition does not exist yet", o, o.kind, o.group)
	case !patch && c.objects[o]:
		return fmt.Errorf("%s: already exists", o)
	}
	if o.kind == "Namespace" {
		c.addNamespace(o.name)
	}
	c.objects[o] = true
	for _, group := range groups {
		c.groups[group] = true
	}
	return nil
}

// custom tells whether an object's kind needs a definition first.
func custom(o object) bool {
	return strings.Contains(o.group, ".") && !strings.HasSuffix(o.group, ".k8s.io") && o.group != "helm.sh"
}

func (c *cluster) mustHave(o object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.objects[o] {
		return fmt.Errorf("%s: not found", o)
	}
	return nil
}

// drop deletes an object; a namespace takes along what is in it. What is gone already is no error.
func (c *cluster) drop(o object, patch bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.installed {
		return fmt.Errorf("%s: the cluster is not reachable, K3s was uninstalled", o)
	}
	if patch {
		return nil
	}
	delete(c.objects, o)
	if o.kind == "Namespace" {
		for other := range c.objects {
			if other.namespace == o.name {
				delete(c.objects, other)
			}
		}
	}
	return nil
}

// size is the number of objects in the cluster.
func (c *cluster) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.objects)
}
