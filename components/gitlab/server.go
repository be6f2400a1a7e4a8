package gitlab

import (
	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// Namespace of GitLab. Its Service has the same name; SSH has one of its own.
	Namespace = "gitlab"
	// Pod is GitLab's only pod.
	Pod = "gitlab-0"
	// Container is the one in it.
	Container = "gitlab"
	// Secret holds GitLab's configuration and the first password of root.
	Secret = "gitlab"
	// Claim holds configuration, data and logs, each in a directory of its own.
	Claim = "data"

	sshService = "ssh"
)

// pods are the labels of GitLab's pod.
var pods = map[string]string{"app.kubernetes.io/name": "gitlab"}

// serverValues are the values of the chart app-template, which makes one StatefulSet of the Omnibus image. configSum
// changes with the configuration and rolls the pod.
func serverValues(cfg *config.Config, configSum string) chart.Values {
	values := chart.Values{
		"global": chart.Values{"fullnameOverride": Namespace, "nameOverride": Namespace},
		"controllers": chart.Values{Container: chart.Values{
			"type":     "statefulset",
			"replicas": 1,
			"pod": chart.Values{
				"annotations":                   chart.Values{"checksum/config": configSum},
				"automountServiceAccountToken":  false,
				"enableServiceLinks":            false,
				"securityContext":               chart.Values{"seccompProfile": chart.Values{"type": "RuntimeDefault"}},
				"terminationGracePeriodSeconds": 300, // PostgreSQL, Gitaly and Sidekiq finish what they do
			},
			"containers": chart.Values{Container: chart.Values{
				"image": imageValues(cfg.Versions.Images["gitlab"]),
				// Read by the image before /etc/gitlab/gitlab.rb.
				"env":       chart.Values{"GITLAB_OMNIBUS_CONFIG": "from_file('" + mountPath + "/" + omnibusKey + "')"},
				"resources": chart.ResourcesOf(cfg.Services.GitLab.Resources),
				"probes":    probes(cfg.Services.GitLab.Host),
			}},
		}},
		"service": chart.Values{
			Namespace: chart.Values{
				"controller": Container, "primary": true,
				"ports": chart.Values{
					"http":     chart.Values{"port": httpPort, "primary": true, "protocol": "HTTP"},
					"registry": chart.Values{"port": registryPort, "protocol": "HTTP"},
					"puma":     chart.Values{"port": pumaMetricsPort, "protocol": "HTTP"},
					"sidekiq":  chart.Values{"port": sidekiqMetricsPort, "protocol": "HTTP"},
				},
			},
			sshService: sshValues(cfg),
		},
		"persistence": chart.Values{
			"data": chart.Values{
				"type": "persistentVolumeClaim", "existingClaim": Claim,
				"globalMounts": []any{
					chart.Values{"path": "/etc/gitlab", "subPath": "config"},
					chart.Values{"path": "/var/opt/gitlab", "subPath": "data"},
					chart.Values{"path": "/var/log/gitlab", "subPath": "logs"},
				},
			},
			"config": chart.Values{
				"type": "secret", "name": Secret, "defaultMode": 0o400,
				"globalMounts": []any{chart.Values{"path": mountPath, "readOnly": true}},
			},
			// PostgreSQL's shared memory; the runtime's default of 64 MiB is too little.
			"shm": chart.Values{
				"type": "emptyDir", "medium": "Memory", "sizeLimit": "256Mi",
				"globalMounts": []any{chart.Values{"path": "/dev/shm"}},
			},
		},
	}
	if cfg.Services.Monitoring.On() {
		values["serviceMonitor"] = chart.Values{Namespace: chart.Values{
			"service": chart.Values{"identifier": Namespace},
			"endpoints": []any{
				chart.Values{"port": "puma", "path": "/metrics", "interval": "1m"},
				chart.Values{"port": "sidekiq", "path": "/metrics", "interval": "1m"},
			},
		}}
	}
	return values
}

// sshValues put GitLab's SSH on the ingress's address, which two Services share if both allow it and neither has the
// traffic policy Local, or on an address of its own.
func sshValues(cfg *config.Config) chart.Values {
	annotations := chart.Values{network.AddressAnnotation: cfg.Network.GitLabSSHAddress}
	if cfg.Network.GitLabSSHAddress == cfg.Network.IngressAddress {
		annotations[network.SharedAddressAnnotation] = network.SharedAddressKey
	}
	ranges := make([]any, 0, len(cfg.Network.AllowedSources))
	for _, cidr := range cfg.Network.AllowedSources {
		ranges = append(ranges, cidr)
	}
	return chart.Values{
		"controller":               Container,
		"type":                     "LoadBalancer",
		"externalTrafficPolicy":    "Cluster",
		"annotations":              annotations,
		"loadBalancerSourceRanges": ranges,
		"ports":                    chart.Values{"ssh": chart.Values{"port": sshPort, "protocol": "TCP"}},
	}
}

// probes allow half an hour for a start: the first one, and one after an upgrade, migrate the database.
func probes(host string) chart.Values {
	probe := func(path string, period, failures int) chart.Values {
		return chart.Values{
			"enabled": true, "custom": true,
			"spec": chart.Values{
				"httpGet": chart.Values{
					"path": path, "port": httpPort,
					"httpHeaders": []any{chart.Values{"name": "Host", "value": host}},
				},
				"periodSeconds": period, "timeoutSeconds": 10, "failureThreshold": failures,
			},
		}
	}
	return chart.Values{
		"startup":   probe("/-/readiness", 10, 180),
		"readiness": probe("/-/readiness", 15, 4),
		"liveness":  probe("/-/liveness", 30, 10),
	}
}

// imageValues are an image in the notation of app-template.
func imageValues(image config.Image) chart.Values {
	tag := image.Tag
	if image.Digest != "" {
		tag += "@" + image.Digest
	}
	return chart.Values{"repository": image.Repository, "tag": tag}
}
