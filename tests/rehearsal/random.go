package rehearsal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"golang.org/x/crypto/bcrypt"
)

// randomVersion is the version of pulumi-random whose rules are simulated.
const randomVersion = "4.21.1"

// randomRules simulates pulumi-random: every input is part of the identity, so any change draws anew.
type randomRules struct{ journal *journal }

func (r *randomRules) configure(resource.PropertyMap) {}

func (r *randomRules) check(
	_ resource.URN, _, news resource.PropertyMap,
) (resource.PropertyMap, []plugin.CheckFailure) {
	return news, nil
}

func (r *randomRules) replaces(resource.URN, string, resource.PropertyMap, resource.PropertyMap) bool {
	return true
}

func (r *randomRules) deleteFirst(resource.URN, resource.PropertyMap, resource.PropertyMap) bool {
	return false
}

func (r *randomRules) create(
	urn resource.URN, inputs resource.PropertyMap, preview bool,
) (string, resource.PropertyMap, error) {
	state := inputs.Copy()
	if preview {
		for _, key := range []resource.PropertyKey{"result", "bcryptHash", "base64", "hex", "b64Std", "b64Url", "dec"} {
			state[key] = resource.MakeComputed(resource.NewProperty(""))
		}
		return "", state, nil
	}
	secret := func(key resource.PropertyKey, value string) {
		state[key] = resource.MakeSecret(resource.NewProperty(value))
		r.journal.keep(urn.Name()+"."+string(key), value)
	}
	switch kind := string(urn.Type()); kind {
	case "random:index/randomPassword:RandomPassword":
		password, err := drawText(inputs)
		if err != nil {
			return "", nil, err
		}
		secret("result", password)
		// bcrypt takes 72 bytes at most; the real provider hashes what fits as well.
		hash, err := bcrypt.GenerateFromPassword([]byte(password[:min(len(password), 72)]), bcrypt.MinCost)
		if err != nil {
			return "", nil, err
		}
		secret("bcryptHash", string(hash))
		return "none", state, nil
	case "random:index/randomString:RandomString":
		result, err := drawText(inputs)
		if err != nil {
			return "", nil, err
		}
		state["result"] = resource.NewProperty(result)
		return result, state, nil
	case "random:index/randomBytes:RandomBytes":
		drawn := draw(int(lookup(inputs, "length").NumberValue()))
		secret("base64", base64.StdEncoding.EncodeToString(drawn))
		secret("hex", hex.EncodeToString(drawn))
		return "none", state, nil
	case "random:index/randomId:RandomId":
		drawn := draw(int(lookup(inputs, "byteLength").NumberValue()))
		prefix := text(inputs, "prefix")
		state["hex"] = resource.NewProperty(prefix + hex.EncodeToString(drawn))
		state["b64Std"] = resource.NewProperty(prefix + base64.StdEncoding.EncodeToString(drawn))
		state["b64Url"] = resource.NewProperty(prefix + base64.RawURLEncoding.EncodeToString(drawn))
		state["dec"] = resource.NewProperty(prefix + new(big.Int).SetBytes(drawn).String())
		return base64.RawURLEncoding.EncodeToString(drawn), state, nil
	case "random:index/randomUuid:RandomUuid":
		drawn := hex.EncodeToString(draw(16))
		result := strings.Join([]string{drawn[:8], drawn[8:12], drawn[12:16], drawn[16:20], drawn[20:]}, "-")
		state["result"] = resource.NewProperty(result)
		return result, state, nil
	default:
		return "", nil, fmt.Errorf("the rehearsal does not simulate %s", kind)
	}
}

func (r *randomRules) update(
	_ resource.URN, _ string, state, _ resource.PropertyMap, _ bool,
) (resource.PropertyMap, error) {
	return state, nil
}

func (r *randomRules) remove(resource.URN, string, resource.PropertyMap) error { return nil }

func draw(n int) []byte {
	drawn := make([]byte, n)
	_, _ = rand.Read(drawn) // never fails, see crypto/rand
	return drawn
}

// drawText draws length characters of the classes that the inputs allow.
func drawText(inputs resource.PropertyMap) (string, error) {
	classes := []struct {
		key   resource.PropertyKey
		chars string
	}{
		{"lower", "abcdefghijklmnopqrstuvwxyz"},
		{"upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{"numeric", "0123456789"},
		{"special", "!@#$%&*()-_=+[]{}<>:?"},
	}
	var alphabet string
	for _, class := range classes {
		if v := lookup(inputs, class.key); v.IsBool() && !v.BoolValue() {
			continue
		}
		if override := text(inputs, "overrideSpecial"); class.key == "special" && override != "" {
			class.chars = override
		}
		alphabet += class.chars
	}
	if alphabet == "" {
		return "", fmt.Errorf("no class of characters is allowed")
	}
	var result strings.Builder
	for range int(lookup(inputs, "length").NumberValue()) {
		i, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return "", err
		}
		result.WriteByte(alphabet[i.Int64()])
	}
	return result.String(), nil
}
