package e2e

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// processImages maps what runs as a process to its program: a regular expression over "<image> <container>" of a
// pod's first container. Everything else is simulated.
var processImages = []struct{ pattern, program string }{
	{`/cert-manager-controller[:@]`, "cert-manager-controller"},
	{`/cert-manager-webhook[:@]`, "cert-manager-webhook"},
	{`/cert-manager-cainjector[:@]`, "cert-manager-cainjector"},
	{`/trust-manager[:@]`, "trust-manager"},
	{`metallb/controller[:@]`, "metallb-controller"},
	{`/argocd[:@].* (application-controller|repo-server)$`, "argocd"},
	{`redis[:@].* redis$`, "redis-server"},
}

// processPattern is all of processImages in one expression, for kwok's stages.
func processPattern() string {
	var patterns []string
	for _, image := range processImages {
		if parts.programs[image.program] != "" {
			patterns = append(patterns, image.pattern)
		}
	}
	return strings.Join(patterns, "|")
}

// programFor is the name of the program that runs for a container, or empty.
func programFor(container object) string {
	for _, image := range processImages {
		if parts.programs[image.program] != "" && regexp.MustCompile(image.pattern).MatchString(container.text("image")+" "+container.text("name")) {
			return image.program
		}
	}
	return ""
}

// kubelet runs the pods of some images as processes, each in a root and network namespace of its own with the pod's
// address, arguments, environment, volumes and service account token.
type kubelet struct {
	world *world
	api   *api
	// directory of the pods' volumes and roots, and of their logs.
	directory, logs string

	mutex sync.Mutex
	pods  map[string]*process // by UID
	held  map[string]bool     // namespaces whose pods are kept from becoming ready
	ran   map[string]bool     // programs that ran, for the report
}

type process struct {
	pod     object
	ip      string
	root    *root
	started time.Time
	ready   bool
	volumes []mountedVolume
	failure error
}

