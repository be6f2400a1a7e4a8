# shellcheck shell=sh
# Where software comes from.

# packages COMMAND=PACKAGE... installs the packages whose command is missing.
packages() {
	packages_missing=
	for packages_pair in "$@"; do
		has "${packages_pair%%=*}" || packages_missing="$packages_missing ${packages_pair#*=}"
	done
	[ -n "$packages_missing" ] || return 0
	# shellcheck disable=SC2086 # a list of words
	apt_install $packages_missing
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	dpkg --configure -a >&2
	apt-get -o DPkg::Lock::Timeout=300 -qq update >&2 || fail "apt-get update failed; is a package repository reachable?"
	apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends --allow-downgrades --allow-change-held-packages "$@" >&2 ||
		fail "apt-get could not install: $*"
}

# download URL FILE
download() {
	if has curl; then
		curl -fsSL --retry 3 --connect-timeout 15 --max-time 1800 -o "$2" "$1"
	else
		wget -q --tries=3 --timeout=60 -O "$2" "$1"
	fi
}

# architecture prints the name that K3s and Debian give to this machine's.
architecture() {
	case $(uname -m) in
	x86_64) say amd64 ;;
	aarch64) say arm64 ;;
	*) uname -m ;;
	esac
}
