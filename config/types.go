package config

// Config is everything a stack says about its lab, after defaults. Each field maps to the Pulumi config key
// homelab-ai:<json name>.
//
// In the comments below REQUIRED means that the stack file must set the key; every other key has the default
// that is named, and those defaults live in defaults.go.
type Config struct {
	// Stack is the Pulumi stack's name. It is not a key.
	Stack string `json:"-"`

	// Domain is the DNS suffix of every URL of the lab, such as gitlab.<domain>. REQUIRED.
	Domain string `json:"domain"`
	// Protect refuses the deletion of the cluster and of every data-bearing resource. REQUIRED, so that each stack
	// says it aloud.
	Protect *bool `json:"protect"`

	Cluster  Cluster  `json:"cluster"`
	Network  Network  `json:"network"`
	TLS      TLS      `json:"tls"`
	Storage  Storage  `json:"storage"`
	GitOps   GitOps   `json:"gitops"`
	SignIn   SignIn   `json:"signIn"`
	Access   Access   `json:"access"`
	Services Services `json:"services"`
	Backup   Backup   `json:"backup"`
	Security Security `json:"security"`

	// Versions overrides single entries of the embedded catalogue (versions.yaml), in the same shape. After
	// Load it is the merged catalogue. Default: the catalogue.
	Versions Catalogue `json:"versions"`
	// Values are free-form chart values per chart of the catalogue, merged deep and last. Default: none.
	Values map[string]map[string]any `json:"values"`
	// ChartMirror serves every chart from one place: an OCI prefix (oci://host/path) or a Helm repository
	// (https://host/path). Default: each chart's own repository.
	ChartMirror string `json:"chartMirror"`
	// Purge lists services that are switched off and whose namespace, claims and secrets may go as well.
	// Default: none, so that what is switched off keeps its data.
	Purge []string `json:"purge"`
}

// Cluster is the K3s cluster and the hosts it runs on.
type Cluster struct {
	// Nodes are the hosts, servers first in order of their joining. REQUIRED: one server, or three or more.
	Nodes []Node `json:"nodes"`
	// SSH holds the connection settings that a node does not set itself.
	SSH SSH `json:"ssh"`
	// Endpoint is the DNS name or virtual address under which clients and agents reach the API server.
	// Default: the first server's host. REQUIRED with three or more servers.
	Endpoint string `json:"endpoint"`
	// PodCIDR is the address range of pods (IPv4 CIDR). Default: 10.0.0.0/16.
	PodCIDR string `json:"podCIDR"`
	// ServiceCIDR is the address range of cluster addresses of Services (IPv4 CIDR). Default: 10.1.0.0/16.
	ServiceCIDR string `json:"serviceCIDR"`
	// FlannelBackend carries pod traffic between nodes: vxlan, wireguard-native (encrypted) or host-gw.
	// Default: wireguard-native.
	FlannelBackend string `json:"flannelBackend"`
	// DataDir is where K3s keeps its state and container images on each node (absolute path).
	// Default: /var/lib/rancher/k3s.
	DataDir string `json:"dataDir"`
	// CoreReplicas is the number of replicas of the core's controllers (ingress, cert-manager, Argo CD server).
	// Default: 1 with one server, 2 with three or more.
	CoreReplicas int `json:"coreReplicas"`
	// Generation identifies this installation of the cluster. Raise it when the hosts are reinstalled from
	// nothing: every Kubernetes object is then created anew. Default: 1.
	Generation int `json:"generation"`
	// KubeconfigGeneration is raised to read the kubeconfig again, because its client certificate lasts 365 days.
	// Default: 1.
	KubeconfigGeneration int `json:"kubeconfigGeneration"`
	// BinaryMirror is the base URL that serves <version>/k3s and <version>/k3s-arm64, for hosts without
	// internet access. Default: https://github.com/k3s-io/k3s/releases/download.
	BinaryMirror string `json:"binaryMirror"`
	// TimeServers are NTP servers for the hosts' time synchronisation. Default: the distribution's own.
	TimeServers []string `json:"timeServers"`
	// Minimum is the least a host must have; preflight refuses less.
	Minimum Minimum `json:"minimum"`
	// NVIDIA prepares nodes that say gpu: nvidia.
	NVIDIA NVIDIA `json:"nvidia"`
	// Snapshots are K3s's own etcd snapshots on each server.
	Snapshots Snapshots `json:"snapshots"`
}

