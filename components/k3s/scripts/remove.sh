# shellcheck shell=sh
# Takes K3s and the preparation off a host again. Each part may be gone already.

# below DIRECTORY... prints the mount points strictly below the directories, deepest first.
below() {
	for below_root in "$@"; do
		awk -v root="$below_root/" 'index($2, root) == 1 { print $2 }' /proc/mounts
	done | sort -ru
}

stop_k3s() {
	# Quietly: the unit of the other role was never here, and one that drifted away may still run.
	for unit in k3s k3s-agent; do
		systemctl stop "$unit.service" >/dev/null 2>&1 || true
		systemctl disable "$unit.service" >/dev/null 2>&1 || true
		systemctl reset-failed "$unit.service" >/dev/null 2>&1 || true
		rm -f "/etc/systemd/system/multi-user.target.wants/$unit.service"
	done
	for unit in k3s k3s-agent; do
		if systemctl is-active --quiet "$unit.service"; then fail "$unit on $NODE_NAME does not stop; nothing was removed"; fi
	done
	# Containers outlive K3s: their shims, as all that K3s starts, are told by the path they come from.
	for process in /proc/[0-9]*; do
		case $(tr '\0' ' ' 2>/dev/null <"$process/cmdline" || true) in
		"$DATA_DIR"/data/*/bin/*) kill_tree "${process#/proc/}" ;;
		esac
	done
}

# kill_tree PID ends a process and everything that it started.
kill_tree() {
	for kill_child in $(cat "/proc/$1/task/"*/children 2>/dev/null || true); do
		(kill_tree "$kill_child")
	done
	kill -9 "$1" 2>/dev/null || true
}

remove_mounts() {
	for point in $(below /run/k3s /var/lib/kubelet "$DATA_DIR"); do
		umount "$point" 2>/dev/null || umount -l "$point" 2>/dev/null || true
	done
	awk 'index($2, "/run/netns/cni-") == 1 { print $2 }' /proc/mounts | while read -r point; do
		umount "$point" 2>/dev/null || true
		rm -f "$point"
	done
}

remove_network() {
	if has ip; then
		for device in cni0 flannel.1 flannel-v6.1 flannel-wg flannel-wg-v6 kube-ipvs0; do
			[ ! -e "/sys/class/net/$device" ] || ip link delete "$device" || true
		done
		for path in /sys/class/net/veth*; do
			[ -e "$path/master" ] || continue
			case $(readlink "$path/master") in
			*/cni0) ip link delete "${path##*/}" 2>/dev/null || true ;;
			esac
		done
	fi
	for family in iptables ip6tables; do
		has "$family-save" || continue
		rules=$("$family-save" 2>/dev/null || true)
		case $rules in
		*KUBE-* | *CNI-* | *flannel*) printf '%s\n' "$rules" | grep -v -e KUBE- -e CNI- -e flannel | "$family-restore" || true ;;
		esac
	done
}

# empty DIRECTORY removes what is in it, but nothing that is mounted below, and then itself unless it is a mount point.
empty() {
	[ -d "$1" ] || return 0
	find "$1" -xdev -mindepth 1 -delete || true
	rmdir "$1" 2>/dev/null || true
}

remove_k3s() {
	[ -f "$state/k3s" ] || return 0
	if [ "$ROLE" = server ] && [ "$ALONE" = no ] && systemctl is-active --quiet k3s.service; then
		# etcd must not wait for a member that is gone; when the whole cluster goes, nobody may answer.
		timeout 60 "$k3s" kubectl --request-timeout=30s delete node "$NODE_NAME" --wait=false || true
	fi
	stop_k3s
	remove_mounts
	remove_network
	# Volumes elsewhere than below the data directory are told by the name that the provisioner gives.
	if [ -d "$STORAGE_PATH" ]; then
		for volume in "$STORAGE_PATH"/pvc-*_*_*; do empty "$volume"; done
	fi
	empty "$DATA_DIR"
	rmdir "$STORAGE_PATH" 2>/dev/null || true
	for directory in /run/k3s /run/flannel /etc/rancher/k3s /etc/rancher/node /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers; do
		empty "$directory"
	done
	rmdir /etc/rancher /var/lib/rancher 2>/dev/null || true
	rm -f /etc/systemd/system/k3s.service /etc/systemd/system/k3s-agent.service /etc/homelab-ai/join-token "$k3s"
	systemctl daemon-reload
	rm -rf "$state/install.done" "$state/running" "$state/version" "$state/download" "$state/cordoned" "$state/k3s"
	say "K3s is gone from $NODE_NAME"
}

remove_preparation() {
	rm -f /etc/sysctl.d/90-homelab-ai.conf /etc/modules-load.d/homelab-ai.conf
	for settings in /etc/systemd/timesyncd.conf.d/homelab-ai.conf:systemd-timesyncd /etc/chrony/sources.d/homelab-ai.sources:chrony; do
		[ -e "${settings%:*}" ] || continue
		rm -f "${settings%:*}"
		systemctl restart --no-block "${settings#*:}.service" || true
	done
	rmdir /etc/systemd/timesyncd.conf.d 2>/dev/null || true
	if [ -f "$state/time" ]; then
		systemctl stop systemd-timesyncd.service || true
		systemctl disable systemd-timesyncd.service || true
	fi
	if [ -e /usr/local/share/ca-certificates/homelab-ai.crt ]; then
		rm -f /usr/local/share/ca-certificates/homelab-ai.crt
		# update-ca-certificates leaves the links of a certificate that is gone: by name, and by hash to that name.
		find /etc/ssl/certs -maxdepth 1 -lname homelab-ai.pem -delete
		rm -f /etc/ssl/certs/homelab-ai.pem
		update-ca-certificates >/dev/null 2>&1 || true
	fi
	if [ -n "$(hosts_block)" ]; then
		hosts_without_block >/etc/homelab-ai.hosts
		cat /etc/homelab-ai.hosts >/etc/hosts
		rm -f /etc/homelab-ai.hosts
	fi
	# Drivers and packages stay; the repositories they came from go.
	rm -f /etc/apt/sources.list.d/homelab-ai-nvidia.list /etc/apt/sources.list.d/homelab-ai-nonfree.list /etc/apt/keyrings/homelab-ai-nvidia.asc
	rm -rf /etc/homelab-ai "$state"
	say "$NODE_NAME is clean"
}
