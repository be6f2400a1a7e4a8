package gitlab

import "k8s.io/apimachinery/pkg/api/resource"

// sum adds Kubernetes quantities; those of the config are validated before.
func sum(quantities ...string) string {
	total := resource.Quantity{}
	for _, text := range quantities {
		if quantity, err := resource.ParseQuantity(text); err == nil {
			total.Add(quantity)
		}
	}
	return total.String()
}