// Node is one host.
type Node struct {
	// Name is the node's name in Kubernetes (RFC 1123 label). REQUIRED, unique.
	Name string `json:"name"`
	// Role is server (control plane and workloads) or agent (workloads only). REQUIRED.
	Role string `json:"role"`
	// Host is the address that SSH connects to and that other nodes use (IPv4 address or DNS name). REQUIRED, unique.
	Host string `json:"host"`
	// Address is the node's IPv4 address in the lab's network. REQUIRED when Host is a name; default: Host.
	Address string `json:"address"`
	// HostKey is the host's public ed25519 key as `ssh-keyscan -t ed25519 <host>` prints it, without the
	// host's name. REQUIRED unless ssh.insecureIgnoreHostKeys.
	HostKey string `json:"hostKey"`
	// User logs in over SSH: root, or a user with passwordless sudo. Default: ssh.user.
	User string `json:"user"`
	// Port is the SSH port. Default: ssh.port.
	Port int `json:"port"`
	// GPU is the kind of accelerator: none, nvidia or amd. Default: none.
	GPU string `json:"gpu"`
	// Labels are added to the Kubernetes node. Default: none.
	Labels map[string]string `json:"labels"`
	// Taints are added to the Kubernetes node, each as key=value:Effect. Default: none.
	Taints []string `json:"taints"`
	// Capacity is what the node offers to pods, for the rehearsal's budget table. Default: the minimum of the cluster.
	Capacity Capacity `json:"capacity"`
}

// Capacity is what a node offers, in Kubernetes quantities.
type Capacity struct {
	// CPU in cores, such as 8. Default: cluster.minimum.cores.
	CPU string `json:"cpu"`
	// Memory, such as 32Gi. Default: cluster.minimum.memory.
	Memory string `json:"memory"`
	// GPU is the number of GPUs. Default: 1 where the node's gpu is not none, else 0.
	GPU *int `json:"gpu"`
	// Storage for volumes, such as 400Gi. Default: cluster.minimum.disk.
	Storage string `json:"storage"`
}

// SSH is how hosts are reached. Exactly one of PrivateKey, PrivateKeyFile and Agent holds.
type SSH struct {
	// User logs in: root, or a user with passwordless sudo. Default: root.
	User string `json:"user"`
	// Port in 1..65535. Default: 22.
	Port int `json:"port"`
	// PrivateKey is the key itself (PEM), as an encrypted config value. Default: none.
	PrivateKey Secret `json:"privateKey"`
	// PrivateKeyFile is the path of the key on the machine that runs Pulumi; ~ is expanded. Default: none.
	PrivateKeyFile string `json:"privateKeyFile"`
	// PrivateKeyPassphrase decrypts the key, as an encrypted config value. Default: none.
	PrivateKeyPassphrase Secret `json:"privateKeyPassphrase"`
	// Agent uses the SSH agent at SSH_AUTH_SOCK. Default: true when no key is given.
	Agent *bool `json:"agent"`
	// JumpHost is passed through on the way to every node. Default: none.
	JumpHost *JumpHost `json:"jumpHost"`
	// InsecureIgnoreHostKeys turns off the verification of host keys: whoever answers at the address gets root
	// and every secret of the lab. Default: false.
	InsecureIgnoreHostKeys bool `json:"insecureIgnoreHostKeys"`
}

// JumpHost is an SSH host that forwards connections to the nodes; the same key is used.
type JumpHost struct {
	// Host is its address or name. REQUIRED.
	Host string `json:"host"`
	// HostKey is its public ed25519 key. REQUIRED unless ssh.insecureIgnoreHostKeys.
	HostKey string `json:"hostKey"`
	// User logs in there. Default: ssh.user.
	User string `json:"user"`
	// Port in 1..65535. Default: 22.
	Port int `json:"port"`
}

