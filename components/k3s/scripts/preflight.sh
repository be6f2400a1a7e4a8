# shellcheck shell=sh
# Looks at a host and changes nothing. Every finding is collected; all are told at once.

findings=
notes=
found() {
	findings="$findings
- $*"
}
note() { notes="$notes
- $*"; }

# ours tells whether the K3s on this host was put there by these scripts.
ours() { [ -f "$state/k3s" ]; }

check_system() {
	# shellcheck disable=SC1091
	case $(. /etc/os-release && say "${ID-} ${VERSION_ID-}") in
	'debian 12' | 'debian 13' | 'ubuntu 22.04' | 'ubuntu 24.04' | 'ubuntu 26.04') ;;
	*)
		# shellcheck disable=SC1091
		found "distribution: $(. /etc/os-release && say "${PRETTY_NAME-unknown}"); install Debian 12 or 13, or Ubuntu 22.04, 24.04 or 26.04"
		;;
	esac
	case $(architecture) in
	amd64 | arm64) ;;
	*) found "architecture: $(uname -m); K3s and the charts need x86_64 or aarch64" ;;
	esac
	[ "$(id -u)" = 0 ] || found "root: these steps run as $(id -un); let the user run sudo without a password"
	for tool in flock timeout sha256sum awk sed cmp mktemp find df; do
		has "$tool" || found "tools: $tool is missing; install coreutils, util-linux, findutils, diffutils and mawk"
	done
	has systemctl || found "systemd: systemctl is missing; K3s runs as a systemd unit"
	has curl || has wget || found "tools: neither curl nor wget is there; apt-get install curl"
}

check_size() {
	cores=$(nproc)
	[ "$cores" -ge "$MIN_CORES" ] || found "cores: $cores, less than $MIN_CORES; add cores or lower cluster.minimum.cores"
	memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
	[ "$((memory * 1024))" -ge "$MIN_MEMORY_BYTES" ] ||
		found "memory: $((memory / 1024)) MiB, less than $MIN_MEMORY; add memory or lower cluster.minimum.memory"
	place=$DATA_DIR
	while [ ! -d "$place" ]; do place=$(dirname "$place"); done
	free=$(df -Pk "$place" | awk 'NR == 2 { print $4 }')
	# A host that is in use has spent its space on the lab itself; an update still needs room for a binary and images.
	if ours; then
		least=$((2 * 1024 * 1024 * 1024))
		[ "$((free * 1024))" -ge "$least" ] || found "disk: $((free / 1024)) MiB free below $DATA_DIR, an update needs 2048; make room"
	else
		[ "$((free * 1024))" -ge "$MIN_DISK_BYTES" ] ||
			found "disk: $((free / 1024)) MiB free below $DATA_DIR, less than $MIN_DISK; make room, set cluster.dataDir, or lower cluster.minimum.disk"
	fi
}

check_kernel() {
	if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
		for controller in cpuset cpu memory pids; do
			case " $(cat /sys/fs/cgroup/cgroup.controllers) " in
			*" $controller "*) ;;
			*) found "cgroup: controller $controller is off; on a Raspberry Pi add cgroup_enable=$controller to the kernel command line, then reboot" ;;
			esac
		done
	else
		found "cgroup: version 2 is not mounted at /sys/fs/cgroup; remove systemd.unified_cgroup_hierarchy=0 from the kernel command line, then reboot"
	fi
	for module in $MODULES; do
		[ -d "/sys/module/$module" ] && continue
		grep -qs "/$(printf '%s' "$module" | sed 's/_/[_-]/g')\.ko" "/lib/modules/$(uname -r)/modules.builtin" && continue
		modprobe -n -q "$module" 2>/dev/null && continue
		if [ "$module" = wireguard ]; then
			found "kernel: module wireguard is missing; install the distribution's own kernel, or set cluster.flannelBackend to vxlan"
		else
			found "kernel: module $module is missing; install the distribution's own kernel"
		fi
	done
}

# in_use tcp|udp PORT tells whether a socket is bound to the port: state 0A listens, 07 is an open datagram socket.
in_use() {
	in_use_state=0A
	[ "$1" = tcp ] || in_use_state=07
	cat "/proc/net/$1" "/proc/net/${1}6" 2>/dev/null | awk -v port="$(printf ':%04X' "$2")" -v state="$in_use_state" '
		$4 == state && substr($2, length($2) - 4) == port { used = 1 }
		END { exit !used }'
}

check_ports() {
	if ours && systemctl is-active --quiet "$UNIT.service"; then return 0; fi
	for pair in $PORTS; do
		if in_use "${pair%%/*}" "${pair#*/}"; then
			found "port: ${pair#*/}/${pair%%/*} is in use; stop what listens there (ss -lnp shows it)"
		fi
	done
}

