package rehearsal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

// kubernetesVersion is the version of pulumi-kubernetes whose rules are simulated.
const kubernetesVersion = "4.30.0"

const releaseType = "kubernetes:helm.sh/v3:Release"

// kubernetesRules simulates pulumi-kubernetes in front of the simulated cluster.
type kubernetesRules struct {
	cluster *cluster
}

func (k *kubernetesRules) configure(inputs resource.PropertyMap) {
	k.cluster.connect(
		text(inputs, "kubeconfig"),
		enabled(inputs, "enableSecretMutable"),
		enabled(inputs, "enableConfigMapMutable"),
	)
}

// enabled reads a boolean provider setting, which travels as a JSON text as well.
func enabled(inputs resource.PropertyMap, key resource.PropertyKey) bool {
	v := lookup(inputs, key)
	return v.IsBool() && v.BoolValue() || v.IsString() && v.StringValue() == "true"
}

func (k *kubernetesRules) check(
	urn resource.URN, olds, news resource.PropertyMap,
) (resource.PropertyMap, []plugin.CheckFailure) {
	inputs := news.Copy()
	var failures []plugin.CheckFailure
	fail := func(property, format string, args ...any) {
		failures = append(failures, plugin.CheckFailure{
			Property: resource.PropertyKey(property), Reason: fmt.Sprintf(format, args...),
		})
	}
	if string(urn.Type()) == releaseType {
		if name := lookup(inputs, "name"); name.IsNull() {
			fail("name", "a release without a name gets a random one, and so does everything in it")
		}
		return inputs, failures
	}
	if text(inputs, "kind") == "" || text(inputs, "apiVersion") == "" {
		fail("kind", "apiVersion and kind are required")
		return inputs, failures
	}
	metadata := lookup(inputs, "metadata")
	if metadata.IsNull() {
		metadata = resource.NewProperty(resource.PropertyMap{})
	}
	if metadata.IsObject() {
		meta := metadata.ObjectValue().Copy()
		name := plain(meta["name"])
		switch {
		case name.IsNull():
			meta["name"] = autoname(urn, olds)
		case name.IsString() && !nameRule(text(inputs, "kind")).MatchString(name.StringValue()):
			fail("metadata.name", "%q is no valid name of a %s", name.StringValue(), text(inputs, "kind"))
		}
		if key, value, ok := invalidLabel(meta); ok {
			fail("metadata.labels", "%s=%s is no valid label", key, value)
		}
		inputs["metadata"] = resource.NewProperty(meta)
	}
	if kind := text(inputs, "kind"); kind == "Secret" {
		data := lookup(inputs, "data")
		if data.IsObject() {
			for key, value := range data.ObjectValue() {
				if value = plain(value); value.IsString() {
					if _, err := base64.StdEncoding.DecodeString(value.StringValue()); err != nil {
						fail("data", "the value of %s is not base64", key)
					}
				}
			}
		}
	}
	return inputs, failures
}

// autoname proposes <resource name>-<random>, and keeps it over updates.
func autoname(urn resource.URN, olds resource.PropertyMap) resource.PropertyValue {
	if name := lookup(olds, "metadata", "name"); name.IsString() {
		return name
	}
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // never fails, see crypto/rand
	return resource.NewProperty(strings.ToLower(urn.Name()) + "-" + hex.EncodeToString(suffix))
}

var (
	labelName     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subdomainName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	pathName      = regexp.MustCompile(`^[^/%]+$`)
	labelValue    = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
)

// nameRule is what the API server accepts as a name of a kind.
func nameRule(kind string) *regexp.Regexp {
	switch strings.TrimSuffix(kind, "Patch") {
	case "Namespace", "Service":
		return labelName
	case "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding":
		return pathName
	default:
		return subdomainName
	}
}

func invalidLabel(metadata resource.PropertyMap) (string, string, bool) {
	labels := lookup(metadata, "labels")
	if !labels.IsObject() {
		return "", "", false
	}
	for key, value := range labels.ObjectValue() {
		if value = plain(value); value.IsString() && !labelValue.MatchString(value.StringValue()) {
			return string(key), value.StringValue(), true
		}
	}
	return "", "", false
}

func (k *kubernetesRules) replaces(urn resource.URN, path string, _, news resource.PropertyMap) bool {
	if string(urn.Type()) == releaseType {
		return path == "name" || path == "namespace"
	}
	if path == "metadata.name" || path == "metadata.namespace" || path == "kind" {
		return true
	}
	kind := text(news, "kind")
	if strings.HasSuffix(string(urn.Type()), "Patch") {
		return false
	}
	group, _, _ := strings.Cut(text(news, "apiVersion"), "/")
	prefixes := immutable[group+"/"+kind]
	if !strings.Contains(text(news, "apiVersion"), "/") {
		prefixes = immutable["core/"+kind]
	}
	switch {
	case kind == "Secret" && (!k.cluster.secretsMutable() || sealed(news)):
		prefixes = []string{"type", "data", "stringData"}
	case kind == "ConfigMap" && (!k.cluster.configMapsMutable() || sealed(news)):
		prefixes = []string{"data", "binaryData"}
	}
	for _, prefix := range prefixes {
		if path == prefix || strings.HasPrefix(path, prefix+".") || strings.HasPrefix(path, prefix+"[") {
			return true
		}
	}
	return false
}

