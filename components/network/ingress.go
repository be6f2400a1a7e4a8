package network

import (
	"fmt"
	"strings"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// longTimeout is how long NGINX lets a connection be idle that streams or is upgraded to a websocket; the
// controller's default of 60 seconds cuts a model's answer short.
const longTimeout = "3600s"

// IngressArgs is what a service says about the way it is reached from outside.
type IngressArgs struct {
	// Namespace holds the Service. REQUIRED.
	Namespace pulumi.StringInput
	// Host is the name in the URL. One host has one Ingress: the controller rejects a second one. REQUIRED.
	Host string
	// Service is the exact name of the Service, and Port is its port. REQUIRED.
	Service string
	Port    int
	// Websockets lets clients upgrade connections.
	Websockets bool
	// Streaming passes answers on as they come, without buffering.
	Streaming bool
	// BodySize is the largest request body in NGINX notation. Default: the controller's (network.bodySize).
	BodySize string
	// BackendTLS speaks HTTPS to the pods.
	BackendTLS bool
}

// NewIngress publishes a Service under a host name with the lab's certificate. It returns an error for arguments
// that the controller would refuse with no more than an event. The resource is ready when the controller has
// accepted it and the Service has pods to serve it.
func NewIngress(
	ctx *pulumi.Context, name string, args *IngressArgs, opts ...pulumi.ResourceOption,
) (*networkingv1.Ingress, error) {
	if args == nil || args.Namespace == nil || args.Host == "" || args.Service == "" || args.Port < 1 {
		return nil, fmt.Errorf("ingress %s: namespace, host, service and port are required", name)
	}
	return networkingv1.NewIngress(ctx, name, &networkingv1.IngressArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name:        pulumi.String(objectName(args.Host)),
			Namespace:   args.Namespace,
			Annotations: pulumi.ToStringMap(ingressAnnotations(args)),
		},
		Spec: &networkingv1.IngressSpecArgs{
			IngressClassName: pulumi.String(IngressClass),
			// No secret name: the controller then serves its wildcard certificate.
			Tls: networkingv1.IngressTLSArray{&networkingv1.IngressTLSArgs{
				Hosts: pulumi.ToStringArray([]string{args.Host}),
			}},
			Rules: networkingv1.IngressRuleArray{&networkingv1.IngressRuleArgs{
				Host: pulumi.String(args.Host),
				Http: &networkingv1.HTTPIngressRuleValueArgs{
					Paths: networkingv1.HTTPIngressPathArray{&networkingv1.HTTPIngressPathArgs{
						Path:     pulumi.String("/"),
						PathType: pulumi.String("Prefix"),
						Backend: &networkingv1.IngressBackendArgs{
							Service: &networkingv1.IngressServiceBackendArgs{
								Name: pulumi.String(args.Service),
								Port: &networkingv1.ServiceBackendPortArgs{Number: pulumi.Int(args.Port)},
							},
						},
					}},
				},
			}},
		},
	}, opts...)
}

// ingressAnnotations translates the typed wishes into annotations of F5 NGINX Ingress Controller, whose booleans
// are strings and whose other prefixes (nginx.ingress.kubernetes.io) are ignored.
func ingressAnnotations(args *IngressArgs) map[string]string {
	annotations := map[string]string{"nginx.org/ssl-redirect": "true"}
	if args.Websockets {
		annotations["nginx.org/websocket-services"] = args.Service
	}
	if args.Streaming {
		annotations["nginx.org/proxy-buffering"] = "false"
	}
	if args.Websockets || args.Streaming {
		annotations["nginx.org/proxy-read-timeout"] = longTimeout
		annotations["nginx.org/proxy-send-timeout"] = longTimeout
	}
	if args.BodySize != "" {
		annotations["nginx.org/client-max-body-size"] = args.BodySize
	}
	if args.BackendTLS {
		annotations["nginx.org/ssl-services"] = args.Service
	}
	return annotations
}

// objectName is the host itself, which is a valid object name and makes a second Ingress for it in the same
// namespace a conflict that the API server reports.
func objectName(host string) string {
	return strings.ToLower(host)
}