check_foreign() {
	for path in /etc/kubernetes/kubelet.conf /var/snap/microk8s /etc/k0s /var/lib/k0s /etc/rancher/rke2 /var/lib/rancher/rke2; do
		[ ! -e "$path" ] || found "kubernetes: another one lives here ($path); remove it with its own uninstaller"
	done
	ours && return 0
	for path in "$k3s" /etc/systemd/system/k3s.service /etc/systemd/system/k3s-agent.service "$DATA_DIR/server" "$DATA_DIR/agent"; do
		if [ -e "$path" ]; then
			found "kubernetes: a K3s that is not the lab's lives here ($path); move its data away and run its k3s-uninstall.sh"
		fi
	done
}

# check_peers keeps a first server that lost its state from starting a second cluster beside the one that runs.
check_peers() {
	ours && return 0
	for peer in $PEERS; do
		if has curl; then
			answer=$(curl -sk --connect-timeout 3 --max-time 5 "https://$peer/ping" || true)
		else
			answer=$(wget -q -O - --no-check-certificate --tries=1 --timeout=5 "https://$peer/ping" || true)
		fi
		[ "$answer" != pong ] ||
			found "cluster: the server at $peer runs K3s already, and $NODE_NAME would start a second cluster; put a running server first in cluster.nodes"
	done
}

check_gpu() {
	[ "$GPU" = nvidia ] || return 0
	if [ "$INSTALL_DRIVER" = yes ]; then
		grep -qs '^0x10de$' /sys/bus/pci/devices/*/vendor || found "gpu: the node says nvidia, but no NVIDIA card is on the PCI bus"
	elif ! has nvidia-smi || ! nvidia-smi -L >/dev/null 2>&1; then
		found "gpu: the node says nvidia, but nvidia-smi finds no card; install the driver and reboot, or set cluster.nvidia.installDriver"
	fi
}

check_release() {
	refusal=$(refused_update)
	[ -z "$refusal" ] || found "version: $refusal"
	[ -n "$(wanted_sum)" ] || found "version: the catalogue has no sha256 of $VERSION for $(architecture); set versions.k3s.sha256"
}

# fresh_date prints the Date of the last answer, redirects included, that no cache kept: caches do not agree on whether
# Date is when an answer was made or when it was handed on.
fresh_date() {
	awk '
		function take() {
			if (age + 0 == 0 && date != "") fresh = date
			date = ""
			age = 0
		}
		{ sub(/^ */, "") }
		/^HTTP\// { take() }
		tolower($1) == "age:" { age = $2 }
		tolower($1) == "date:" {
			date = $0
			sub(/^[^:]*: */, "", date)
		}
		END {
			take()
			print fresh
		}'
}

# check_mirror asks the place that the binary comes from, which all hosts share: can it be reached, and what time is it
# there? Each host may differ from it by half of what two hosts may differ from each other.
check_mirror() {
	url=$(wanted_url)
	before=$(date +%s)
	if has curl; then
		answer=$(curl -sSL --connect-timeout 10 --max-time 30 -r 0-0 -o /dev/null -D - "$url" 2>&1) || answer="unreachable $answer"
	elif has wget; then
		answer=$(wget -S -O /dev/null --header='Range: bytes=0-0' --tries=1 --timeout=15 "$url" 2>&1) || answer="unreachable $answer"
	else
		return 0
	fi
	after=$(date +%s)
	answer=$(printf '%s\n' "$answer" | tr -d '\r')
	status=$(printf '%s\n' "$answer" | sed -n 's/^ *HTTP\/[0-9.]* \([0-9]*\).*/\1/p' | tail -n 1)
	case $status in
	2??) ;;
	*)
		if has_wanted; then
			note "mirror: $url does not answer; the binary is here already"
		else
			found "mirror: $url does not answer (${status:-no connection}); open the way, or set cluster.binaryMirror"
		fi
		;;
	esac
	there=$(printf '%s\n' "$answer" | fresh_date)
	if [ -z "$there" ] || ! there=$(date -d "$there" +%s 2>/dev/null); then
		note "clock: not compared, since $MIRROR tells no time of its own"
		return 0
	fi
	# The other clock was between there and there + 1 at some moment between before and after.
	if [ "$((before - there - 1))" -gt "$HALF_CLOCK_SKEW" ] || [ "$((there - after))" -gt "$HALF_CLOCK_SKEW" ]; then
		found "clock: $((before - there)) s away from $MIRROR, hosts may differ by $CLOCK_SKEW; set the clock (timedatectl set-ntp true), or cluster.timeServers"
	fi
}

preflight() {
	check_system
	check_size
	check_kernel
	check_ports
	check_foreign
	check_peers
	check_gpu
	check_release
	check_mirror
	[ -z "$findings" ] || fail "preflight of $NODE_NAME, nothing was changed:$findings"
	say "$NODE_NAME is fit$notes"
}

case $1 in
preflight) preflight ;;
clean)
	remove_k3s
	remove_preparation
	;;
*) fail "no step $1" ;;
esac