// Minimum is the least that preflight accepts of a host.
type Minimum struct {
	// Cores is the number of CPU cores. Default: 4.
	Cores int `json:"cores"`
	// Memory is a Kubernetes quantity. Default: 15Gi (a 16 GiB host shows a little less).
	Memory string `json:"memory"`
	// Disk is the free space below dataDir, a Kubernetes quantity. Default: 40Gi.
	Disk string `json:"disk"`
	// ClockSkew is the greatest difference between two hosts' clocks (Go duration). Default: 5s.
	ClockSkew string `json:"clockSkew"`
}

// NVIDIA is the preparation of hosts with an NVIDIA card.
type NVIDIA struct {
	// InstallDriver installs the distribution's driver packages; else a driver must be there already. Default: false.
	InstallDriver bool `json:"installDriver"`
	// Sharing lets several pods share one card: none, time-slicing or mps. Default: time-slicing.
	Sharing string `json:"sharing"`
	// Replicas is into how many one card is shared (2..32). Default: 4. Ignored with sharing none.
	Replicas int `json:"replicas"`
}

// Snapshots are etcd snapshots.
type Snapshots struct {
	// Schedule is a cron expression in the host's time zone. Default: "0 */12 * * *".
	Schedule string `json:"schedule"`
	// Retention is the number of snapshots kept on each server. Default: 10.
	Retention int `json:"retention"`
}

// Network is the LAN side of the lab.
type Network struct {
	// LANCIDR is the network the nodes and load balancer addresses belong to. REQUIRED.
	LANCIDR string `json:"lanCIDR"`
	// Gateway is the LAN's router; it must not be in LoadBalancerRange. REQUIRED.
	Gateway string `json:"gateway"`
	// LoadBalancerRange is the addresses that MetalLB hands out (first-last, inclusive).
	// Default: 192.168.1.200-192.168.1.210.
	LoadBalancerRange string `json:"loadBalancerRange"`
	// IngressAddress carries HTTP and HTTPS. Default: the first address of LoadBalancerRange.
	IngressAddress string `json:"ingressAddress"`
	// GitLabSSHAddress carries GitLab's SSH. Default: IngressAddress, shared.
	GitLabSSHAddress string `json:"gitlabSSHAddress"`
	// Interfaces limits MetalLB's announcements to these network interfaces of the nodes. Default: all.
	Interfaces []string `json:"interfaces"`
	// AllowedSources are the source ranges (CIDR) that may reach the ingress. Default: [lanCIDR, podCIDR].
	AllowedSources []string `json:"allowedSources"`
	// DNSServers answer what the lab's own domain does not. Default: the nodes' own resolvers.
	DNSServers []string `json:"dnsServers"`
	// BodySize is the largest HTTP request body in NGINX notation (such as 512m); 0 is no limit. Default: 0.
	BodySize string `json:"bodySize"`
}

// TLS is who signs the lab's certificates.
type TLS struct {
	// Issuer is internal (the lab's own CA) or letsencrypt (ACME over DNS-01). Default: internal.
	Issuer string `json:"issuer"`
	// LetsEncrypt is REQUIRED with issuer letsencrypt.
	LetsEncrypt *LetsEncrypt `json:"letsencrypt"`
}

// LetsEncrypt is an ACME account with a DNS-01 solver.
type LetsEncrypt struct {
	// Email receives expiry notices. REQUIRED.
	Email string `json:"email"`
	// Staging uses the untrusted staging endpoint with its wide rate limits. Default: false.
	Staging bool `json:"staging"`
	// Provider is the DNS-01 solver: cloudflare, digitalocean, route53 or rfc2136. REQUIRED.
	Provider string `json:"provider"`
	// APIToken is the token of cloudflare and digitalocean, the secret access key of route53, or the TSIG secret of
	// rfc2136, as an encrypted config value. REQUIRED.
	APIToken Secret `json:"apiToken"`
	// AccessKeyID belongs to route53. REQUIRED there.
	AccessKeyID string `json:"accessKeyID"`
	// Region belongs to route53. Default: us-east-1.
	Region string `json:"region"`
	// Nameserver (host:port) belongs to rfc2136. REQUIRED there.
	Nameserver string `json:"nameserver"`
	// TSIGKeyName and TSIGAlgorithm belong to rfc2136. Default: none, HMACSHA256.
	TSIGKeyName   string `json:"tsigKeyName"`
	TSIGAlgorithm string `json:"tsigAlgorithm"`
	// RecursiveNameservers (host:port) check the challenge before Let's Encrypt does.
	// Default: [1.1.1.1:53, 9.9.9.9:53].
	RecursiveNameservers []string `json:"recursiveNameservers"`
}

