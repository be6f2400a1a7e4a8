// Package pulumi pins the Pulumi CLI for machines that have none.
package pulumi
