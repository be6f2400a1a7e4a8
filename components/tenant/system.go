package tenant

// SystemFlows are the flows of what K3s runs in kube-system: CoreDNS, metrics-server, the local-path provisioner and
// the jobs of its Helm controller. They belong to the Adopt of kube-system, which denies everything else.
func SystemFlows() []Flow {
	coreDNS := map[string]string{"k8s-app": "kube-dns"}
	metricsServer := map[string]string{"k8s-app": "metrics-server"}
	provisioner := map[string]string{"app": "local-path-provisioner"}
	dnsPorts := []Port{UDP(dnsPort), TCP(dnsPort)}
	const kubeletPort, metricsServerPort = 10250, 10250

	helmJobs := []Flow{ToAPIServer(), External(TCP(443))}
	flows := []Flow{
		FromEveryNamespace(dnsPorts...).For(coreDNS),
		// Pods that use the node's network resolve through CoreDNS as well.
		FromNodes(dnsPorts...).For(coreDNS),
		// Resolvers are wherever the nodes' resolv.conf says: the LAN's router or the internet.
		ExternalTo([]string{"0.0.0.0/0"}, dnsPorts...).For(coreDNS),
		ToAPIServer().For(coreDNS),
		FromAPIServer(TCP(metricsServerPort)).For(metricsServer),
		ToNodes(TCP(kubeletPort)).For(metricsServer),
		ToAPIServer().For(metricsServer),
		ToAPIServer().For(provisioner),
	}
	for _, flow := range helmJobs {
		flow.podsWith = "helmcharts.helm.cattle.io/chart"
		flows = append(flows, flow)
	}
	return flows
}