// Storage is where volumes live.
type Storage struct {
	// Class is the StorageClass of every volume. Default: local-path, which K3s brings.
	Class string `json:"class"`
	// RetainClass is the class for volumes that controllers make themselves (user homes, Prometheus); its
	// volumes outlive their claims. REQUIRED with a class other than local-path; it must retain. Default:
	// lab-retain, which the lab makes from K3s's local-path provisioner.
	RetainClass string `json:"retainClass"`
	// Path is the directory of local-path volumes on each node (absolute path), for instance on a disk of its own.
	// Default: <cluster.dataDir>/storage.
	Path string `json:"path"`
	// Classes overrides the class per service (keys as under services). Default: none.
	Classes map[string]string `json:"classes"`
}

// GitOps is how workload charts are delivered.
type GitOps struct {
	// Enabled delivers workloads as Argo CD Applications; else as Helm releases. It can't be changed on a stack
	// that is up. Default: true.
	Enabled *bool `json:"enabled"`
	// Host is the name of Argo CD. Default: argocd.<domain>.
	Host string `json:"host"`
	// Repositories are further Git or Helm repositories that the user's own applications may come from. Default: none.
	Repositories []string `json:"repositories"`
	// SyncTimeout is how long an Application may take to become synced and healthy (Go duration). Default: 15m.
	SyncTimeout string `json:"syncTimeout"`
}

// SignIn is the lab's single sign-on.
type SignIn struct {
	// Provider is gitlab (while GitLab is on), oidc (an external provider) or local (accounts per service).
	// Default: gitlab when services.gitlab is on, else local.
	Provider string `json:"provider"`
	// OIDC is REQUIRED with provider oidc.
	OIDC *OIDC `json:"oidc"`
	// AdminGroup and UserGroup map groups to roles. Default: lab-admins and lab-users.
	AdminGroup string `json:"adminGroup"`
	UserGroup  string `json:"userGroup"`
}

// OIDC is an external OpenID Connect provider.
type OIDC struct {
	// IssuerURL is the https URL whose /.well-known/openid-configuration describes the provider. REQUIRED.
	IssuerURL string `json:"issuerURL"`
	// ClientID and ClientSecret (encrypted config value) serve all of the lab's redirect URLs. REQUIRED.
	ClientID     string `json:"clientID"`
	ClientSecret Secret `json:"clientSecret"`
}

// Access is who may do what in the cluster.
type Access struct {
	// Admins, Developers and Viewers are OIDC or certificate group names bound to the lab's roles. Default: none.
	Admins     []string `json:"admins"`
	Developers []string `json:"developers"`
	Viewers    []string `json:"viewers"`
}

// Services are the workloads. Each is switched by its enabled key.
type Services struct {
	GitLab     GitLab     `json:"gitlab"`
	Jupyter    Jupyter    `json:"jupyter"`
	Ollama     Ollama     `json:"ollama"`
	OpenWebUI  OpenWebUI  `json:"openWebUI"`
	Monitoring Monitoring `json:"monitoring"`
}

// Resources are requests and limits of a service's main container, as Kubernetes quantities.
type Resources struct {
	// CPU is requested, in cores. Default: per service, see defaults.go.
	CPU string `json:"cpu"`
	// Memory is requested and is the limit. Default: per service.
	Memory string `json:"memory"`
	// CPULimit caps bursts. Default: none.
	CPULimit string `json:"cpuLimit"`
}

// GitLab is GitLab CE (Omnibus) with its registry and runners.
type GitLab struct {
	// Enabled. Default: true.
	Enabled *bool `json:"enabled"`
	// Host is the name of the web interface. Default: gitlab.<domain>.
	Host string `json:"host"`
	// RegistryHost is the name of the container registry. Default: registry.<domain>.
	RegistryHost string    `json:"registryHost"`
	Resources    Resources `json:"resources"`
	// Size of the data volume. Default: 60Gi.
	Size string `json:"size"`
	// From is the version that is running now, such as 18.11.3. Say it before an update of GitLab: one that goes back or skips
	// a required stop is then refused with the path to take. Default: none, so that the update is not checked.
	From    string  `json:"from"`
	Runners Runners `json:"runners"`
}