func sealed(inputs resource.PropertyMap) bool {
	v := lookup(inputs, "immutable")
	return v.IsBool() && v.BoolValue()
}

// immutable lists, per group and kind, the fields that pulumi-kubernetes replaces an object for (its
// provider/pkg/provider/diff.go).
var immutable = map[string][]string{
	"apps/DaemonSet":  {"spec.selector"},
	"apps/Deployment": {"spec.selector"},
	"apps/StatefulSet": {
		"spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName",
		"spec.volumeClaimTemplates",
	},
	"batch/Job":                  {"spec.completions", "spec.parallelism", "spec.selector", "spec.template"},
	"core/PersistentVolumeClaim": {"spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"},
	"core/Pod":                   {"spec"},
	"core/ResourceQuota":         {"spec.scopes"},
	"core/Secret":                {"type"},
	"core/Service":               {"spec.clusterIP"},
	"policy/PodDisruptionBudget": {},
	"rbac.authorization.k8s.io/ClusterRoleBinding": {"roleRef"},
	"rbac.authorization.k8s.io/RoleBinding":        {"roleRef"},
	"storage.k8s.io/StorageClass":                  {"parameters", "provisioner"},
}

// deleteFirst holds when the successor would have the very same name.
func (k *kubernetesRules) deleteFirst(urn resource.URN, olds, news resource.PropertyMap) bool {
	if string(urn.Type()) == releaseType {
		return text(olds, "name") == text(news, "name") && text(olds, "namespace") == text(news, "namespace")
	}
	return text(olds, "metadata", "name") == text(news, "metadata", "name") &&
		text(olds, "metadata", "namespace") == text(news, "metadata", "namespace")
}

func (k *kubernetesRules) create(
	urn resource.URN, inputs resource.PropertyMap, preview bool,
) (string, resource.PropertyMap, error) {
	if preview {
		return "", k.observe(urn, inputs, nil, true), nil
	}
	if inputs.ContainsUnknowns() {
		return "", nil, errors.New("an object was created with inputs that are not known")
	}
	o := identify(urn, inputs)
	if err := k.cluster.add(o, strings.HasSuffix(string(urn.Type()), "Patch"), definitions(urn, inputs)); err != nil {
		return "", nil, err
	}
	return o.id(), k.observe(urn, inputs, nil, false), nil
}

func (k *kubernetesRules) update(
	urn resource.URN, _ string, state, inputs resource.PropertyMap, preview bool,
) (resource.PropertyMap, error) {
	if !preview {
		if err := k.cluster.mustHave(identify(urn, inputs)); err != nil {
			return nil, err
		}
	}
	return k.observe(urn, inputs, state, preview), nil
}

func (k *kubernetesRules) remove(urn resource.URN, _ string, state resource.PropertyMap) error {
	return k.cluster.drop(identify(urn, state), strings.HasSuffix(string(urn.Type()), "Patch"))
}

// observe is what the provider reports: the inputs, and what the cluster adds to them.
func (k *kubernetesRules) observe(
	urn resource.URN, inputs, before resource.PropertyMap, preview bool,
) resource.PropertyMap {
	state := inputs.Copy()
	if string(urn.Type()) == releaseType {
		if preview {
			state["status"] = resource.MakeComputed(resource.NewProperty(""))
			return state
		}
		state["status"] = resource.NewProperty(resource.PropertyMap{
			"name":       lookup(inputs, "name"),
			"namespace":  lookup(inputs, "namespace"),
			"chart":      lookup(inputs, "chart"),
			"version":    lookup(inputs, "version"),
			"appVersion": resource.NewProperty("simulated"),
			"revision":   resource.NewProperty(lookupNumber(before, "status", "revision") + 1),
			"status":     resource.NewProperty("deployed"),
		})
		return state
	}
	if preview && before == nil {
		return state
	}
	if meta := lookup(state, "metadata"); meta.IsObject() {
		metadata := meta.ObjectValue().Copy()
		metadata["uid"] = resource.NewProperty("simulated-" + urn.Name())
		if o := identify(urn, inputs); o.namespace != "" {
			metadata["namespace"] = resource.NewProperty(o.namespace)
		}
		state["metadata"] = resource.NewProperty(metadata)
	}
	if status := status(inputs); status != nil {
		state["status"] = resource.NewProperty(status)
	}
	return state
}

func lookupNumber(m resource.PropertyMap, keys ...resource.PropertyKey) float64 {
	if v := lookup(m, keys...); v.IsNumber() {
		return v.NumberValue()
	}
	return 0
}

// status is what controllers write for the kinds that the program reads it of.
func status(inputs resource.PropertyMap) resource.PropertyMap {
	switch text(inputs, "kind") {
	case "Namespace":
		return resource.NewPropertyMapFromMap(map[string]any{"phase": "Active"})
	case "PersistentVolumeClaim":
		return resource.NewPropertyMapFromMap(map[string]any{"phase": "Pending"})
	case "Application":
		return resource.NewPropertyMapFromMap(map[string]any{
			"sync":   map[string]any{"status": "Synced"},
			"health": map[string]any{"status": "Healthy"},
		})
	default:
		return nil
	}
}
