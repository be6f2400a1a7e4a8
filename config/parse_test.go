package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// minimal returns the keys of the accepted fixture with the fewest keys.
func minimal(t testing.TB) map[string]any {
	t.Helper()
	return fixtureKeys(t, "single-node")
}

// with parses the smallest config with further keys laid over it, given as YAML without the namespace.
func with(t *testing.T, overlay string) (*Config, Problems) {
	t.Helper()
	keys := minimal(t)
	var further map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(overlay), &further))
	text, err := yaml.Marshal(map[string]any{"config": prefixed(further)})
	require.NoError(t, err)
	parsed, err := stackFileKeys(text)
	require.NoError(t, err)
	for key, value := range parsed {
		keys[key] = lay(keys[key], value)
	}
	cfg, err := Parse(Input{Stack: "homelab", Keys: keys})
	if err == nil {
		return cfg, nil
	}
	problems, ok := err.(Problems) //nolint:errorlint // Parse documents this very type
	require.True(t, ok, "%v", err)
	return nil, problems
}

func prefixed(keys map[string]any) map[string]any {
	named := map[string]any{}
	for key, value := range keys {
		named[prefix+key] = value
	}
	return named
}

// lay merges mappings; anything else replaces what was there.
func lay(under, over any) any {
	a, isMap := under.(map[string]any)
	b, both := over.(map[string]any)
	if !isMap || !both {
		return over
	}
	for key, value := range b {
		a[key] = lay(a[key], value)
	}
	return a
}

// rulesAt renders problems as rule@path.
func rulesAt(problems Problems) []string {
	var all []string
	for _, problem := range problems {
		all = append(all, fmt.Sprintf("%s@%s", problem.Rule, problem.Path))
	}
	return all
}