// Runners are GitLab's CI runners.
type Runners struct {
	// Enabled. Default: true with GitLab.
	Enabled *bool `json:"enabled"`
	// Concurrent is the number of jobs at the same time, over both classes. Default: 2.
	Concurrent int `json:"concurrent"`
	// Privileged offers Docker-in-Docker in a namespace of its own. Default: true.
	Privileged *bool `json:"privileged"`
	// JobCPU and JobMemory limit one job's build container. Default: 2 and 4Gi.
	JobCPU    string `json:"jobCPU"`
	JobMemory string `json:"jobMemory"`
}

// Jupyter is JupyterHub serving JupyterLab.
type Jupyter struct {
	// Enabled. Default: true.
	Enabled *bool `json:"enabled"`
	// Host. Default: jupyter.<domain>.
	Host      string    `json:"host"`
	Resources Resources `json:"resources"`
	// UserCPU, UserMemory and UserStorage are what one user's server gets. Default: 1, 2Gi and 20Gi.
	UserCPU     string `json:"userCPU"`
	UserMemory  string `json:"userMemory"`
	UserStorage string `json:"userStorage"`
	// SharedMemory is the size of /dev/shm of a user's server. Default: 1Gi.
	SharedMemory string `json:"sharedMemory"`
	// IdleTimeout stops servers without activity (Go duration). Default: 2h.
	IdleTimeout string `json:"idleTimeout"`
	// Users and Admins may sign in where the provider is local. Default: none, and lab.
	Users  []string `json:"users"`
	Admins []string `json:"admins"`
}

// Ollama serves language models.
type Ollama struct {
	// Enabled. Default: true.
	Enabled *bool `json:"enabled"`
	// GPU is the number of (shared) GPUs; 0 runs on the CPU. Default: 1 where a node has a GPU, else 0.
	GPU       *int      `json:"gpu"`
	Resources Resources `json:"resources"`
	// Models are pulled after the start. Default: none.
	Models []Model `json:"models"`
	// RemoveUndeclared removes models that are no longer declared. Default: false.
	RemoveUndeclared bool `json:"removeUndeclared"`
	// Size of the model volume. Default: 50Gi.
	Size string `json:"size"`
	// KeepAlive is how long a model stays loaded (Go duration, -1 for ever). Default: 5m.
	KeepAlive string `json:"keepAlive"`
	// Parallel is the number of requests that one model serves at once. Default: 1.
	Parallel int `json:"parallel"`
	// MaxLoaded is the number of models loaded at once. Default: 1.
	MaxLoaded int `json:"maxLoaded"`
	// PullTimeout is how long one pull of all models may take (Go duration). Default: 2h.
	PullTimeout string `json:"pullTimeout"`
	// API offers the API to LAN clients with a bearer token.
	API OllamaAPI `json:"api"`
}

// Model is a model of Ollama's library.
type Model struct {
	// Name with its tag, such as llama3.2:3b. REQUIRED.
	Name string `json:"name"`
	// Size on disk (Kubernetes quantity), summed against the volume. Default: unknown, not counted.
	Size string `json:"size"`
}

// OllamaAPI is Ollama's API on the LAN.
type OllamaAPI struct {
	// Enabled. Default: false.
	Enabled bool `json:"enabled"`
	// Host. Default: ollama.<domain>.
	Host string `json:"host"`
}

// OpenWebUI is the chat in the browser.
type OpenWebUI struct {
	// Enabled. Default: true with Ollama.
	Enabled *bool `json:"enabled"`
	// Host. Default: chat.<domain>.
	Host      string    `json:"host"`
	Resources Resources `json:"resources"`
	// Size of the data volume. Default: 10Gi.
	Size string `json:"size"`
	// AdminEmail is the first account's name. Default: admin@<domain>.
	AdminEmail string `json:"adminEmail"`
}

