// Package network is the lab's way in: MetalLB hands out addresses of the LAN, F5 NGINX Ingress Controller carries
// HTTP and HTTPS on one of them, and CoreDNS resolves the lab's own names to it.
//
// The ingress controller is an implementation detail of this package. Services describe what they need with
// NewIngress and never write an annotation of the controller, so that a change of controller is a change of this
// package alone.
package network

const (
	// IngressNamespace is the namespace of the ingress controller.
	IngressNamespace = "nginx-ingress"
	// IngressClass is the IngressClass that the controller serves.
	IngressClass = "nginx"
	// CertificateSecret is the TLS secret in IngressNamespace that every Ingress is served with.
	CertificateSecret = "lab-wildcard"
	// LoadBalancerNamespace is the namespace of MetalLB.
	LoadBalancerNamespace = "metallb-system"
	// AddressPool is the name of MetalLB's only address pool.
	AddressPool = "lab"
	// SharedAddressKey is what two Services must both carry in the annotation metallb.io/allow-shared-ip to get the
	// same address.
	SharedAddressKey = "lab"
)

// Annotations of MetalLB on a Service of type LoadBalancer
// (https://metallb.io/usage/#requesting-specific-ips).
const (
	// AddressAnnotation asks for one address of the pool.
	AddressAnnotation = "metallb.io/loadBalancerIPs"
	// SharedAddressAnnotation allows an address to be shared.
	SharedAddressAnnotation = "metallb.io/allow-shared-ip"
)

// Ports of the ingress controller's pods (values controller.containerPort and prometheus.port of the chart).
const (
	httpPort  = 80
	httpsPort = 443
)
