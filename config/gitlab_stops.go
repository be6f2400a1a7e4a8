package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// minorVersion is a GitLab version without its patch.
type minorVersion struct{ major, minor int }

func (v minorVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v minorVersion) less(other minorVersion) bool {
	return v.major < other.major || (v.major == other.major && v.minor < other.minor)
}

// Required stops are versions that an upgrade of GitLab must not skip, because they end background migrations:
// https://docs.gitlab.com/update/upgrade_paths/. From 17.5 on they are x.2, x.5, x.8 and x.11. 17.1 is one for instances with
// a very large table of pipeline messages alone, which no lab has.
var (
	irregularStops = []minorVersion{{16, 11}, {17, 3}}
	regularStops   = []int{2, 5, 8, 11}
	firstRegular   = minorVersion{17, 5}
)

var gitlabVersion = regexp.MustCompile(`^([0-9]{1,3})\.([0-9]{1,3})(\.[0-9]{1,3})?(-ce\.[0-9]+)?$`)

func parseGitLab(text string) (minorVersion, bool) {
	match := gitlabVersion.FindStringSubmatch(text)
	if match == nil {
		return minorVersion{}, false
	}
	major, _ := strconv.Atoi(match[1])
	minor, _ := strconv.Atoi(match[2])
	return minorVersion{major, minor}, true
}

// stopsBetween returns the required stops that an upgrade passes, neither end included.
func stopsBetween(from, to minorVersion) []minorVersion {
	var stops []minorVersion
	pass := func(stop minorVersion) {
		if from.less(stop) && stop.less(to) {
			stops = append(stops, stop)
		}
	}
	for _, stop := range irregularStops {
		pass(stop)
	}
	for major := max(from.major, firstRegular.major); major <= to.major; major++ {
		for _, minor := range regularStops {
			if stop := (minorVersion{major, minor}); !stop.less(firstRegular) {
				pass(stop)
			}
		}
	}
	return stops
}

// validateGitLabUpgrade refuses an update of GitLab that goes back or skips a required stop.
func (c *checker) validateGitLabUpgrade() {
	const path = "services.gitlab.from"
	const tagPath = "versions.images.gitlab.tag"
	gitlab := &c.cfg.Services.GitLab
	tag := c.cfg.Versions.Images["gitlab"].Tag
	to, ok := parseGitLab(tag)
	if !ok {
		c.add(GitLabVersion, tagPath, tag, "must be a release of GitLab CE, such as %s", c.catalogue.Images["gitlab"].Tag)
		return
	}
	if gitlab.From == "" {
		return
	}
	from, ok := parseGitLab(gitlab.From)
	if !ok {
		c.add(GitLabVersion, path, gitlab.From, "must be the version of GitLab that runs now, such as 19.2.1")
		return
	}
	if to.less(from) {
		c.add(GitLabDowngrade, path, gitlab.From, "GitLab can't go back to %s; restore a backup, or set %s to a newer one", tag, tagPath)
		return
	}
	if from.less(irregularStops[0]) {
		c.add(GitLabStop, path, gitlab.From, "is older than %s, where the known upgrade path begins; upgrade to that first", irregularStops[0])
		return
	}
	if stops := stopsBetween(from, to); len(stops) > 0 {
		names := make([]string, 0, len(stops)+2)
		names = append(names, from.String())
		for _, stop := range stops {
			names = append(names, stop.String())
		}
		names = append(names, to.String())
		c.add(GitLabStop, path, gitlab.From, "an upgrade to %s skips required stops; go %s: set %s to the newest patch of %s, run pulumi up, "+
			"wait for the background migrations, then say that version here", tag, strings.Join(names, " -> "), tagPath, stops[0])
	}
}
