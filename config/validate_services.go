package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// services returns the names of all services, as under the key services, and whether each is on.
func (c *Config) services() map[string]bool {
	return map[string]bool{
		"gitlab":     c.Services.GitLab.On(),
		"jupyter":    c.Services.Jupyter.On(),
		"ollama":     c.Services.Ollama.On(),
		"openWebUI":  c.Services.OpenWebUI.On(),
		"monitoring": c.Services.Monitoring.On(),
	}
}

func (c *checker) validateServices() {
	c.validateHosts()
	c.validateStorage()
	c.validateGitLab()
	c.validateJupyter()
	c.validateOllama()
	c.validateOpenWebUI()
	c.validateMonitoring()
	c.duration("gitops.syncTimeout", c.cfg.GitOps.SyncTimeout)
	for i, repository := range c.cfg.GitOps.Repositories {
		c.url(URL, fmt.Sprintf("gitops.repositories[%d]", i), repository, "https", "ssh", "oci")
	}
	c.unique("gitops.repositories", c.cfg.GitOps.Repositories)
	c.count("security.auditRetention", c.cfg.Security.AuditRetention, 1, 3650)
	running := c.cfg.services()
	for i, service := range c.cfg.Purge {
		path := fmt.Sprintf("purge[%d]", i)
		if c.service(path, service) && running[service] {
			c.add(PurgeRunning, path, service, "is switched on; set services.%s.enabled: false first, or remove it from purge", service)
		}
	}
	c.unique("purge", c.cfg.Purge)
}

// service tells whether there is a service of that name.
func (c *checker) service(path, name string) bool {
	names := serviceNames()
	if slices.Contains(names, name) {
		return true
	}
	fix := "there is no such service; there are " + strings.Join(names, ", ")
	if nearest := nearest(name, names); nearest != "" {
		fix = fmt.Sprintf("there is no such service; did you mean %s?", nearest)
	}
	c.add(UnknownService, path, name, "%s", fix)
	return false
}

func serviceNames() []string {
	return []string{"gitlab", "jupyter", "monitoring", "ollama", "openWebUI"}
}

func (c *checker) validateStorage() {
	storage := &c.cfg.Storage
	class := func(path, name string) {
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			c.add(StorageClass, path, name, "must be the name of a StorageClass, such as local-path")
		}
	}
	class("storage.class", storage.Class)
	if storage.RetainClass == "" {
		c.add(RetainClass, "storage.retainClass", "", "storage.class is %s: name the class of that storage whose volumes "+
			"outlive their claims, or lab-retain to keep them on the nodes' own disks", storage.Class)
	} else {
		class("storage.retainClass", storage.RetainClass)
	}
	if c.fine("cluster.dataDir") {
		c.absolutePath("storage.path", storage.Path)
	}
	for service, name := range storage.Classes {
		if path := "storage.classes." + service; c.service(path, service) {
			class(path, name)
		}
	}
}

func (c *checker) validateGitLab() {
	const path = "services.gitlab"
	gitlab := &c.cfg.Services.GitLab
	c.quantity(path+".size", gitlab.Size)
	runners := gitlab.Runners
	if runners.On() && !gitlab.On() {
		c.add(GitLabOff, path+".runners.enabled", "true", "runners need GitLab; switch services.gitlab on or the runners off")
	}
	c.count(path+".runners.concurrent", runners.Concurrent, 1, 64)
	c.quantity(path+".runners.jobCPU", runners.JobCPU)
	c.quantity(path+".runners.jobMemory", runners.JobMemory)
	c.validateGitLabUpgrade()
}

