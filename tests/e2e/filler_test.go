package e2e

import (
	"errors"
	"fmt"
)

// filler writes what no part of the suite does by itself: volumes for claims, and the addresses of Ingresses. The report
// lists both as unproven.
type filler struct {
	api     *api
	address string // of the ingress
}

func (f *filler) update() error { return errors.Join(f.volumes(), f.ingresses()) }

// volumes provides a volume for each claim that the scheduler has placed, and removes the released ones.
func (f *filler) volumes() error {
	claims, err := f.api.list("/api/v1/persistentvolumeclaims")
	if err != nil {
		return err
	}
	classes := map[string]object{}
	list, err := f.api.list("/apis/storage.k8s.io/v1/storageclasses")
	if err != nil {
		return err
	}
	for _, class := range list {
		classes[class.name()] = class
	}
	for _, claim := range claims {
		node := claim.text("metadata", "annotations", "volume.kubernetes.io/selected-node")
		if claim.text("status", "phase") != "Pending" || claim.text("spec", "volumeName") != "" || node == "" {
			continue
		}
		class := classes[claim.text("spec", "storageClassName")]
		volume := map[string]any{
			"apiVersion": "v1", "kind": "PersistentVolume",
			"metadata": map[string]any{"name": "pvc-" + claim.text("metadata", "uid"), "annotations": map[string]string{"pv.kubernetes.io/provisioned-by": class.text("provisioner")}},
			"spec": map[string]any{
				"capacity":    map[string]any{"storage": claim.at("spec", "resources", "requests", "storage")},
				"accessModes": claim.at("spec", "accessModes"), "storageClassName": class.name(), "volumeMode": "Filesystem",
				"persistentVolumeReclaimPolicy": class.text("reclaimPolicy"),
				"hostPath":                      map[string]any{"path": "/simulated/" + claim.text("metadata", "uid")},
				"claimRef": map[string]any{
					"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(), "name": claim.name(),
					"uid": claim.text("metadata", "uid"), "resourceVersion": claim.text("metadata", "resourceVersion"),
				},
			},
		}
		if _, err := f.api.create("/api/v1/persistentvolumes", volume); err != nil {
			return fmt.Errorf("volume for %s/%s: %w", claim.namespace(), claim.name(), err)
		}
	}
	return nil
}

// ingresses gives each Ingress the address that the simulated controller would report.
func (f *filler) ingresses() error {
	list, err := f.api.list("/apis/networking.k8s.io/v1/ingresses")
	if err != nil {
		return err
	}
	for _, ingress := range list {
		if len(ingress.items("status", "loadBalancer", "ingress")) > 0 {
			continue
		}
		path := "/apis/networking.k8s.io/v1/namespaces/" + ingress.namespace() + "/ingresses/" + ingress.name() + "/status"
		err := f.api.merge(path, map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": []map[string]string{{"ip": f.address}}}}})
		if err != nil {
			return err
		}
	}
	return nil
}
