// Package graph holds the rules that the whole graph has to follow on every stack. The program runs against recording
// mocks of the Go SDK; each rule counts what it looked at, and is proven to notice a mutation of the graph.
package graph