// What a fixture per rule leaves open: the same rule at other keys, and cases on the edge.
func TestProblems(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINk5UhrEa1TF6bHVvxbd0KVM5LyzAAFkIHocHNLrZBaC"
	for name, test := range map[string]struct {
		keys string
		want []string
	}{
		"nothing": {"{}", nil},
		"empty node": {"cluster: {nodes: [{}]}", []string{
			"required@cluster.nodes[0].name", "required@cluster.nodes[0].role", "required@cluster.nodes[0].host",
			"host-key-missing@cluster.nodes[0].hostKey",
		}},
		"no nodes":         {"cluster: {nodes: []}", []string{"no-server@cluster.nodes"}},
		"nodes of nothing": {"cluster: {nodes: null}", []string{"no-server@cluster.nodes"}},
		"nodes of a text":  {"cluster: {nodes: lab-0}", []string{"wrong-type@cluster.nodes"}},
		"four servers": {
			"cluster: {endpoint: 192.168.1.9, ssh: {insecureIgnoreHostKeys: true}, nodes: [{name: a, role: server, host: 192.168.1.2}, " +
				"{name: b, role: server, host: 192.168.1.3}, {name: c, role: server, host: 192.168.1.4}, {name: d, role: server, host: 192.168.1.5}]}",
			[]string{"server-count@cluster.nodes"},
		},
		"host keys not verified": {"cluster: {ssh: {insecureIgnoreHostKeys: true}, nodes: [{name: a, role: server, host: 192.168.1.2}]}", nil},
		"jump host without key":  {"cluster: {ssh: {jumpHost: {host: gate.example.org}}}", []string{"host-key-missing@cluster.ssh.jumpHost.hostKey"}},
		"jump host without host": {"cluster: {ssh: {jumpHost: {port: 22}}}", []string{
			"host-key-missing@cluster.ssh.jumpHost.hostKey", "required@cluster.ssh.jumpHost.host",
		}},
		"jump host with the node's key": {
			"cluster: {ssh: {jumpHost: {host: gate.example.org, port: 0, hostKey: " + key + "}}}",
			[]string{"host-key-duplicate@cluster.ssh.jumpHost.hostKey"},
		},
		"IPv6 host":          {"cluster: {nodes: [{name: a, role: server, host: '2001:db8::1', hostKey: " + key + "}]}", []string{"node-host@cluster.nodes[0].host"}},
		"address not IPv4":   {"cluster: {nodes: [{name: a, role: server, host: a.lan, address: a.lan, hostKey: " + key + "}]}", []string{"address@cluster.nodes[0].host"}},
		"reserved node name": {"cluster: {nodes: [{name: localhost, role: server, host: 192.168.1.2, hostKey: " + key + "}]}", []string{"node-name@cluster.nodes[0].name"}},
		"labels a kubelet may set": {
			"cluster: {nodes: [{name: a, role: server, host: 192.168.1.2, hostKey: " + key + ", labels: {topology.kubernetes.io/zone: cellar, node.kubernetes.io/x: z, mine: yes-it-is}}]}", nil,
		},
		"private key as host key": {"cluster: {nodes: [{name: a, role: server, host: 192.168.1.2, hostKey: '-----BEGIN OPENSSH PRIVATE KEY-----'}]}", []string{"host-key@cluster.nodes[0].hostKey"}},
		"name for one server":     {"cluster: {endpoint: api.lab.home.arpa}", nil},
		"LAN not said":            {"network: {lanCIDR: ''}", []string{"required@network.lanCIDR"}},
		"LAN of IPv6":             {"network: {lanCIDR: 'fd00::/64'}", []string{"cidr@network.lanCIDR"}},
		"LAN over the pods":       {"network: {lanCIDR: 10.0.0.0/24, gateway: 10.0.0.1, loadBalancerRange: 10.0.0.200-10.0.0.210}", []string{"cidr-overlap@cluster.podCIDR", "node-outside-lan@cluster.nodes[0].host", "range-in-cluster-cidr@network.loadBalancerRange"}},
		"range is one address":    {"network: {loadBalancerRange: 192.168.1.200}", []string{"range@network.loadBalancerRange"}},
		"nobody may come in":      {"network: {allowedSources: []}", []string{"required@network.allowedSources"}},
		"everybody may come in":   {"network: {allowedSources: [0.0.0.0/0]}", nil},
		"domain with dots only":   {"domain: ..", []string{"domain@domain"}},
		"domain like an address":  {"domain: 192.168.1.1", []string{"domain@domain"}},
		"domain in Kubernetes":    {"domain: lab.cluster.local", []string{"domain-reserved@domain"}},
		"numbers out of bounds": {
			"{cluster: {generation: -1, minimum: {cores: -1}, nvidia: {replicas: 1}}, services: {ollama: {parallel: 65}, gitlab: {runners: {concurrent: -2}}}, security: {auditRetention: -1}}",
			[]string{
				"count@cluster.generation", "count@cluster.minimum.cores", "count@cluster.nvidia.replicas",
				"count@services.gitlab.runners.concurrent", "count@services.ollama.parallel", "count@security.auditRetention",
			},
		},
		"a number too large":     {"cluster: {generation: 99999999999999999999}", []string{"wrong-type@cluster.generation"}},
		"a number with a point":  {"cluster: {generation: 1.5}", []string{"wrong-type@cluster.generation"}},
		"cores without quotes":   {"services: {gitlab: {resources: {cpu: 1.5}}}", []string{"wrong-type@services.gitlab.resources.cpu"}},
		"a switch of text":       {"services: {gitlab: {enabled: 'yes'}}", []string{"wrong-type@services.gitlab.enabled"}},
		"sizes of nothing":       {"services: {gitlab: {size: '0'}, ollama: {size: -1Gi}}", []string{"quantity@services.gitlab.size", "quantity@services.ollama.size"}},
		"a time zone":            {"backup: {schedule: TZ=UTC}", []string{"cron@backup.schedule"}},
		"no time":                {"gitops: {syncTimeout: '0'}", []string{"duration@gitops.syncTimeout"}},
		"models loaded for ever": {"services: {ollama: {keepAlive: -1}}", nil},
		"route53 by half": {"{domain: lab.example.org, tls: {letsencrypt: {email: me, provider: route53, apiToken: {secure: v1:x}}}}", []string{
			"letsencrypt-email@tls.letsencrypt.email", "letsencrypt-credentials@tls.letsencrypt.accessKeyID",
		}},
		"rfc2136 by half": {"{domain: lab.example.org, tls: {letsencrypt: {email: me@example.org, provider: rfc2136, nameserver: ns, apiToken: {secure: v1:x}}}}", []string{
			"host-port@tls.letsencrypt.nameserver", "letsencrypt-credentials@tls.letsencrypt.tsigKeyName",
		}},
		"sign-in by half":          {"signIn: {provider: oidc}", []string{"oidc-incomplete@signIn.oidc"}},
		"an empty OpenID provider": {"signIn: {oidc: {}}", []string{"oidc-incomplete@signIn.oidc.issuerURL", "oidc-incomplete@signIn.oidc.clientID", "oidc-incomplete@signIn.oidc.clientSecret"}},
		"an empty group":           {"access: {admins: ['']}", []string{"required@access.admins[0]"}},
		"mail by half": {"services: {monitoring: {receiver: {kind: mail}}}", []string{
			"receiver-incomplete@services.monitoring.receiver.smarthost", "receiver-incomplete@services.monitoring.receiver.from",
			"receiver-incomplete@services.monitoring.receiver.to",
		}},
		"mail to nobody": {"services: {monitoring: {receiver: {kind: mail, smarthost: mail, from: lab, to: me}}}", []string{
			"host-port@services.monitoring.receiver.smarthost", "email@services.monitoring.receiver.from", "email@services.monitoring.receiver.to",
		}},
		"an empty receiver": {"services: {monitoring: {receiver: {}}}", []string{"required@services.monitoring.receiver.kind"}},
		"an empty S3": {"backup: {s3: {}}", []string{
			"s3-incomplete@backup.s3.endpoint", "s3-incomplete@backup.s3.bucket", "s3-incomplete@backup.s3.accessKeyID", "s3-incomplete@backup.s3.secretAccessKey",
		}},
		"API without Ollama":            {"services: {ollama: {enabled: false, api: {enabled: true}}}", []string{"ollama-off@services.ollama.api.enabled"}},
		"GPU of a service off":          {"services: {ollama: {enabled: false, gpu: 2}}", nil},
		"purge of no service":           {"purge: [gitlub, zzz]", []string{"unknown-service@purge[0]", "unknown-service@purge[1]"}},
		"a class of no service":         {"storage: {classes: {zzz: fast, gitlab: F}}", []string{"unknown-service@storage.classes.zzz", "storage-class@storage.classes.gitlab"}},
		"versions unknown":              {"versions: {charts: {zzzzzzzz: {version: 1.0.0}}}", []string{"unknown-chart@versions.charts.zzzzzzzz"}},
		"GitLab of no release":          {"versions: {images: {gitlab: {tag: 19-ce}}}", []string{"gitlab-version@versions.images.gitlab.tag"}},
		"GitLab too old":                {"services: {gitlab: {from: 16.3.0}}", []string{"gitlab-required-stop@services.gitlab.from"}},
		"a package's key":               {"versions: {host: {nvidia-container-toolkit: {keySHA256: ab}}}", []string{"checksum@versions.host.nvidia-container-toolkit.keySHA256"}},
		"a checksum alone":              {"versions: {k3s: {sha256: {amd64: " + strings.Repeat("0a", 32) + "}}}", nil},
		"a mirror at localhost":         {"chartMirror: https://localhost/charts", []string{"chart-mirror-unreachable@chartMirror"}},
		"a mirror of this very machine": {"chartMirror: 'oci://[::1]:5000/charts'", []string{"chart-mirror-unreachable@chartMirror"}},
		"a mirror in a directory":       {"chartMirror: file:///srv/charts", []string{"chart-mirror@chartMirror"}},
		"a mirror with a password":      {"chartMirror: https://me:hunter2hunter2@example.org/charts", []string{"chart-mirror@chartMirror"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := with(t, test.keys)
			assert.ElementsMatch(t, test.want, rulesAt(problems), "%v", problems)
			assert.NotContains(t, problems.Error(), "hunter2")
			assert.NotContains(t, problems.Error(), "PRIVATE KEY")
		})
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	_, problems := with(t, "{domain: Lab, cluster: {podCIDR: 10.0.0.1/16, podCidr: x}, services: {ollama: {parallel: many}}, chartMirror: x}")
	assert.Equal(t, []string{
		"chart-mirror@chartMirror", "cidr-host-bits@cluster.podCIDR", "unknown-key@cluster.podCidr", "domain@domain", "wrong-type@services.ollama.parallel",
	}, rulesAt(problems))
	message := problems.Error()
	assert.Contains(t, message, "5 problems")
	assert.Contains(t, message, `homelab-ai:domain = "Lab": must be a DNS name`)
	assert.Contains(t, message, "homelab-ai:cluster.podCidr: there is no such key; did you mean podCIDR? (unknown-key)")
}

func TestNearest(t *testing.T) {
	known := topLevelKeys()
	assert.Equal(t, "domain", nearest("domian", known))
	assert.Equal(t, "chartMirror", nearest("ChartMirrors", known))
	assert.Empty(t, nearest("xyzxyz", known))
}

func TestGitLabUpgradePath(t *testing.T) {
	for name, test := range map[string]struct {
		from, to minorVersion
		want     string
	}{
		"patch":              {minorVersion{18, 5}, minorVersion{18, 5}, "[]"},
		"to a stop":          {minorVersion{18, 2}, minorVersion{18, 5}, "[]"},
		"over a stop":        {minorVersion{18, 4}, minorVersion{18, 6}, "[18.5]"},
		"over two majors":    {minorVersion{17, 0}, minorVersion{19, 0}, "[17.3 17.5 17.8 17.11 18.2 18.5 18.8 18.11]"},
		"past the last stop": {minorVersion{18, 11}, minorVersion{19, 1}, "[]"},
		"not before 17.5":    {minorVersion{16, 11}, minorVersion{17, 3}, "[]"},
		"in a later major":   {minorVersion{20, 1}, minorVersion{20, 6}, "[20.2 20.5]"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, fmt.Sprint(stopsBetween(test.from, test.to)))
		})
	}
	_, problems := with(t, "{versions: {images: {gitlab: {tag: 19.3.1-ce.0}}}, services: {gitlab: {from: 18.7.2}}}")
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Fix, "18.7 -> 18.8 -> 18.11 -> 19.2 -> 19.3")
}

