# shellcheck shell=sh
# Which K3s is here, which is wanted, and whether the way from one to the other is allowed.

# wanted_sum and wanted_url name the binary for this machine.
wanted_sum() {
	case $(architecture) in
	amd64) say "$SHA256_AMD64" ;;
	arm64) say "$SHA256_ARM64" ;;
	esac
}

wanted_url() {
	case $(architecture) in
	arm64) wanted_file='k3s-arm64' ;;
	*) wanted_file=k3s ;;
	esac
	say "$MIRROR/$(printf '%s' "$VERSION" | sed 's/+/%2B/g')/$wanted_file"
}

# has_wanted tells whether the binary is here already.
has_wanted() {
	[ -f "$k3s" ] && [ "$(sha256sum "$k3s" | cut -d ' ' -f 1)" = "$(wanted_sum)" ]
}

# installed_versions prints the version that last became ready and that of the binary, which a hand may have changed.
installed_versions() {
	[ ! -f "$state/version" ] || cat "$state/version"
	[ ! -x "$k3s" ] || "$k3s" --version 2>/dev/null | sed -n '1s/^k3s version \([^ ]*\).*/\1/p' || true
}

# refused_update prints why VERSION must not follow what is installed, or nothing.
refused_update() {
	installed_versions | sort -u | while read -r refused_old; do
		printf '%s %s\n' "$refused_old" "$VERSION" | awk '
			function parts(text, out,   n) {
				sub(/^v/, "", text)
				gsub(/[-+]/, ".", text)
				n = split(text, out, ".")
				if (n < 4 || out[1] !~ /^[0-9]+$/ || out[2] !~ /^[0-9]+$/ || out[3] !~ /^[0-9]+$/) return 0
				sub(/^.*k3s/, "", out[n])
				out[4] = out[n]
				return 1
			}
			$1 == $2 { next }
			!parts($1, old) || !parts($2, new) {
				print "K3s " $1 " is installed and can not be compared with " $2 ": set versions.k3s to a release such as v1.36.4+k3s1"
				next
			}
			{
				order = 0
				for (i = 1; i <= 4 && order == 0; i++) order = (new[i] + 0 > old[i] + 0) - (new[i] + 0 < old[i] + 0)
				if (order < 0)
					print "K3s " $1 " is installed and " $2 " is older: a downgrade can lose the cluster; set versions.k3s to " $1 " or newer"
				else if (new[1] + 0 != old[1] + 0 || new[2] + 0 > old[2] + 1)
					print "K3s " $1 " is installed and " $2 " skips a minor version: set versions.k3s to a v" old[1] "." old[2] + 1 " release first"
			}'
	done
}
