# shellcheck shell=sh
# Prints a secret that K3s made on this server: the token for joining, or the kubeconfig of the cluster's administrator.

# await FILE waits for a file that K3s writes when it has started.
await() {
	await_left=60
	until [ -s "$1" ]; do
		[ "$await_left" -gt 0 ] || fail "$1 is not there; is K3s running? (systemctl status k3s)"
		await_left=$((await_left - 1))
		sleep 1
	done
}

token() {
	await "$DATA_DIR/server/node-token"
	case $(cat "$DATA_DIR/server/node-token") in
	K10*) cat "$DATA_DIR/server/node-token" ;;
	*) fail "$DATA_DIR/server/node-token does not hold a full token, which starts with K10" ;;
	esac
}

kubeconfig() {
	await /etc/rancher/k3s/k3s.yaml
	grep -q '^ *server: https://127\.0\.0\.1:6443 *$' /etc/rancher/k3s/k3s.yaml ||
		fail "/etc/rancher/k3s/k3s.yaml names no server https://127.0.0.1:6443; restart K3s to have it written again"
	sed "s|https://127\.0\.0\.1:6443|https://$ENDPOINT:6443|" /etc/rancher/k3s/k3s.yaml
}

case $1 in
token) token ;;
kubeconfig) kubeconfig ;;
*) fail "no step $1" ;;
esac
