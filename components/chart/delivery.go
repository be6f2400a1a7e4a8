package chart

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
)

const (
	argoNamespace     = "argocd"
	argoProject       = "lab"
	inClusterServer   = "https://kubernetes.default.svc"
	defaultSyncTime   = 15 * time.Minute
	ociScheme         = "oci://"
	defaultTimeout    = 10 * time.Minute
	revisionsToRetain = 5
)

// Delivery is how charts reach the cluster; one serves a whole stack.
type Delivery struct {
	// Catalogue holds repository, name and version of every chart.
	Catalogue map[string]config.Chart
	// Values are the stack's free-form values per chart, merged deep and last.
	Values map[string]map[string]any
	// Mirror serves every chart instead of its own repository: an OCI prefix or a Helm repository. Default: none.
	Mirror string
	// GitOps delivers workloads as Applications; nil delivers everything as Helm releases.
	GitOps *GitOps
	// Kubeconfig of the cluster (YAML). With it an Application that does not become healthy is reported with what
	// Argo CD says about it. Default: none.
	Kubeconfig pulumi.StringInput
	// ChecksumKey keys the checksums of secrets; see NewChecksumKey. REQUIRED by Delivery.Checksum alone.
	ChecksumKey pulumi.StringInput
}

// GitOps is Argo CD as Applications see it.
type GitOps struct {
	// Namespace that Argo CD runs in and Applications are made in.
	Namespace string
	// Project is the AppProject of the lab's own Applications.
	Project string
	// SyncTimeout is how long an Application may take to become synced and healthy.
	SyncTimeout time.Duration
	// Server is the API server that workloads are deployed to, as Argo CD names it.
	Server string
}

// From returns the delivery that a configuration describes, without Kubeconfig and ChecksumKey.
func From(cfg *config.Config) *Delivery {
	d := &Delivery{Catalogue: cfg.Versions.Charts, Values: cfg.Values, Mirror: cfg.ChartMirror}
	if cfg.GitOps.Enabled == nil || *cfg.GitOps.Enabled {
		d.GitOps = &GitOps{
			Namespace: argoNamespace, Project: argoProject, Server: inClusterServer, SyncTimeout: defaultSyncTime,
		}
		if timeout, err := time.ParseDuration(cfg.GitOps.SyncTimeout); err == nil {
			d.GitOps.SyncTimeout = timeout
		}
	}
	return d
}

// Repositories are what Applications may be sourced from, in the form that an AppProject's sourceRepos compares.
func (d *Delivery) Repositories() []string {
	seen := map[string]bool{}
	for key := range d.Catalogue {
		if s, err := d.source(key); err == nil {
			seen[s.argoRepository()] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// source is where a chart comes from.
type source struct {
	repository, name, version string
}

// source finds a chart of the catalogue.
func (d *Delivery) source(key string) (source, error) {
	entry, ok := d.Catalogue[key]
	if !ok {
		return source{}, fmt.Errorf("chart %q is not in the catalogue; it has %s", key,
			strings.Join(slices.Sorted(maps.Keys(d.Catalogue)), ", "))
	}
	s := source{repository: entry.Repository, name: entry.Name, version: entry.Version}
	if d.Mirror != "" {
		s.repository = d.Mirror
	}
	s.repository = strings.TrimSuffix(s.repository, "/")
	if s.repository == "" || s.name == "" || s.version == "" {
		return source{}, fmt.Errorf("chart %q of the catalogue lacks its repository, name or version", key)
	}
	return s, nil
}

func (s source) oci() bool { return strings.HasPrefix(s.repository, ociScheme) }

// argoRepository is the repository in Argo CD's notation: OCI registries of Helm charts have no scheme there.
func (s source) argoRepository() string { return strings.TrimPrefix(s.repository, ociScheme) }
