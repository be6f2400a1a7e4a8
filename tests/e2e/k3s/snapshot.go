package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// snapshot is `k3s etcd-snapshot save|ls`: a true snapshot of the running etcd.
func snapshot(args []string) error {
	settings, err := load()
	if err != nil {
		return err
	}
	directory := settings.text("etcd-snapshot-dir", filepath.Join(settings.dataDir(), "server", "db", "snapshots"))
	verb, name := "save", "on-demand"
	for i, arg := range args {
		switch {
		case arg == "--name" && i+1 < len(args):
			name = args[i+1]
		case strings.HasPrefix(arg, "--name="):
			name = strings.TrimPrefix(arg, "--name=")
		case arg == "ls" || arg == "list" || arg == "save":
			verb = arg
		}
	}
	if verb != "save" {
		files, err := filepath.Glob(filepath.Join(directory, "*"))
		for _, file := range files {
			fmt.Println(filepath.Base(file))
		}
		return err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	path := filepath.Join(directory, fmt.Sprintf("%s-%s-%d", name, settings.nodeName(), time.Now().Unix()))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(download(file), file.Close())
}

// download reads etcd's snapshot stream: JSON messages with a part of the database each.
func download(into io.Writer) error {
	response, err := http.Post("http://127.0.0.1:2379/v3/maintenance/snapshot", "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for decoder := json.NewDecoder(response.Body); ; {
		var part struct {
			Result struct {
				Blob []byte `json:"blob"`
			} `json:"result"`
		}
		if err := decoder.Decode(&part); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := into.Write(part.Result.Blob); err != nil {
			return err
		}
	}
}
