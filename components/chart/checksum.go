package chart

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// checksumBytes is how much of the checksum is shown: enough that two secrets never share one.
const checksumBytes = 16

// NewChecksumKey generates the key of a stack's checksums. The checksum of a short secret could be guessed by trying;
// keyed by this it cannot, since the key is a secret that never leaves Pulumi's state.
func NewChecksumKey(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	key, err := random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{
		Length: pulumi.Int(43), Special: pulumi.Bool(false),
	}, opts...)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	return pulumi.ToSecret(key.Result).(pulumi.StringOutput), nil
}

// Checksum returns a checksum of secrets that is safe to show: HMAC-SHA256 under a key that is itself secret. It
// changes when any of them changes.
func Checksum(key pulumi.StringInput, secrets ...pulumi.StringInput) pulumi.StringOutput {
	all := make([]any, 0, len(secrets)+1)
	all = append(all, key)
	for _, secret := range secrets {
		all = append(all, secret)
	}
	sum := pulumi.All(all...).ApplyT(func(resolved []any) string {
		parts := make([]string, len(resolved))
		for i, part := range resolved {
			parts[i] = part.(string)
		}
		return checksum(parts[0], parts[1:])
	}).(pulumi.StringOutput)
	return pulumi.Unsecret(sum).(pulumi.StringOutput)
}

// Checksum is Checksum under the stack's key.
func (d *Delivery) Checksum(secrets ...pulumi.StringInput) pulumi.StringOutput {
	return Checksum(d.ChecksumKey, secrets...)
}

func checksum(key string, secrets []string) string {
	mac := hmac.New(sha256.New, []byte(key))
	for _, secret := range secrets {
		// The length keeps {"ab", "c"} and {"a", "bc"} apart.
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(secret)))
		mac.Write(length[:])
		mac.Write([]byte(secret))
	}
	return hex.EncodeToString(mac.Sum(nil)[:checksumBytes])
}
