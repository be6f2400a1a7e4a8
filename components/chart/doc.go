// Package chart is the one way to declare a Helm chart.
//
// A chart is an entry of the catalogue with typed values. Core charts are Helm releases; workload charts are Argo CD
// Applications, or Helm releases too where the stack has no GitOps. Values carry no secrets: charts are given the
// names of Secrets, and pods roll on a keyed checksum of what is in them.
package chart
