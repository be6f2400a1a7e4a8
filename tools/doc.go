// Package tools pins the command-line tools that the Makefile builds into bin/. Its modules are apart from the
// program's, so that a tool never changes a version the program is built with: this one holds the linter and the
// test runner, pulumi/ holds the Pulumi CLI, which is built only where none is installed.
package tools
