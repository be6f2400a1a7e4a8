package config

// Rule names one rule that a config must keep. Each has a fixture in testdata/invalid, <rule>.yaml.
type Rule string

// Rules about the stack file as such.
const (
	StackFile       Rule = "stack-file"       // the file can be read, and no key is given twice
	UnknownKey      Rule = "unknown-key"      // every key is known
	WrongType       Rule = "wrong-type"       // every value has its field's type
	Text            Rule = "text"             // texts are one line of printable characters
	Required        Rule = "required"         // what has no default is set
	PlaintextSecret Rule = "plaintext-secret" // a secret is encrypted
	EncryptedValue  Rule = "encrypted-value"  // what is no secret can be read and checked
	SecretInValues  Rule = "secret-in-values" // no secret reaches chart values
	Count           Rule = "count"            // numbers are within their bounds
	Quantity        Rule = "quantity"         // sizes, cores and memory are Kubernetes quantities above zero
	Duration        Rule = "duration"         // durations are Go durations above zero
	Retention       Rule = "retention"        // retentions are in Prometheus notation
	Cron            Rule = "cron"             // schedules are cron expressions
	Port            Rule = "port"             // ports are in 1..65535
	URL             Rule = "url"              // URLs are complete, of the right scheme and without credentials
	HostName        Rule = "host-name"        // hosts elsewhere are IPv4 addresses or DNS names
	HostPort        Rule = "host-port"        // host:port pairs are just that
	Email           Rule = "email"            // mail addresses are plain addresses
	AbsolutePath    Rule = "absolute-path"    // directories on hosts are absolute and clean
	Duplicate       Rule = "duplicate"        // lists name nothing twice
)

// Rules about nodes and the cluster.
const (
	NoServer           Rule = "no-server"            // a server there must be
	ServerCount        Rule = "server-count"         // etcd keeps its quorum with an odd number of servers
	NodeName           Rule = "node-name"            // a node's name is an RFC 1123 label
	NodeNameDuplicate  Rule = "node-name-duplicate"  // names are unique
	NodeRole           Rule = "node-role"            // a role is server or agent
	NodeHost           Rule = "node-host"            // a host is an IPv4 address or a DNS name
	NodeHostDuplicate  Rule = "node-host-duplicate"  // hosts and addresses are unique
	NodeAddress        Rule = "node-address"         // a host with a name says its IPv4 address
	NodeOutsideLAN     Rule = "node-outside-lan"     // addresses are in the LAN
	NodeInClusterRange Rule = "node-in-cluster-cidr" // and neither among the pods nor the Services
	NodeLabel          Rule = "node-label"           // labels are well formed
	NodeLabelReserved  Rule = "node-label-reserved"  // and are such that a kubelet may set them
	NodeTaint          Rule = "node-taint"           // taints are key=value:Effect
	NodeTooSmall       Rule = "node-too-small"       // capacity is not below what preflight demands
	HostKeyMissing     Rule = "host-key-missing"     // every host says its key
	HostKey            Rule = "host-key"             // a host key is a public key
	HostKeyType        Rule = "host-key-type"        // of type ed25519
	HostKeyDuplicate   Rule = "host-key-duplicate"   // and its own
	GPUKind            Rule = "gpu-kind"             // an accelerator is none, nvidia or amd
	GPUSharing         Rule = "gpu-sharing"          // cards are shared by time-slicing, mps or not at all
	SSHUser            Rule = "ssh-user"             // a user is a Linux user name
	SSHKeyConflict     Rule = "ssh-key-conflict"     // one way to authenticate
	SSHKeyMissing      Rule = "ssh-key-missing"      // and not none
	SSHPassphrase      Rule = "ssh-passphrase"       // a passphrase has its key
	EndpointMissing    Rule = "endpoint-missing"     // several servers are reached under one endpoint
	Endpoint           Rule = "endpoint"             // which is an IPv4 address or a DNS name
	FlannelBackend     Rule = "flannel-backend"      // pod traffic has a known carrier
	CoreReplicas       Rule = "core-replicas"        // no more replicas of the core than nodes
)

// Rules about the network.
const (
	CIDR                Rule = "cidr"                  // ranges are IPv4 CIDRs
	CIDRHostBits        Rule = "cidr-host-bits"        // that name the network, not an address in it
	CIDROverlap         Rule = "cidr-overlap"          // pods, Services and LAN are apart
	PodCIDRSize         Rule = "pod-cidr-size"         // every node gets its /24 of the pods' range
	ServiceCIDRSize     Rule = "service-cidr-size"     // Services have between /12 and /24
	Address             Rule = "address"               // addresses are IPv4
	GatewayOutsideLAN   Rule = "gateway-outside-lan"   // the router is in the LAN
	RangeSyntax         Rule = "range"                 // a range is first-last
	RangeReversed       Rule = "range-reversed"        // first comes first
	RangeInCluster      Rule = "range-in-cluster-cidr" // a range is not among pods or Services
	RangeForeign        Rule = "range-foreign"         // but inside the LAN
	RangeReserved       Rule = "range-reserved"        // without its network and broadcast address
	RangeHoldsNode      Rule = "range-holds-node"      // without a node
	RangeHoldsGateway   Rule = "range-holds-gateway"   // without the router
	RangeHoldsEndpoint  Rule = "range-holds-endpoint"  // without the API's virtual address
	AddressOutsideRange Rule = "address-outside-range" // fixed addresses are taken from the range
	Interface           Rule = "interface"             // network interfaces have a possible name
	BodySize            Rule = "body-size"             // body sizes are in NGINX notation
	Domain              Rule = "domain"                // the domain is a DNS name of two labels or more
	DomainReserved      Rule = "domain-reserved"       // that nothing else answers
	Host                Rule = "host"                  // a URL's host is covered by the wildcard certificate
	HostDuplicate       Rule = "host-duplicate"        // and serves one thing
	SiblingDomain       Rule = "sibling-domain"        // stacks have a domain each
	SiblingNode         Rule = "sibling-node"          // nodes each
	SiblingRange        Rule = "sibling-range"         // and load balancer addresses each
)

