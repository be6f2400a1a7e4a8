package gitlab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeGitLab answers the part of GitLab's REST API that the programs use, as its documentation says
// (https://docs.gitlab.com/api/rest/). It refuses what GitLab refuses: a token that is not there or was taken back, a
// second object of one path, a parent that does not exist. Anything else fails the test.
type fakeGitLab struct {
	t      *testing.T
	server *httptest.Server
	rails  string // the state of testdata/rails.rb, which knows the access tokens

	mu       sync.Mutex
	revoked  map[string]bool
	settings map[string]any
	groups   map[string]map[string]any
	projects map[string]map[string]any
	files    map[string]map[string]string
	commits  []string
	vars     map[string]map[string]any
	runners  map[int]map[string]any
	// deployTokens by the name of their project and their own.
	deployTokens map[string]map[string]any
	nextID       int
	// changes counts requests that changed something, beside tokens.
	changes int
	// broken answers that many requests with 502 first, as GitLab's proxy does during a start.
	broken int
}

func newFakeGitLab(t *testing.T, rails string) *fakeGitLab {
	f := &fakeGitLab{
		t: t, rails: rails, revoked: map[string]bool{}, groups: map[string]map[string]any{},
		projects: map[string]map[string]any{}, files: map[string]map[string]string{}, vars: map[string]map[string]any{},
		runners: map[int]map[string]any{}, deployTokens: map[string]map[string]any{}, nextID: 100,
		settings: map[string]any{
			"signup_enabled": true, "allow_runner_registration_token": true, "auto_devops_enabled": true,
			"usage_ping_enabled": true, "prometheus_metrics_enabled": true, "default_branch_name": nil, "home_page_url": "",
		},
	}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeGitLab) id() int { f.nextID++; return f.nextID }

// validToken tells whether GitLab itself made the token and nobody has taken it back.
func (f *fakeGitLab) validToken(token string) bool {
	var state struct {
		Tokens []struct {
			Digest  string `json:"digest"`
			Revoked bool   `json:"revoked"`
		} `json:"tokens"`
	}
	text, err := os.ReadFile(f.rails)
	if err != nil || json.Unmarshal(text, &state) != nil || f.revoked[token] {
		return false
	}
	sum := sha256.Sum256([]byte(token))
	return slices.ContainsFunc(state.Tokens, func(known struct {
		Digest  string `json:"digest"`
		Revoked bool   `json:"revoked"`
	},
	) bool {
		return known.Digest == hex.EncodeToString(sum[:]) && !known.Revoked
	})
}

func (f *fakeGitLab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken > 0 {
		f.broken--
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if r.Host != "gitlab.lab.test" {
		f.t.Errorf("%s %s: the proxy in the pod serves gitlab.lab.test, not %q", r.Method, r.URL, r.Host)
	}
	if strings.HasSuffix(r.URL.Path, ".git/info/refs") {
		f.git(w, r)
		return
	}
	body := map[string]any{}
	if text, _ := io.ReadAll(r.Body); len(text) > 0 {
		require.NoError(f.t, json.Unmarshal(text, &body))
	}
	path, found := strings.CutPrefix(r.URL.EscapedPath(), "/api/v4/")
	require.True(f.t, found, r.URL.Path)
	// Verifying a runner's token is what the runner itself does: no access token.
	if token := r.Header.Get("PRIVATE-TOKEN"); path != "runners/verify" && !f.validToken(token) {
		f.reply(w, http.StatusUnauthorized, map[string]any{"message": "401 Unauthorized"})
		return
	}
	status, answer := f.route(r.Method, strings.Split(path, "/"), r.URL.Query(), body, r.Header.Get("PRIVATE-TOKEN"))
	f.reply(w, status, answer)
}

func (f *fakeGitLab) reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if answer != nil {
		require.NoError(f.t, json.NewEncoder(w).Encode(answer))
	}
}

var (
	notFound = map[string]any{"message": "404 Not Found"}
	taken    = map[string]any{"message": "path has already been taken"}
)

