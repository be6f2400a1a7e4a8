# shellcheck shell=sh
# What the first server does for an agent, since an agent may not empty itself: drain before an upgrade, wait and make
# it schedulable again afterwards, forget it when it has left. One agent at a time is emptied: the ConfigMap is made by
# one of them only, whatever else runs at the same moment.

cluster() { "$k3s" kubectl --request-timeout=20s "$@"; }
known() { cluster get nodes -o name | grep -qx "node/$NODE_NAME"; }
turn() { cluster -n kube-system get configmap homelab-ai-upgrade --ignore-not-found -o 'jsonpath={.data.node}'; }

drain() {
	if ! known; then
		say "$NODE_NAME has not joined yet"
		return 0
	fi
	[ "$(cluster get node "$NODE_NAME" -o 'jsonpath={.status.nodeInfo.kubeletVersion}')" != "$VERSION" ] || return 0
	deadline=$(($(date +%s) + 1800))
	until [ "$(turn)" = "$NODE_NAME" ]; do
		if cluster -n kube-system create configmap homelab-ai-upgrade "--from-literal=node=$NODE_NAME" >/dev/null 2>&1; then continue; fi
		[ "$(date +%s)" -lt "$deadline" ] ||
			fail "$NODE_NAME waited 30 minutes for $(turn), whose upgrade is not finished; repair that node first"
		sleep 3
	done
	cluster cordon "$NODE_NAME"
	"$k3s" kubectl drain "$NODE_NAME" --ignore-daemonsets --delete-emptydir-data --timeout=10m ||
		fail "$NODE_NAME could not be drained; it stays cordoned until the next run. What kubectl says is above"
}

ready() {
	deadline=$(($(date +%s) + 600))
	until [ "$(cluster get node "$NODE_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]; do
		[ "$(date +%s)" -lt "$deadline" ] || fail "$NODE_NAME was not ready within 10 minutes; look at journalctl -u k3s-agent on it"
		sleep 2
	done
	[ "$(turn)" = "$NODE_NAME" ] || return 0
	cluster uncordon "$NODE_NAME"
	cluster -n kube-system delete configmap homelab-ai-upgrade
}

forget() {
	systemctl is-active --quiet k3s.service || return 0
	timeout 60 "$k3s" kubectl --request-timeout=30s delete node "$NODE_NAME" --ignore-not-found --wait=false || true
	[ "$(turn)" != "$NODE_NAME" ] || cluster -n kube-system delete configmap homelab-ai-upgrade
}

case $1 in
drain) drain ;;
ready) ready ;;
forget) forget ;;
*) fail "no step $1" ;;
esac
