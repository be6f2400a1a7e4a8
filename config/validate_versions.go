package config

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
)

// mergeVersions puts the stack's overrides on top of the embedded catalogue.
func (c *checker) mergeVersions() {
	override := c.cfg.Versions
	c.unknownEntries(UnknownChart, "versions.charts", "chart", slices.Sorted(maps.Keys(override.Charts)), c.chartNames())
	c.unknownEntries(UnknownImage, "versions.images", "image", slices.Sorted(maps.Keys(override.Images)),
		slices.Sorted(maps.Keys(c.catalogue.Images)))
	c.unknownEntries(UnknownChart, "values", "chart", slices.Sorted(maps.Keys(c.cfg.Values)), c.chartNames())
	c.cfg.Versions = c.catalogue.merge(override)
}

func (c *checker) chartNames() []string { return slices.Sorted(maps.Keys(c.catalogue.Charts)) }

func (c *checker) unknownEntries(rule Rule, path, kind string, names, known []string) {
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		fix := fmt.Sprintf("there is no such %s in the catalogue; there are %s", kind, strings.Join(known, ", "))
		if nearest := nearest(name, known); nearest != "" {
			fix = fmt.Sprintf("there is no such %s in the catalogue; did you mean %s?", kind, nearest)
		}
		c.add(rule, path+"."+name, name, "%s", fix)
	}
}

var (
	k3sVersion     = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+\+k3s[0-9]+$`)
	sha256Hex      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	chartName      = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)
	packageVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+:~-]{0,63}$`)
	imageTag       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	imageDigest    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	imageName      = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$`)
)

// floating are tags that mean something else tomorrow.
var floating = []string{"latest", "stable", "edge", "main", "master", "nightly", "dev", "beta", "rc"}

func (c *checker) validateVersions() {
	versions := &c.cfg.Versions
	c.validateK3s()
	for _, name := range slices.Sorted(maps.Keys(versions.Charts)) {
		c.validateChart("versions.charts."+name, versions.Charts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(versions.Images)) {
		c.validateImage("versions.images."+name, versions.Images[name])
	}
	const toolkit = "versions.host.nvidia-container-toolkit"
	if version := versions.Host.NVIDIAContainerToolkit.Version; !packageVersion.MatchString(version) {
		c.add(PackageVersion, toolkit+".version", version, "must be the package's version, such as 1.20.1-1")
	}
	if sum := versions.Host.NVIDIAContainerToolkit.KeySHA256; !sha256Hex.MatchString(sum) {
		c.add(Checksum, toolkit+".keySHA256", sum, "must be the sha256 of the repository's key file: 64 hexadecimal digits")
	}
	c.validateMirror()
}

func (c *checker) validateK3s() {
	const path = "versions.k3s"
	k3s := c.cfg.Versions.K3s
	for _, architecture := range slices.Sorted(maps.Keys(k3s.SHA256)) {
		at := path + ".sha256." + architecture
		c.oneOf(Architecture, at, architecture, "amd64", "arm64")
		if sum := k3s.SHA256[architecture]; !sha256Hex.MatchString(sum) {
			c.add(Checksum, at, sum, "must be the sha256 of the binary: 64 hexadecimal digits, as in the release's sha256sum-%s.txt", architecture)
		}
	}
	if !k3sVersion.MatchString(k3s.Version) {
		c.add(K3sVersion, path+".version", k3s.Version, "must be a release of K3s, such as %s", c.catalogue.K3s.Version)
		return
	}
	newest, _ := minorOf(c.catalogue.K3s.Version)
	wanted, _ := minorOf(k3s.Version)
	if semver.Major(k3s.Version) != semver.Major(c.catalogue.K3s.Version) || wanted > newest || wanted < newest-1 {
		c.add(K3sUnsupported, path+".version", k3s.Version, "is of a minor version that the lab does not support; take a release of v1.%d or v1.%d, such as %s",
			newest-1, newest, c.catalogue.K3s.Version)
		return
	}
	if len(k3s.SHA256) == 0 {
		c.add(K3sChecksumMissing, path+".sha256", "", "say the sha256 of the binary of %s for each architecture of your nodes, "+
			"from the release's sha256sum-amd64.txt or sha256sum-arm64.txt", k3s.Version)
	}
}

// minorOf returns the second number of a version such as v1.36.4+k3s1.
func minorOf(version string) (int, error) {
	_, minor, _ := strings.Cut(semver.MajorMinor(version), ".")
	return strconv.Atoi(minor)
}

// exactVersion tells whether a chart's version names one release: x.y.z with an optional v, no range.
func exactVersion(version string) bool {
	canonical := "v" + strings.TrimPrefix(version, "v")
	return semver.IsValid(canonical) && strings.Count(strings.FieldsFunc(canonical, func(r rune) bool { return r == '-' || r == '+' })[0], ".") == 2
}

func (c *checker) validateChart(path string, chart Chart) {
	if !exactVersion(chart.Version) {
		c.add(ChartVersion, path+".version", chart.Version, "must be one exact version, such as 1.2.3")
	}
	if !chartName.MatchString(chart.Name) {
		c.add(ChartName, path+".name", chart.Name, "must be a chart's name in lower case, such as ollama")
	}
	c.url(ChartRepository, path+".repository", chart.Repository, "oci", "https")
}

func (c *checker) validateImage(path string, image Image) {
	if !imageTag.MatchString(image.Tag) || slices.Contains(floating, strings.ToLower(image.Tag)) {
		c.add(ImageTag, path+".tag", image.Tag, "must be a tag that stays what it is, not one such as latest")
	}
	if image.Digest != "" && !imageDigest.MatchString(image.Digest) {
		c.add(ImageDigest, path+".digest", image.Digest, "must be sha256: and 64 hexadecimal digits")
	}
	registry, _, _ := strings.Cut(image.Repository, "/")
	if !imageName.MatchString(image.Repository) || !strings.ContainsAny(registry, ".:") {
		c.add(ImageRepository, path+".repository", image.Repository, "must name its registry and no tag, such as docker.io/library/busybox")
	}
}

func (c *checker) validateMirror() {
	const path = "chartMirror"
	if c.cfg.ChartMirror == "" {
		return
	}
	mirror := c.url(ChartMirror, path, c.cfg.ChartMirror, "oci", "https", "http")
	if mirror == nil || !c.cfg.GitOpsEnabled() {
		return
	}
	host := mirror.Hostname()
	address, err := netip.ParseAddr(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || (err == nil && (address.IsLoopback() || address.IsUnspecified())) {
		c.add(ChartMirrorUnreachable, path, c.cfg.ChartMirror, "Argo CD fetches charts from inside the cluster, where this address is "+
			"its own pod; name a host of the LAN, or set gitops.enabled: false")
	}
}
