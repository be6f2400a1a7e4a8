// Package tenant makes namespaces that are secure from their first moment.
//
// A tenant is a namespace with a Pod Security level, default deny in both directions with DNS allowed, a quota, a
// limit range and a default service account that mounts no token. New makes the namespace; Adopt gives one that
// exists already (default, kube-system) the same by patches. Whatever a tenant may talk to is a typed Flow.
package tenant