var jupyterUser = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,62}$`)

func (c *checker) validateJupyter() {
	const path = "services.jupyter"
	jupyter := &c.cfg.Services.Jupyter
	c.quantity(path+".userCPU", jupyter.UserCPU)
	memory := c.quantity(path+".userMemory", jupyter.UserMemory)
	c.quantity(path+".userStorage", jupyter.UserStorage)
	shared := c.quantity(path+".sharedMemory", jupyter.SharedMemory)
	if memory != nil && shared != nil && shared.Cmp(*memory) > 0 {
		c.add(SharedMemory, path+".sharedMemory", jupyter.SharedMemory,
			"counts into a user's memory and is larger than userMemory (%s); lower it", jupyter.UserMemory)
	}
	c.duration(path+".idleTimeout", jupyter.IdleTimeout)
	users := func(key string, names []string) {
		for i, name := range names {
			if !jupyterUser.MatchString(name) {
				c.add(JupyterUser, fmt.Sprintf("%s.%s[%d]", path, key, i), name,
					"must be of lower-case letters, digits and . _ @ -, as JupyterHub stores it")
			}
		}
		c.unique(path+"."+key, names)
	}
	users("users", jupyter.Users)
	users("admins", jupyter.Admins)
}

// modelName is [registry/][namespace/]model:tag; without its tag a model floats.
var modelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*:[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (c *checker) validateOllama() {
	const path = "services.ollama"
	ollama := &c.cfg.Services.Ollama
	c.validateGPU(path + ".gpu")
	volume := c.quantity(path+".size", ollama.Size)
	var names []string
	total := resource.Quantity{}
	for i, model := range ollama.Models {
		at := fmt.Sprintf("%s.models[%d]", path, i)
		if c.required(at+".name", model.Name, "name the model with its tag, such as llama3.2:3b") && !modelName.MatchString(model.Name) {
			c.add(ModelName, at+".name", model.Name, "must be a model of Ollama's library with its tag, such as llama3.2:3b")
		}
		if slices.Contains(names, model.Name) {
			c.add(Duplicate, at+".name", model.Name, "is in the list already; remove it")
		}
		names = append(names, model.Name)
		if model.Size != "" {
			if size := c.quantity(at+".size", model.Size); size != nil {
				total.Add(*size)
			}
		}
	}
	if volume != nil && total.Cmp(*volume) > 0 {
		c.add(ModelsExceedVolume, path+".models", total.String(),
			"the models do not fit their volume, %s.size (%s); raise it or remove models", path, ollama.Size)
	}
	// Ollama takes a negative number for ever, and 0 for not at all.
	if ollama.KeepAlive != "-1" && ollama.KeepAlive != "0" {
		c.duration(path+".keepAlive", ollama.KeepAlive)
	}
	c.count(path+".parallel", ollama.Parallel, 1, 64)
	c.count(path+".maxLoaded", ollama.MaxLoaded, 1, 64)
	c.duration(path+".pullTimeout", ollama.PullTimeout)
	if ollama.API.Enabled && !ollama.On() {
		c.add(OllamaOff, path+".api.enabled", "true", "the API is Ollama's; switch services.ollama on or the API off")
	}
}

// validateGPU checks that one node has the GPUs that Ollama asks for. A shared card counts once per share.
func (c *checker) validateGPU(path string) {
	wanted := *c.cfg.Services.Ollama.GPU
	c.count(path, wanted, 0, 64)
	most := 0
	for _, node := range c.cfg.Cluster.Nodes {
		offered := 0
		if node.GPU != "none" {
			offered = *node.Capacity.GPU
		}
		if node.GPU == "nvidia" && c.cfg.Cluster.NVIDIA.Sharing != "none" {
			offered *= c.cfg.Cluster.NVIDIA.Replicas
		}
		most = max(most, offered)
	}
	if c.cfg.Services.Ollama.On() && wanted > most {
		c.add(GPUMissing, path, strconv.Itoa(wanted), "no node offers that many GPUs (at most %d); set gpu on the node, or 0 here", most)
	}
}

func (c *checker) validateOpenWebUI() {
	const path = "services.openWebUI"
	webUI := &c.cfg.Services.OpenWebUI
	if webUI.On() && !c.cfg.Services.Ollama.On() {
		c.add(OllamaOff, path+".enabled", "true", "Open WebUI talks to Ollama; switch services.ollama on or Open WebUI off")
	}
	c.quantity(path+".size", webUI.Size)
	if c.fine("domain") {
		c.email(Email, path+".adminEmail", webUI.AdminEmail)
	}
}

func (c *checker) validateMonitoring() {
	const path = "services.monitoring"
	monitoring := &c.cfg.Services.Monitoring
	c.retention(path+".retention", monitoring.Retention)
	c.quantity(path+".size", monitoring.Size)
	c.retention(path+".logs.retention", monitoring.Logs.Retention)
	c.quantity(path+".logs.size", monitoring.Logs.Size)
	receiver := monitoring.Receiver
	if receiver == nil || !c.required(path+".receiver.kind", receiver.Kind, "say webhook, ntfy or mail") ||
		!c.oneOf(ReceiverKind, path+".receiver.kind", receiver.Kind, "webhook", "ntfy", "mail") {
		return
	}
	if receiver.Kind != "mail" {
		if !receiver.URL.IsSet() {
			c.add(ReceiverIncomplete, path+".receiver.url", "", "say where alerts go: "+
				"pulumi config set --secret --path '%s%s.receiver.url'", prefix, path)
		}
		return
	}
	if receiver.Smarthost == "" {
		c.add(ReceiverIncomplete, path+".receiver.smarthost", "", "say the mail server as host:port")
	} else {
		c.hostPort(path+".receiver.smarthost", receiver.Smarthost)
	}
	for _, address := range []struct{ path, value string }{
		{path + ".receiver.from", receiver.From},
		{path + ".receiver.to", receiver.To},
	} {
		if address.value == "" {
			c.add(ReceiverIncomplete, address.path, "", "say the mail address")
		} else {
			c.email(Email, address.path, address.value)
		}
	}
}
