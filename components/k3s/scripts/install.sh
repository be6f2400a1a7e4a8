# shellcheck shell=sh
# Installs K3s, changes its settings, upgrades it in place. Nothing is changed before the binary is here and verified; a run
# that was cut anywhere is finished by the next.

running=$state/running
cluster() { "$k3s" kubectl --request-timeout=20s "$@"; }

# What runs is no longer what was last seen ready; put calls this before it changes a file.
changing() { rm -f "$running"; }

fetch() {
	has_wanted && return 0
	mkdir -p "$state/download"
	rm -f "$state/download/k3s"
	if ! download "$(wanted_url)" "$state/download/k3s"; then
		rm -rf "$state/download"
		fail "$(wanted_url) could not be downloaded; nothing was changed"
	fi
	sum=$(sha256sum "$state/download/k3s" | cut -d ' ' -f 1)
	if [ "$sum" != "$(wanted_sum)" ]; then
		rm -rf "$state/download"
		fail "sha256 mismatch: $(wanted_url) has $sum and $(wanted_sum) is pinned; nothing was changed. Check versions.k3s.sha256 and cluster.binaryMirror"
	fi
	chmod 755 "$state/download/k3s"
}

# drain empties this server before an upgrade, unless it is the only node. What was cordoned here is remembered, so that
# a cut run does not leave the node unschedulable.
drain() {
	[ "$ROLE" = server ] || return 0
	if [ ! -f "$state/version" ] || [ "$(cat "$state/version")" = "$VERSION" ]; then return 0; fi
	systemctl is-active --quiet k3s.service || return 0
	nodes=$(cluster get nodes -o name) || fail "the API server of $NODE_NAME does not answer, so the node can't be drained; nothing was changed"
	[ "$(printf '%s\n' "$nodes" | grep -c .)" -gt 1 ] || return 0
	say yes >"$state/cordoned"
	cluster cordon "$NODE_NAME"
	"$k3s" kubectl drain "$NODE_NAME" --ignore-daemonsets --delete-emptydir-data --timeout=10m ||
		fail "$NODE_NAME could not be drained; it stays cordoned until the next run. What kubectl says is above"
}

# fingerprint names everything that K3s reads when it starts.
fingerprint() {
	for file in "$k3s" /etc/rancher/k3s/*.yaml "/etc/systemd/system/$UNIT.service" /usr/bin/nvidia-container-runtime; do
		if [ -f "$file" ] && [ "$file" != /etc/rancher/k3s/k3s.yaml ]; then sha256sum "$file"; fi
	done
}

write() {
	# From here on this host's K3s is the lab's: only such a host is ever cleaned.
	say "$VERSION" >"$state/k3s"
	mkdir -p /etc/rancher/k3s /etc/homelab-ai
	if [ "$ROLE" = server ]; then
		mkdir -p "$DATA_DIR/server/logs"
		chmod 700 "$DATA_DIR/server" "$DATA_DIR/server/logs"
		put /etc/rancher/k3s/psa.yaml 600 "$ADMISSION"
		put /etc/rancher/k3s/audit.yaml 600 "$AUDIT"
	fi
	put /etc/rancher/k3s/config.yaml 600 "$CONFIG"
	put /etc/rancher/k3s/registries.yaml 600 "$REGISTRIES"
	[ -z "$JOIN_TOKEN" ] || put /etc/homelab-ai/join-token 600 "$JOIN_TOKEN"
	put "/etc/systemd/system/$UNIT.service" 644 "$UNIT_FILE"
	if [ -f "$state/download/k3s" ]; then
		changing
		# On one file system with its target, so that the last move is atomic.
		cp "$state/download/k3s" "$k3s.new"
		chmod 755 "$k3s.new"
		mv -f "$k3s.new" "$k3s"
	fi
	rm -rf "$state/download"
}

# start restarts K3s when what it reads has changed since it was last seen ready.
start() {
	if [ -f "$running" ] && [ "$(cat "$running")" = "$(fingerprint)" ] && systemctl is-active --quiet "$UNIT.service"; then
		return 0
	fi
	rm -f "$running"
	systemctl daemon-reload
	systemctl enable "$UNIT.service"
	systemctl restart --no-block "$UNIT.service"
	sleep 1
}

# ready tells whether K3s serves: a server by its API and its own node, an agent by having joined (its unit is of
# type notify).
ready() {
	systemctl is-active --quiet "$UNIT.service" || return 1
	[ "$ROLE" = server ] || return 0
	cluster get --raw=/readyz >/dev/null 2>&1 || return 1
	[ "$(cluster get node "$NODE_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}

wait_ready() {
	deadline=$(($(date +%s) + 900))
	until ready; do
		if [ "$(date +%s)" -ge "$deadline" ]; then
			if has journalctl; then journalctl -u "$UNIT.service" -n 20 --no-pager >&2 || true; fi
			fail "K3s on $NODE_NAME was not ready within 15 minutes; look at journalctl -u $UNIT on the host, then run this again"
		fi
		sleep 2
	done
}

install() {
	mkdir -p "$state"
	refusal=$(refused_update)
	[ -z "$refusal" ] || fail "$refusal; nothing was changed"
	fetch
	drain
	write
	start
	wait_ready
	fingerprint >"$running.new"
	mv -f "$running.new" "$running"
	say "$VERSION" >"$state/version"
	if [ -f "$state/cordoned" ]; then
		cluster uncordon "$NODE_NAME"
		rm -f "$state/cordoned"
	fi
	set -- "$k3s" /etc/rancher/k3s/config.yaml /etc/rancher/k3s/registries.yaml "/etc/systemd/system/$UNIT.service"
	[ "$ROLE" = agent ] || set -- "$@" /etc/rancher/k3s/psa.yaml /etc/rancher/k3s/audit.yaml
	finish install "$@"
	say "K3s $VERSION runs on $NODE_NAME"
}

case $1 in
install) install ;;
uninstall) remove_k3s ;;
*) fail "no step $1" ;;
esac
