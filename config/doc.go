// Package config is everything a stack says about its lab: typed, defaulted and checked as a whole before any
// resource is registered.
//
// Load reads the running Pulumi program's config, ParseStackFile a committed stack file, Parse keys that are at
// hand already. All three do the same: decode strictly, fill every default (defaults.go is the only place of
// defaults), and check every rule (rules.go names them). Either a complete *Config comes back, or Problems: all
// of them at once, each with its key path, the offending value and the way to fix it. Values of secrets never
// appear in a problem.
package config
