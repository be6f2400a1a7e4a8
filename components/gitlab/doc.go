// Package gitlab is the lab's forge: GitLab CE as one Omnibus pod with its container registry, runners for CI jobs, and
// the groups, projects and OAuth applications that every lab starts with.
//
// GitLab is also the lab's OpenID provider. The ids and secrets of its clients are generated before anything is
// deployed (NewClients) and registered once GitLab runs, so that Argo CD, which deploys GitLab, can know them first.
//
// # Namespaces
//
//	gitlab         GitLab itself (baseline: Omnibus runs as root)
//	gitlab-runner  the runner managers (restricted)
//	gitlab-build   jobs of the class build: no privileges, rootless BuildKit
//	gitlab-ci      jobs of the class docker: privileged, for Docker-in-Docker
//
// # Commands
//
// What happens inside GitLab is done by Ruby programs in the GitLab pod, which a command on the first server starts:
// account.rb inside GitLab itself, for what its REST API does not offer, then seed.rb or runners.rb against the REST API
// with a token that is taken back at the end. Each can be repeated and leaves alone what is as it should be.
package gitlab
