package chart

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// pendingErrors are how Helm refuses to work on a release whose last operation never ended: an upgrade in the first
// case, an installation in the second.
var pendingErrors = []string{
	"another operation (install/upgrade/rollback) is in progress",
	"cannot re-use a name that is still in use",
}

// explainPending names the release and the way out when an operation fails because an earlier one was interrupted.
// Neither Helm nor the provider does, and neither repairs it.
func (d *deployment) explainPending(ctx *pulumi.Context, name string) (*pulumi.ErrorHook, error) {
	place, stack := d.place(), ctx.Stack()
	return ctx.RegisterErrorHook(name+"-explain-pending", func(args *pulumi.ErrorHookArgs) (bool, error) {
		message := pendingMessage(place, stack, args.Errors)
		if message == "" {
			return false, nil
		}
		return false, ctx.Log.Error(message, nil)
	})
}

// pendingMessage is empty when the newest error has another cause.
func pendingMessage(place, stack string, failures []string) string {
	if len(failures) == 0 {
		return ""
	}
	for _, known := range pendingErrors {
		if strings.Contains(failures[0], known) {
			return fmt.Sprintf("Helm release %s is still held by an operation that was interrupted (Helm: %s). "+
				"Run `make recover STACK=%s`, then `pulumi up` again.", place, known, stack)
		}
	}
	return ""
}