// update compares the processes with the cluster's pods.
func (k *kubelet) update() error {
	pods, err := k.api.list("/api/v1/pods")
	if err != nil {
		return err
	}
	present := map[string]bool{}
	for _, pod := range pods {
		containers := pod.items("spec", "containers")
		if len(containers) == 0 || pod.text("status", "podIP") == "" || pod.at("metadata", "deletionTimestamp") != nil {
			continue
		}
		if programFor(containers[0]) == "" {
			continue
		}
		uid := pod.text("metadata", "uid")
		present[uid] = true
		k.mutex.Lock()
		p, known := k.pods[uid]
		if !known {
			p = &process{pod: pod, ip: pod.text("status", "podIP")}
			k.pods[uid] = p
		}
		k.mutex.Unlock()
		if err := k.sync(p); err != nil && (p.failure == nil || p.failure.Error() != err.Error()) {
			p.failure = err // shown by failures; tried again at the next update
		}
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for uid, p := range k.pods {
		if !present[uid] {
			if p.root != nil {
				p.root.stop()
			}
			delete(k.pods, uid)
		}
	}
	return nil
}

// sync brings one pod a step forward: volumes, process, readiness.
func (k *kubelet) sync(p *process) error {
	directory := filepath.Join(k.directory, p.pod.namespace()+"_"+p.pod.name())
	if err := k.mountVolumes(p, directory); err != nil {
		return err
	}
	if p.root != nil {
		select {
		case <-p.root.done: // ended: started again, as the kubelet does
			p.root.stop()
			p.root, p.ready = nil, false
			if err := k.report(p, false); err != nil {
				return err
			}
		default:
		}
	}
	if p.root == nil {
		if time.Since(p.started) < 2*time.Second {
			return nil
		}
		return k.start(p, directory)
	}
	if p.ready || k.isHeld(p.pod.namespace()) || !probe(p) {
		return nil
	}
	p.ready, p.failure = true, nil
	return k.report(p, true)
}

// hold keeps the pods of a namespace from becoming ready until release is called.
func (k *kubelet) hold(namespace string) (release func()) {
	k.mutex.Lock()
	k.held[namespace] = true
	k.mutex.Unlock()
	return func() { k.mutex.Lock(); delete(k.held, namespace); k.mutex.Unlock() }
}

func (k *kubelet) isHeld(namespace string) bool {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.held[namespace]
}

// alive says whether a process has this pod address.
func (k *kubelet) alive(ip string) bool {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, p := range k.pods {
		if p.ip == ip && p.root != nil {
			return true
		}
	}
	return false
}

// failures describes the processes that are not ready.
func (k *kubelet) failures() []string {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	var result []string
	for _, p := range k.pods {
		if !p.ready {
			result = append(result, fmt.Sprintf("%s/%s is not ready: %v", p.pod.namespace(), p.pod.name(), p.failure))
		}
	}
	return result
}

func (k *kubelet) close() {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for uid, p := range k.pods {
		if p.root != nil {
			p.root.stop()
		}
		delete(k.pods, uid)
	}
}

func (k *kubelet) start(p *process, directory string) error {
	container := p.pod.items("spec", "containers")[0]
	program := programFor(container)
	environment, err := k.environment(p.pod, container)
	if err != nil {
		return err
	}
	arguments := append(words(container["command"]), words(container["args"])...)
	for i := range arguments {
		arguments[i] = expand(arguments[i], environment)
	}
	inside := "/usr/local/bin/" + program
	if len(words(container["command"])) > 0 || (len(arguments) > 0 && strings.HasPrefix(arguments[0], "/")) {
		// The image's own path of its program, perhaps one of several names of it.
		inside = "/usr/local/bin/" + filepath.Base(arguments[0])
		arguments = arguments[1:]
	}
	spec := &rootSpec{
		Directory: filepath.Join(directory, "root"), Hostname: p.pod.name(), Hidden: []string{"/root"},
		Binds:            map[string]string{"/usr/local/lib/machine/machine": filepath.Join(k.world.directory, "machine"), inside: parts.programs[program]},
		Writable:         map[string]string{},
		Files:            map[string]rootFile{"/etc/resolv.conf": {Mode: 0o644}},
		Environment:      append([]string{"PATH=" + nodePath, "HOME=/tmp"}, flat(environment)...),
		Command:          append([]string{"/usr/local/lib/machine/machine", "init", inside}, arguments...),
		WorkingDirectory: container.text("workingDir"),
	}
	if helm := parts.programs["helm"]; helm != "" {
		spec.Binds["/usr/local/bin/helm"] = helm
	}
	hosts, err := k.hosts(p)
	if err != nil {
		return err
	}
	spec.Files["/etc/hosts"] = rootFile{Content: hosts, Mode: 0o644}
	for _, volume := range p.volumes {
		for _, mount := range container.items("volumeMounts") {
			if mount.text("name") != volume.name {
				continue
			}
			source := filepath.Join(volume.directory, mount.text("subPath"))
			if volume.writable {
				spec.Writable[mount.text("mountPath")] = source
			} else {
				spec.Binds[mount.text("mountPath")] = source
			}
		}
	}
	p.started = time.Now()
	log := filepath.Join(k.logs, p.pod.namespace()+"_"+p.pod.name()+".log")
	p.root, err = k.world.startRoot(spec, podBridge, p.ip+"/"+strconv.Itoa(k.world.pods.Bits()), k.world.podRouter.String(), log)
	if err == nil {
		k.mutex.Lock()
		k.ran[program] = true
		k.mutex.Unlock()
	}
	return err
}

// hosts answers for the cluster's DNS: every Service by its usual names.
func (k *kubelet) hosts(p *process) (string, error) {
	services, err := k.api.list("/api/v1/services")
	if err != nil {
		return "", err
	}
	text := "127.0.0.1 localhost\n" + p.ip + " " + p.pod.name() + "\n"
	for _, service := range services {
		address := service.text("spec", "clusterIP")
		if net.ParseIP(address) == nil {
			continue
		}
		full := service.name() + "." + service.namespace()
		names := full + " " + full + ".svc " + full + ".svc.cluster.local"
		if service.namespace() == p.pod.namespace() {
			names += " " + service.name()
		}
		text += address + " " + names + "\n"
	}
	return text, nil
}

func (k *kubelet) environment(pod, container object) (map[string]string, error) {
	values := map[string]string{
		"KUBERNETES_SERVICE_HOST": k.world.services.Masked().Addr().Next().String(), "KUBERNETES_SERVICE_PORT": "443",
		"ARGOCD_GPG_ENABLED": "false", // the image's key ring is not there
	}
	for _, variable := range container.items("env") {
		name := variable.text("name")
		if value, plain := variable["value"].(string); plain {
			values[name] = expand(value, values)
			continue
		}
		source, _ := variable["valueFrom"].(map[string]any)
		value, found, err := k.valueFrom(pod, source)
		if err != nil {
			return nil, err
		}
		if found {
			values[name] = value
		}
	}
	return values, nil
}

func (k *kubelet) valueFrom(pod, source object) (string, bool, error) {
	if field := source.text("fieldRef", "fieldPath"); field != "" {
		switch field {
		case "metadata.namespace":
			return pod.namespace(), true, nil
		case "metadata.name":
			return pod.name(), true, nil
		case "status.podIP":
			return pod.text("status", "podIP"), true, nil
		default:
			return pod.text(strings.Split(field, ".")...), true, nil
		}
	}
	for kind, resource := range map[string]string{"secretKeyRef": "secrets", "configMapKeyRef": "configmaps"} {
		name := source.text(kind, "name")
		if name == "" {
			continue
		}
		data, err := k.data(pod.namespace(), resource, name)
		optional, _ := source.at(kind, "optional").(bool)
		if errors.Is(err, errNotFound) && optional {
			return "", false, nil
		}
		if err != nil {
			return "", false, err
		}
		value, found := data[source.text(kind, "key")]
		if !found && !optional {
			return "", false, fmt.Errorf("%s %s has no key %s", resource, name, source.text(kind, "key"))
		}
		return value, found, nil
	}
	return "", false, nil
}

// data reads a Secret or ConfigMap.
func (k *kubelet) data(namespace, resource, name string) (map[string]string, error) {
	o, err := k.api.get("/api/v1/namespaces/" + namespace + "/" + resource + "/" + name)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	data, _ := o["data"].(map[string]any)
	for key, value := range data {
		text := fmt.Sprint(value)
		if resource == "secrets" {
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		values[key] = text
	}
	return values, nil
}

var reference = regexp.MustCompile(`\$\(([A-Za-z0-9_.-]+)\)`)

// expand replaces $(NAME) as Kubernetes does.
func expand(text string, values map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(match string) string {
		if value, known := values[match[2:len(match)-1]]; known {
			return value
		}
		return match
	})
}

func flat(values map[string]string) []string {
	var result []string
	for name, value := range values {
		result = append(result, name+"="+value)
	}
	return result
}

func words(value any) []string {
	list, _ := value.([]any)
	var result []string
	for _, item := range list {
		result = append(result, fmt.Sprint(item))
	}
	return result
}

// probe asks the readiness probe of the pod's container once; without one, a process that runs for a second is ready.
func probe(p *process) bool {
	container := p.pod.items("spec", "containers")[0]
	check := container.at("readinessProbe")
	if check == nil {
		return time.Since(p.started) > time.Second
	}
	readiness := object(check.(map[string]any))
	port := func(value any) string {
		name, named := value.(string)
		if !named {
			return number(value)
		}
		for _, offered := range container.items("ports") {
			if offered.text("name") == name {
				return number(offered["containerPort"])
			}
		}
		return name
	}
	if readiness.at("httpGet") != nil {
		scheme := strings.ToLower(readiness.text("httpGet", "scheme"))
		if scheme == "" {
			scheme = "http"
		}
		client := http.Client{Timeout: time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec // as the kubelet does
		}}
		response, err := client.Get(scheme + "://" + net.JoinHostPort(p.ip, port(readiness.at("httpGet", "port"))) + readiness.text("httpGet", "path"))
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode < 400
	}
	if readiness.at("tcpSocket") != nil {
		connection, err := net.DialTimeout("tcp", net.JoinHostPort(p.ip, port(readiness.at("tcpSocket", "port"))), time.Second)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	}
	return time.Since(p.started) > time.Second
}

