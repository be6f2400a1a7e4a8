// Package rehearsal runs a stack's whole life with Pulumi's real engine and CLI, without any hardware: the program
// is called inline through the Automation API in a temporary copy of the project, and the providers it needs are
// simulated in this process and attached to the engine over its plugin protocol.
//
// The simulated providers apply the rules of the real ones: what can be changed in place and what is replaced, which
// outputs are secret, and what an API server refuses (a missing namespace, a kind without its definition, a name that is
// taken). They prove the graph, its order and its secrets. They prove nothing about hosts, charts or pods; the
// end-to-end suite does.
package rehearsal
