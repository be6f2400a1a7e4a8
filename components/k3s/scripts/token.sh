# shellcheck shell=sh
# Prints the token that other nodes join with.

token() {
	await "$DATA_DIR/server/node-token"
	case $(cat "$DATA_DIR/server/node-token") in
	K10*) cat "$DATA_DIR/server/node-token" ;;
	*) fail "$DATA_DIR/server/node-token does not hold a full token, which starts with K10" ;;
	esac
}

case $1 in
token) token ;;
*) fail "no step $1" ;;
esac