// Monitoring is Prometheus, Alertmanager and Grafana.
type Monitoring struct {
	// Enabled. Default: true.
	Enabled *bool `json:"enabled"`
	// Host is Grafana's. Default: grafana.<domain>.
	Host string `json:"host"`
	// Retention of metrics in Prometheus notation, such as 15d. Default: 15d.
	Retention string `json:"retention"`
	// Size of the metrics volume. Default: 20Gi.
	Size      string    `json:"size"`
	Resources Resources `json:"resources"`
	// Logs adds Loki and Alloy. Default: false.
	Logs Logs `json:"logs"`
	// Receiver gets the alerts. Default: none.
	Receiver *Receiver `json:"receiver"`
}

// Logs is the log store.
type Logs struct {
	// Enabled. Default: false.
	Enabled bool `json:"enabled"`
	// Retention in Prometheus notation. Default: 7d.
	Retention string `json:"retention"`
	// Size of the volume. Default: 20Gi.
	Size string `json:"size"`
}

// Receiver is where alerts go.
type Receiver struct {
	// Kind is webhook, ntfy or mail. REQUIRED.
	Kind string `json:"kind"`
	// URL of webhook and ntfy, as an encrypted config value. REQUIRED there.
	URL Secret `json:"url"`
	// Mail settings. REQUIRED with mail: Smarthost (host:port), From and To.
	Smarthost string `json:"smarthost"`
	From      string `json:"from"`
	To        string `json:"to"`
	Username  string `json:"username"`
	Password  Secret `json:"password"`
}

// Backup is where copies go and when.
type Backup struct {
	// Enabled. Default: true when S3 is set.
	Enabled *bool `json:"enabled"`
	// Schedule is a cron expression. Default: "0 3 * * *".
	Schedule string `json:"schedule"`
	// Retention is how long a backup is kept (Go duration). Default: 720h.
	Retention string `json:"retention"`
	// S3 is the target. Default: none, so nothing leaves the cluster.
	S3 *S3 `json:"s3"`
}

// S3 is an S3-compatible bucket.
type S3 struct {
	// Endpoint is the https URL. REQUIRED.
	Endpoint string `json:"endpoint"`
	// Bucket. REQUIRED.
	Bucket string `json:"bucket"`
	// Region. Default: us-east-1.
	Region string `json:"region"`
	// AccessKeyID and SecretAccessKey (encrypted config value). REQUIRED.
	AccessKeyID     string `json:"accessKeyID"`
	SecretAccessKey Secret `json:"secretAccessKey"`
}

// Security is what watches the cluster.
type Security struct {
	// Scanning runs trivy-operator. Default: true.
	Scanning *bool `json:"scanning"`
	// AuditRetention is for how many days the API server's audit log is kept. Default: 30.
	AuditRetention int `json:"auditRetention"`
}

// Catalogue holds every version the lab is made of; see versions.yaml.
type Catalogue struct {
	K3s    K3s              `json:"k3s"`
	Charts map[string]Chart `json:"charts"`
	Images map[string]Image `json:"images"`
	Host   HostPackages     `json:"host"`
}

// K3s is one release of K3s.
type K3s struct {
	// Version such as v1.36.4+k3s1.
	Version string `json:"version"`
	// SHA256 of the k3s binary per architecture (amd64, arm64), in hexadecimal.
	SHA256 map[string]string `json:"sha256"`
}

// Chart is one Helm chart.
type Chart struct {
	// Repository is an OCI prefix (oci://...) or the URL of a Helm repository.
	Repository string `json:"repository"`
	// Name in that repository.
	Name string `json:"name"`
	// Version (SemVer, as the chart spells it).
	Version string `json:"version"`
}

// Image is one container image.
type Image struct {
	// Repository with its registry, such as docker.io/ollama/ollama.
	Repository string `json:"repository"`
	// Tag.
	Tag string `json:"tag"`
	// Digest (sha256:...), where proven. Default: none.
	Digest string `json:"digest"`
}

// HostPackages are packages that the hosts get beside K3s.
type HostPackages struct {
	NVIDIAContainerToolkit HostPackage `json:"nvidia-container-toolkit"`
}

// HostPackage is one pinned package of a third party's repository.
type HostPackage struct {
	// Version as the package manager spells it.
	Version string `json:"version"`
	// KeySHA256 is the sha256 of the repository's signing key file, in hexadecimal.
	KeySHA256 string `json:"keySHA256"`
}