// Rules about certificates and sign-in.
const (
	TLSIssuer              Rule = "tls-issuer"              // certificates come from a known issuer
	LetsEncryptMissing     Rule = "letsencrypt-missing"     // an issuer letsencrypt is set up
	LetsEncryptEmail       Rule = "letsencrypt-email"       // with mail
	LetsEncryptProvider    Rule = "letsencrypt-provider"    // with a known DNS-01 solver
	LetsEncryptCredentials Rule = "letsencrypt-credentials" //nolint:gosec // a rule: with what that solver logs in with
	LetsEncryptNameserver  Rule = "letsencrypt-nameserver"  // and its server, for rfc2136
	LetsEncryptDomain      Rule = "letsencrypt-domain"      // for a domain that is public
	TSIGAlgorithm          Rule = "tsig-algorithm"          // known algorithms sign rfc2136 updates
	SignInProvider         Rule = "sign-in-provider"        // people sign in with a known provider
	SignInWithoutGitLab    Rule = "sign-in-without-gitlab"  // GitLab can't sign in anyone while it is off
	OIDCIncomplete         Rule = "oidc-incomplete"         // an external provider is set up as a whole
)

// Rules about services, storage and backup.
const (
	UnknownService        Rule = "unknown-service"         // services are named as under services
	PurgeRunning          Rule = "purge-running"           // only what is off can be purged
	StorageClass          Rule = "storage-class"           // a class has a possible name
	RetainClass           Rule = "retain-class"            // a class of one's own comes with one that retains
	RequestExceedsNode    Rule = "request-exceeds-node"    // every request fits a node
	RequestsExceedCluster Rule = "requests-exceed-cluster" // and all of them fit the nodes
	StorageExceedsCluster Rule = "storage-exceeds-cluster" // as do the volumes
	LimitBelowRequest     Rule = "limit-below-request"     // a limit is not below its request
	GPUMissing            Rule = "gpu-missing"             // GPUs that are asked for are there
	ModelName             Rule = "model-name"              // models are named with their tag
	ModelsExceedVolume    Rule = "models-exceed-volume"    // and fit their volume
	OllamaOff             Rule = "ollama-off"              // what talks to Ollama needs it
	GitLabOff             Rule = "gitlab-off"              // runners need GitLab
	GitLabVersion         Rule = "gitlab-version"          // GitLab's versions can be compared
	GitLabDowngrade       Rule = "gitlab-downgrade"        // GitLab never goes back
	GitLabStop            Rule = "gitlab-required-stop"    // and skips no required stop
	JupyterUser           Rule = "jupyter-user"            // users are named in lower case
	SharedMemory          Rule = "shared-memory"           // /dev/shm counts into a user's memory
	ReceiverKind          Rule = "receiver-kind"           // alerts go to a known kind of receiver
	ReceiverIncomplete    Rule = "receiver-incomplete"     // that is set up as a whole
	BackupWithoutTarget   Rule = "backup-without-target"   // backups go somewhere
	S3Incomplete          Rule = "s3-incomplete"           // to a target that is set up as a whole
	Bucket                Rule = "bucket"                  // with a possible bucket
	BackupRetention       Rule = "backup-retention"        // and stay for a day at least
)

// Rules about versions and charts.
const (
	UnknownChart           Rule = "unknown-chart"            // versions and values are for charts of the catalogue
	UnknownImage           Rule = "unknown-image"            // versions are for images of the catalogue
	K3sVersion             Rule = "k3s-version"              // K3s has a release's version
	K3sUnsupported         Rule = "k3s-unsupported"          // of a minor that the lab supports
	K3sChecksumMissing     Rule = "k3s-checksum-missing"     // its binary's checksum comes with it
	Architecture           Rule = "architecture"             // for amd64 or arm64
	Checksum               Rule = "checksum"                 // checksums are sha256 in hexadecimal
	ChartVersion           Rule = "chart-version"            // charts have exact versions
	ChartName              Rule = "chart-name"               // and names a repository can hold
	ChartRepository        Rule = "chart-repository"         // from an OCI registry or an https repository
	ImageTag               Rule = "image-tag"                // images have a tag that does not float
	ImageDigest            Rule = "image-digest"             // digests are sha256
	ImageRepository        Rule = "image-repository"         // images name their registry
	PackageVersion         Rule = "package-version"          // packages have a version of their manager's
	ChartMirror            Rule = "chart-mirror"             // a mirror is an OCI prefix or a Helm repository
	ChartMirrorUnreachable Rule = "chart-mirror-unreachable" // that Argo CD reaches from inside the cluster
)
