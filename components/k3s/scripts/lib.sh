# shellcheck shell=sh
# What every step shares. Parameters are assigned above this text; upper-case names are parameters.
set -eu
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
umask 022

state=/var/lib/homelab-ai
k3s=/usr/local/bin/k3s
RUN=${2-} # what the command says after its verb

say() { printf '%s\n' "$*"; }

fail() {
	printf '%s\n' "$*" >&2
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# put PATH MODE CONTENT writes a file whole or not at all, and only if it is not so already. Before the first change
# of a run it calls changing, and afterwards $changed is yes. The content never becomes an argument of a process.
changed=no
changing() { :; }
put() {
	rm -f "$1".homelab-ai.*
	put_new=$(mktemp "$1.homelab-ai.XXXXXX")
	printf '%s\n' "$3" >"$put_new"
	chmod "$2" "$put_new"
	if cmp -s "$put_new" "$1" && [ "$(stat -c %a "$1")" = "$2" ]; then
		rm -f "$put_new"
		return 0
	fi
	changing
	mv -f "$put_new" "$1"
	changed=yes
}

hosts_begin='# homelab-ai begin'
hosts_end='# homelab-ai end'

# hosts_block prints what the lab has in /etc/hosts.
hosts_block() {
	sed -n "/^$hosts_begin\$/,/^$hosts_end\$/p" /etc/hosts
}

# hosts_without_block prints the rest.
hosts_without_block() {
	sed "/^$hosts_begin\$/,/^$hosts_end\$/d" /etc/hosts
}

# revision STEP prints how often drift made the step run again: a name for the last repair, 0 for none. The second word
# of the command brings a new one.
revision() {
	case $RUN in
	revision:*) say "${RUN#revision:}" ;;
	*)
		revision_known=
		[ ! -f "$state/$1.done" ] || revision_known=$(sed -n 's/^revision //p' "$state/$1.done")
		say "${revision_known:-0}"
		;;
	esac
}

# finish STEP FILE... notes that the step is done and what its files look like; the drift check compares with it.
finish() {
	finish_step=$1
	shift
	{
		say "revision $(revision "$finish_step")"
		say "declared $DECLARED"
		sha256sum "$@"
	} >"$state/$finish_step.new"
	mv -f "$state/$finish_step.new" "$state/$finish_step.done"
}

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
