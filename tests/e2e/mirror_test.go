package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/homelab-ai/homelab-ai/config"
)

// mirror serves charts as a Helm repository and the k3s stand-in as K3s's release downloads, both over HTTP on the
// LAN's gateway.
type mirror struct {
	address string
	charts  map[string]servedChart // by chart name
	// files are what is served, by path; releases among them by version.
	files map[string][]byte

	mutex sync.Mutex
	slow  chan struct{} // while not nil, downloads of the binary stop half-way until it is closed
	begun chan struct{} // gets a value when a slow download has sent its first half
}

// servedChart is one packaged chart.
type servedChart struct {
	name, version string
	// withoutSchema tells that the values schema was left out, because it refers to pages of the web.
	withoutSchema bool
}

const (
	chartsPath   = "/charts/"
	binariesPath = "/k3s/"
	mirrorPort   = 8879
)

// newMirror reads the charts and listens.
func newMirror(t *testing.T, gateway netip.Addr, binaries map[string]string) *mirror {
	t.Helper()
	m := &mirror{address: net.JoinHostPort(gateway.String(), fmt.Sprint(mirrorPort)), charts: map[string]servedChart{}, files: map[string][]byte{}, begun: make(chan struct{}, 1)}
	packages, err := filepath.Glob(filepath.Join(os.Getenv("E2E_CHARTS"), "*.tgz"))
	require.NoError(t, err)
	index := map[string][]map[string]any{}
	sort.Strings(packages)
	for _, file := range packages {
		require.NoError(t, m.addChart(file, index), file)
	}
	raw, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "generated": time.Now().UTC().Format(time.RFC3339), "entries": index})
	require.NoError(t, err)
	m.files[chartsPath+"index.yaml"] = raw
	for version, file := range binaries {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range []string{"k3s", "k3s-arm64"} {
			m.files[binariesPath+version+"/"+name] = content
		}
	}
	listener, err := net.Listen("tcp", m.address)
	require.NoError(t, err)
	server := &http.Server{Handler: m, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return m
}

func (m *mirror) chartsURL() string {
	return "http://" + m.address + strings.TrimSuffix(chartsPath, "/")
}

func (m *mirror) binariesURL() string {
	return "http://" + m.address + strings.TrimSuffix(binariesPath, "/")
}

// sum is the checksum of a release of the k3s stand-in.
func (m *mirror) sum(version string) string {
	sum := sha256.Sum256(m.files[binariesPath+version+"/k3s"])
	return hex.EncodeToString(sum[:])
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, found := m.files[path.Clean(r.URL.Path)]
	if !found {
		http.NotFound(w, r)
		return
	}
	m.mutex.Lock()
	slow := m.slow
	m.mutex.Unlock()
	if slow != nil && strings.HasPrefix(r.URL.Path, binariesPath) && r.Header.Get("Range") == "" {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:len(content)/2])
		w.(http.Flusher).Flush()
		select {
		case m.begun <- struct{}{}:
		default:
		}
		select {
		case <-slow:
		case <-r.Context().Done():
			return
		}
		_, _ = w.Write(content[len(content)/2:])
		return
	}
	http.ServeContent(w, r, path.Base(r.URL.Path), time.Time{}, bytes.NewReader(content))
}

// stall makes downloads of the binary stop half-way until resume is called.
func (m *mirror) stall() (resume func()) {
	slow := make(chan struct{})
	m.mutex.Lock()
	m.slow = slow
	m.mutex.Unlock()
	return func() {
		m.mutex.Lock()
		m.slow = nil
		m.mutex.Unlock()
		close(slow)
	}
}

func (m *mirror) addChart(file string, index map[string][]map[string]any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	metadata, content, withoutSchema, err := repack(raw)
	if err != nil {
		return err
	}
	name, version := fmt.Sprint(metadata["name"]), fmt.Sprint(metadata["version"])
	sum := sha256.Sum256(content)
	metadata["digest"] = hex.EncodeToString(sum[:])
	metadata["urls"] = []string{filepath.Base(file)}
	metadata["created"] = "2020-01-01T00:00:00Z"
	index[name] = append(index[name], metadata)
	m.files[chartsPath+filepath.Base(file)] = content
	m.charts[name] = servedChart{name: name, version: version, withoutSchema: withoutSchema}
	return nil
}

// repack reads a chart's metadata and leaves out its values schema where that refers to the web, which is not there:
// what a user without internet access has to do as well.
func repack(chart []byte) (metadata map[string]any, content []byte, withoutSchema bool, err error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(chart))
	if err != nil {
		return nil, nil, false, err
	}
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipped)
	for reader := tar.NewReader(unzipped); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, false, err
		}
		raw, err := io.ReadAll(reader)
		if err != nil {
			return nil, nil, false, err
		}
		if strings.Count(header.Name, "/") == 1 && path.Base(header.Name) == "Chart.yaml" {
			if err := yaml.Unmarshal(raw, &metadata); err != nil {
				return nil, nil, false, err
			}
		}
		if path.Base(header.Name) == "values.schema.json" && bytes.Contains(raw, []byte(`"$ref": "http`)) {
			withoutSchema = true
			continue
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, nil, false, err
		}
		if _, err := archive.Write(raw); err != nil {
			return nil, nil, false, err
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return nil, nil, false, err
	}
	if metadata == nil {
		return nil, nil, false, errors.New("no Chart.yaml")
	}
	if !withoutSchema {
		return metadata, chart, false, nil
	}
	return metadata, buffer.Bytes(), true, nil
}

// overrides are the entries of the catalogue's charts whose version is not the one that is served.
func (m *mirror) overrides() map[string]string {
	result := map[string]string{}
	for key, chart := range config.DefaultCatalogue().Charts {
		if served, here := m.charts[chart.Name]; here && served.version != chart.Version {
			result[key] = served.version
		}
	}
	return result
}