func TestSiblingWithoutNodesClaimsNothing(t *testing.T) {
	input := Input{Stack: "homelab", Keys: minimal(t), Siblings: map[string]map[string]any{
		"new":     {prefix + "protect": true},
		"broken":  {prefix + "cluster": "text", prefix + "network": []any{}},
		"homelab": minimal(t),
	}}
	_, err := Parse(input)
	assert.NoError(t, err)
	input.Siblings["twin"] = minimal(t)
	_, err = Parse(input)
	assert.ErrorContains(t, err, "Pulumi.twin.yaml")
}

// Chart values keep their types on the way through.
func TestFreeFormValues(t *testing.T) {
	cfg, problems := with(t, "values: {ollama: {text: a, switch: true, whole: 3, part: 1.5, nothing: null, list: [1, {deep: x}]}}")
	require.Empty(t, problems)
	assert.Equal(t, map[string]any{
		"text": "a", "switch": true, "whole": 3, "part": 1.5, "nothing": nil, "list": []any{1, map[string]any{"deep": "x"}},
	}, cfg.Values["ollama"])

	keys := minimal(t)
	keys[prefix+"values"] = map[string]any{"ollama": map[string]any{"size": json.Number("1e999")}}
	_, err := Parse(Input{Keys: keys})
	assert.ErrorContains(t, err, "values.ollama.size")
}