// report writes the pod's status.
func (k *kubelet) report(p *process, ready bool) error {
	now := time.Now().UTC().Format(time.RFC3339)
	status := map[bool]string{true: "True", false: "False"}[ready]
	var conditions, statuses []map[string]any
	for _, name := range []string{"Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		value := status
		if name == "Initialized" || name == "PodScheduled" {
			value = "True"
		}
		conditions = append(conditions, map[string]any{"type": name, "status": value, "lastTransitionTime": now})
	}
	for _, container := range p.pod.items("spec", "containers") {
		statuses = append(statuses, map[string]any{
			"name": container.text("name"), "image": container.text("image"), "imageID": container.text("image"), "ready": ready, "started": true,
			"restartCount": 0, "state": map[string]any{"running": map[string]any{"startedAt": now}},
		})
	}
	return k.api.merge("/api/v1/namespaces/"+p.pod.namespace()+"/pods/"+p.pod.name()+"/status", map[string]any{
		"status": map[string]any{"phase": "Running", "conditions": conditions, "containerStatuses": statuses},
	})
}

// mountedVolume is a volume of a pod as a directory.
type mountedVolume struct {
	name      string
	directory string
	writable  bool
}

// mountVolumes writes a pod's volumes; called again it refreshes what came from Secrets and ConfigMaps.
func (k *kubelet) mountVolumes(p *process, directory string) error {
	var volumes []mountedVolume
	for _, volume := range p.pod.items("spec", "volumes") {
		target := filepath.Join(directory, "volumes", volume.text("name"))
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		mounted := mountedVolume{name: volume.text("name"), directory: target, writable: volume.at("emptyDir") != nil}
		if err := k.fill(p, volume, target); err != nil {
			return fmt.Errorf("volume %s: %w", mounted.name, err)
		}
		volumes = append(volumes, mounted)
	}
	p.volumes = volumes
	return k.initialize(p)
}

