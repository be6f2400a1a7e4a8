// Package e2e deploys the whole platform onto throw-away machines: with the true Pulumi engine and plugins, over a
// real sshd, into a real Kubernetes control plane, with the charts as published and the controllers that they need
// run as processes. Only pods are simulated, by kwok. docs/e2e.md says what it needs and what it proves.
//
// Everything lives in namespaces of its own (network, mounts, processes) without a way out, so that nothing of the
// machine is written and nothing outlives the test.
package e2e