func (f *fakeGitLab) route(method string, parts []string, query url.Values, body map[string]any, token string) (int, any) {
	for i, part := range parts {
		unescaped, err := url.PathUnescape(part)
		require.NoError(f.t, err)
		parts[i] = unescaped
	}
	if method != http.MethodGet && parts[0] != "personal_access_tokens" && strings.Join(parts, "/") != "runners/verify" {
		f.changes++
	}
	switch method + " " + parts[0] {
	case "GET version":
		return 200, map[string]any{"version": "19.5.3"}
	case "DELETE personal_access_tokens":
		f.revoked[token] = true
		return 204, nil
	case "GET application", "PUT application":
		for key, value := range body {
			if _, known := f.settings[key]; !known {
				return 400, map[string]any{"error": key + " is not allowed"}
			}
			f.settings[key] = value
		}
		return 200, f.settings
	case "GET groups", "POST groups":
		return f.group(method, parts, body)
	case "GET projects", "POST projects", "DELETE projects":
		return f.project(method, parts, query, body)
	case "GET admin", "POST admin", "PUT admin", "DELETE admin":
		return f.variable(method, parts, query, body)
	case "GET runners", "POST runners", "PUT runners", "DELETE runners", "POST user":
		return f.runner(method, parts, query, body)
	}
	f.t.Errorf("the fake does not know %s %s", method, strings.Join(parts, "/"))
	return 404, notFound
}

func (f *fakeGitLab) group(method string, parts []string, body map[string]any) (int, any) {
	switch {
	case method == http.MethodGet && len(parts) == 2:
		if group, ok := f.groups[parts[1]]; ok {
			return 200, group
		}
		return 404, notFound
	case len(parts) == 1:
		path := body["path"].(string)
		if f.groups[path] != nil {
			return 400, taken
		}
		body["id"], body["shared_with_groups"] = f.id(), []any{}
		f.groups[path] = body
		return 201, body
	case len(parts) == 3 && parts[2] == "share":
		for _, group := range f.groups {
			if fmt.Sprint(group["id"]) == parts[1] {
				group["shared_with_groups"] = append(group["shared_with_groups"].([]any), map[string]any{
					"group_id": body["group_id"], "group_access_level": body["group_access"],
				})
				return 201, group
			}
		}
	}
	return 404, notFound
}

func (f *fakeGitLab) project(method string, parts []string, query url.Values, body map[string]any) (int, any) {
	if len(parts) == 1 && method == http.MethodPost {
		for path, group := range f.groups {
			if fmt.Sprint(group["id"]) != fmt.Sprint(body["namespace_id"]) {
				continue
			}
			full := path + "/" + body["path"].(string)
			if f.projects[full] != nil {
				return 400, taken
			}
			body["id"], body["empty_repo"] = f.id(), true
			f.projects[full], f.files[full] = body, map[string]string{}
			return 201, body
		}
		return 400, map[string]any{"message": "namespace is not valid"}
	}
	full, project := f.findProject(parts[1])
	if project == nil {
		return 404, notFound
	}
	switch {
	case len(parts) == 2:
		return 200, project
	case parts[2] == "deploy_tokens":
		return f.deployToken(method, full, parts, query, body)
	case len(parts) == 5 && parts[3] == "files":
		content, ok := f.files[full][parts[4]]
		if !ok || query.Get("ref") != "main" {
			return 404, notFound
		}
		sum := sha256.Sum256([]byte(content))
		return 200, map[string]any{"file_path": parts[4], "content_sha256": hex.EncodeToString(sum[:])}
	case len(parts) == 4 && parts[3] == "commits":
		for _, entry := range body["actions"].([]any) {
			action := entry.(map[string]any)
			path := action["file_path"].(string)
			if _, there := f.files[full][path]; there != (action["action"] == "update") {
				return 400, map[string]any{"message": "A file with this name already exists or does not exist"}
			}
			f.files[full][path] = action["content"].(string)
		}
		project["empty_repo"] = false
		f.commits = append(f.commits, full+": "+body["commit_message"].(string))
		return 201, map[string]any{"id": "0123abcd"}
	}
	return 404, notFound
}

func (f *fakeGitLab) findProject(name string) (string, map[string]any) {
	for full, project := range f.projects {
		if full == name || fmt.Sprint(project["id"]) == name {
			return full, project
		}
	}
	return "", nil
}