// initialize does what the init container of trust-manager does: it hands over Debian's certificates, which are those of
// the real machine. Other init containers have nothing to do for a process.
func (k *kubelet) initialize(p *process) error {
	for _, container := range p.pod.items("spec", "initContainers") {
		if !strings.Contains(container.text("image"), "/trust-pkg-debian") {
			continue
		}
		for _, volume := range p.volumes {
			file := filepath.Join(volume.directory, "cert-manager-package-debian.json")
			if _, err := os.Stat(file); err == nil || !volume.writable {
				continue
			}
			bundle, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
			if err != nil {
				return err
			}
			content, err := json.Marshal(map[string]string{"name": "cert-manager-package-debian", "version": "0", "bundle": string(bundle)})
			if err != nil {
				return err
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *kubelet) fill(p *process, volume object, target string) error {
	sources := []object{volume}
	if volume.at("projected") != nil {
		sources = volume.items("projected", "sources")
	}
	for _, source := range sources {
		files, err := k.contents(p, source, target)
		if err != nil {
			return err
		}
		for name, content := range files {
			path := filepath.Join(target, name)
			if current, err := os.ReadFile(path); err == nil && string(current) == content {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := errors.Join(os.WriteFile(path+".new", []byte(content), 0o600), os.Rename(path+".new", path)); err != nil {
				return err
			}
		}
	}
	return nil
}

// contents are the files of one volume source.
func (k *kubelet) contents(p *process, source object, target string) (map[string]string, error) {
	namespace := p.pod.namespace()
	for kind, resource := range map[string]string{"secret": "secrets", "configMap": "configmaps"} {
		if source.at(kind) == nil {
			continue
		}
		name := source.text(kind, "secretName") + source.text(kind, "name")
		data, err := k.data(namespace, resource, name)
		if optional, _ := source.at(kind, "optional").(bool); optional && errors.Is(err, errNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if items := source.items(kind, "items"); len(items) > 0 {
			chosen := map[string]string{}
			for _, item := range items {
				if value, found := data[item.text("key")]; found {
					chosen[item.text("path")] = value
				}
			}
			return chosen, nil
		}
		return data, nil
	}
	if source.at("serviceAccountToken") != nil {
		path := source.text("serviceAccountToken", "path")
		if _, err := os.Stat(filepath.Join(target, path)); err == nil {
			return nil, nil // lasts for the whole run
		}
		token, err := k.token(p.pod, source.text("serviceAccountToken", "audience"))
		return map[string]string{path: token}, err
	}
	if source.at("downwardAPI") != nil {
		files := map[string]string{}
		for _, item := range source.items("downwardAPI", "items") {
			value, _, err := k.valueFrom(p.pod, item)
			if err != nil {
				return nil, err
			}
			files[item.text("path")] = value
		}
		return files, nil
	}
	return nil, nil
}

func (k *kubelet) token(pod object, audience string) (string, error) {
	spec := map[string]any{
		"expirationSeconds": 86400,
		"boundObjectRef":    map[string]any{"kind": "Pod", "apiVersion": "v1", "name": pod.name(), "uid": pod.text("metadata", "uid")},
	}
	if audience != "" {
		spec["audiences"] = []string{audience}
	}
	result, err := k.api.create("/api/v1/namespaces/"+pod.namespace()+"/serviceaccounts/"+pod.text("spec", "serviceAccountName")+"/token",
		map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
	return result.text("status", "token"), err
}
