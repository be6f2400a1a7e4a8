package main

import (
	"cmp"
	"fmt"
	"slices"

	"helm.sh/helm/v3/pkg/release"
)

// action is how a release is repaired.
type action string

const (
	remove   action = "remove"
	rollback action = "roll back"
)

// step is the repair of one release.
type step struct {
	namespace, name string
	// revision that is pending, and its status.
	revision int
	status   release.Status
	action   action
	// to is the revision to go back to.
	to int
}

// String says what the step does.
func (s step) String() string {
	text := fmt.Sprintf("%s/%s is %s (revision %d): %s", s.namespace, s.name, s.status, s.revision, s.action)
	if s.action == rollback {
		text += fmt.Sprintf(" to revision %d", s.to)
	}
	return text
}

// plan finds the releases whose newest revision is pending. It is given all revisions of all releases.
func plan(revisions []*release.Release) []step {
	type key struct{ namespace, name string }
	histories := map[key][]*release.Release{}
	for _, r := range revisions {
		if r.Info != nil {
			k := key{r.Namespace, r.Name}
			histories[k] = append(histories[k], r)
		}
	}
	var steps []step
	for k, history := range histories {
		slices.SortFunc(history, func(a, b *release.Release) int { return cmp.Compare(b.Version, a.Version) })
		newest := history[0]
		s := step{namespace: k.namespace, name: k.name, revision: newest.Version, status: newest.Info.Status, action: remove}
		switch newest.Info.Status {
		case release.StatusPendingInstall, release.StatusUninstalling:
		case release.StatusPendingUpgrade, release.StatusPendingRollback:
			// What has never been deployed is removed: there is nothing to go back to.
			if to := lastGood(history[1:]); to > 0 {
				s.action, s.to = rollback, to
			}
		default:
			continue
		}
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	return steps
}

// lastGood is the newest revision that was deployed, of a history with the newest first; 0 is none.
func lastGood(history []*release.Release) int {
	for _, status := range []release.Status{release.StatusDeployed, release.StatusSuperseded} {
		for _, r := range history {
			if r.Info.Status == status {
				return r.Version
			}
		}
	}
	return 0
}
