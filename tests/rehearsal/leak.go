package rehearsal

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Leak is a secret that was found where it can be read.
type Leak struct {
	// Secret is the name of what drew it, never the secret.
	Secret string
	// Where is the file, or log.
	Where string
	// Encoding is plain or base64.
	Encoding string
}

// Leaks looks for every secret that was drawn in everything that Pulumi stored and printed, plain and in base64.
func (s *Session) Leaks() ([]Leak, error) {
	var leaks []Leak
	look := func(where, content string) {
		for name, secret := range s.Secrets() {
			for encoding, needles := range forms(secret) {
				for _, needle := range needles {
					if strings.Contains(content, needle) {
						leaks = append(leaks, Leak{Secret: name, Where: where, Encoding: encoding})
					}
				}
			}
		}
	}
	look("log", s.Log())
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		look(strings.TrimPrefix(path, s.dir+string(filepath.Separator)), string(content))
		return nil
	})
	return leaks, err
}

// forms are the ways in which a secret can stand in a text: as it is, escaped in JSON, and in base64 at each of the three
// offsets that it can have within something larger.
func forms(secret string) map[string][]string {
	plain := []string{secret}
	if escaped := strings.NewReplacer("\n", `\n`, `"`, `\"`).Replace(secret); escaped != secret {
		plain = append(plain, escaped)
	}
	var encoded []string
	for offset := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", offset) + secret))
		// The characters at both ends also depend on what stands beside the secret.
		text = strings.TrimRight(text, "=")
		from, to := (offset*8+5)/6, len(text)-1
		if from < to {
			encoded = append(encoded, text[from:to])
		}
	}
	return map[string][]string{"plain": plain, "base64": encoded}
}
