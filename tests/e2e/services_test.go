package e2e

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// serviceProxy plays kube-proxy: it listens on the cluster address of each Service that has a live process behind it
// and passes connections on. A Service of simulated pods refuses connections at once, as nothing listens there.
type serviceProxy struct {
	api       *api
	alive     func(podIP string) bool
	mutex     sync.Mutex
	listeners map[string]*serviceListener
}

type serviceListener struct {
	listener net.Listener
	mutex    sync.Mutex
	backends []string
}

// update compares the listeners with the cluster's Services and their endpoints.
func (p *serviceProxy) update() error {
	services, err := p.api.list("/api/v1/services")
	if err != nil {
		return err
	}
	slices, err := p.api.list("/apis/discovery.k8s.io/v1/endpointslices")
	if err != nil {
		return err
	}
	wanted := map[string][]string{}
	for _, service := range services {
		address := service.text("spec", "clusterIP")
		if net.ParseIP(address) == nil {
			continue
		}
		for _, port := range service.items("spec", "ports") {
			if port.text("protocol") != "TCP" {
				continue
			}
			if backends := p.backends(slices, service, port.text("name")); len(backends) > 0 {
				wanted[net.JoinHostPort(address, number(port["port"]))] = backends
			}
		}
	}
	p.apply(wanted)
	return nil
}

func (p *serviceProxy) backends(slices []object, service object, portName string) []string {
	var result []string
	for _, slice := range slices {
		if slice.namespace() != service.namespace() || slice.text("metadata", "labels", "kubernetes.io/service-name") != service.name() {
			continue
		}
		for _, port := range slice.items("ports") {
			if port.text("name") != portName {
				continue
			}
			for _, endpoint := range slice.items("endpoints") {
				addresses, _ := endpoint["addresses"].([]any)
				ready, known := endpoint.at("conditions", "ready").(bool)
				for _, address := range addresses {
					ip := fmt.Sprint(address)
					isAPI := service.namespace() == "default" && service.name() == "kubernetes"
					if (ready || !known) && (isAPI || p.alive(ip)) {
						result = append(result, net.JoinHostPort(ip, number(port["port"])))
					}
				}
			}
		}
	}
	return result
}

func number(value any) string {
	n, _ := value.(float64)
	return strconv.Itoa(int(n))
}

func (p *serviceProxy) apply(wanted map[string][]string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for address, backends := range wanted {
		current, exists := p.listeners[address]
		if !exists {
			listener, err := net.Listen("tcp", address)
			if err != nil {
				continue // tried again at the next update
			}
			current = &serviceListener{listener: listener}
			p.listeners[address] = current
			go current.serve()
		}
		current.mutex.Lock()
		current.backends = backends
		current.mutex.Unlock()
	}
	for address, current := range p.listeners {
		if _, still := wanted[address]; !still {
			_ = current.listener.Close()
			delete(p.listeners, address)
		}
	}
}

func (p *serviceProxy) close() { p.apply(nil) }

func (l *serviceListener) serve() {
	for turn := 0; ; turn++ {
		connection, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.mutex.Lock()
		backend := l.backends[turn%len(l.backends)]
		l.mutex.Unlock()
		go forward(connection, backend)
	}
}

func forward(from net.Conn, backend string) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", backend, 5*time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	done := make(chan struct{}, 2)
	pass := func(into, out net.Conn) {
		_, _ = io.Copy(into, out)
		if half, ok := into.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		done <- struct{}{}
	}
	go pass(to, from)
	go pass(from, to)
	<-done
	<-done
}