func (f *fakeGitLab) deployToken(method, project string, parts []string, query url.Values, body map[string]any) (int, any) {
	switch method {
	case http.MethodPost:
		body["id"], body["token"], body["project"] = f.id(), "gldt-"+randomText(f.t), project
		f.deployTokens[project+" "+fmt.Sprint(body["id"])] = body
		return 201, body
	case http.MethodDelete:
		delete(f.deployTokens, project+" "+parts[3])
		return 204, nil
	}
	require.Equal(f.t, "true", query.Get("active"))
	shown := map[string]map[string]any{}
	for key, token := range f.deployTokens {
		shown[key] = map[string]any{"id": token["id"], "name": token["name"], "username": token["username"]}
	}
	return 200, page(shown, query)
}

// git answers the first request of a clone.
func (f *fakeGitLab) git(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	project := strings.TrimPrefix(strings.TrimSuffix(r.URL.Path, ".git/info/refs"), "/")
	for _, token := range f.deployTokens {
		if token["project"] == project && token["username"] == user && token["token"] == password {
			return
		}
	}
	w.WriteHeader(http.StatusUnauthorized)
}

// variable serves admin/ci/variables.
func (f *fakeGitLab) variable(method string, parts []string, query url.Values, body map[string]any) (int, any) {
	require.Equal(f.t, []string{"admin", "ci", "variables"}, parts[:3])
	if len(parts) == 3 && method == http.MethodGet {
		return 200, page(f.vars, query)
	}
	if len(parts) == 3 {
		key := body["key"].(string)
		if f.vars[key] != nil {
			return 400, taken
		}
		f.vars[key] = body
		return 201, body
	}
	variable := f.vars[parts[3]]
	switch {
	case variable == nil:
		return 404, notFound
	case method == http.MethodPut:
		variable["value"] = body["value"]
		return 200, variable
	}
	delete(f.vars, parts[3])
	return 204, nil
}

func (f *fakeGitLab) runner(method string, parts []string, query url.Values, body map[string]any) (int, any) {
	switch strings.Join(parts, "/") {
	case "runners/all":
		shown := map[int]map[string]any{}
		for id, runner := range f.runners {
			if runner["runner_type"] == query.Get("type") {
				shown[id] = map[string]any{"id": id, "description": runner["description"]} // no token
			}
		}
		return 200, page(shown, query)
	case "user/runners":
		id := f.id()
		body["id"], body["token"] = id, f.runnerToken()
		f.runners[id] = body
		return 201, map[string]any{"id": id, "token": body["token"]}
	case "runners/verify":
		for id, runner := range f.runners {
			if runner["token"] == body["token"] {
				return 200, map[string]any{"id": id, "token": body["token"]}
			}
		}
		return 403, map[string]any{"message": "403 Forbidden"}
	}
	id, err := strconv.Atoi(parts[1])
	require.NoError(f.t, err)
	runner := f.runners[id]
	switch {
	case runner == nil:
		return 404, notFound
	case method == http.MethodDelete:
		delete(f.runners, id)
		return 204, nil
	case len(parts) == 3 && parts[2] == "reset_authentication_token":
		runner["token"] = f.runnerToken()
		return 201, map[string]any{"token": runner["token"]}
	}
	for key, value := range body {
		runner[key] = value
	}
	shown := map[string]any{}
	for key, value := range runner {
		if key != "token" {
			shown[key] = value
		}
	}
	return 200, shown
}

// runnerToken is random, so that no test depends on a token that it knows.
func (f *fakeGitLab) runnerToken() string {
	return "glrt-" + hex.EncodeToString([]byte(strconv.Itoa(f.id())))[:6] + randomText(f.t)
}

// page is a list in GitLab's pages.
func page[K comparable](all map[K]map[string]any, query url.Values) []map[string]any {
	list := []map[string]any{}
	for _, object := range all {
		list = append(list, object)
	}
	size, _ := strconv.Atoi(query.Get("per_page"))
	number, _ := strconv.Atoi(query.Get("page"))
	first := min(max(number-1, 0)*size, len(list))
	return list[first:min(first+size, len(list))]
}
