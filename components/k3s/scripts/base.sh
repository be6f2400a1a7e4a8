# shellcheck shell=sh
# What every step shares. Parameters are assigned above this text; upper-case names are parameters. Whoever changes this
# file makes every step run again, so it holds the least.
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

# await FILE waits for a file that K3s writes when it has started.
await() {
	await_left=60
	until [ -s "$1" ]; do
		[ "$await_left" -gt 0 ] || fail "$1 is not there; is K3s running? (systemctl status k3s)"
		await_left=$((await_left - 1))
		sleep 1
	done
}
