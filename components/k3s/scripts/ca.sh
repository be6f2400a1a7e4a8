# shellcheck shell=sh
# Makes the lab's certificate authority once and prints its certificate and key. A broken run is taken up where it ended.

directory=/etc/homelab-ai/ca

ca() {
	packages openssl=openssl >&2
	mkdir -p "$directory"
	umask 077
	if [ ! -s "$directory/ca.key" ]; then
		[ ! -s "$directory/ca.crt" ] ||
			fail "$directory/ca.crt is there and its key is gone: restore ca.key, or remove ca.crt to make a new CA that every client has to trust anew"
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$directory/ca.key.new"
		mv -f "$directory/ca.key.new" "$directory/ca.key"
	fi
	if [ ! -s "$directory/ca.crt" ]; then
		printf '%s\n' "$CA_SETTINGS" >"$directory/ca.cnf"
		openssl req -x509 -new -sha256 -days 3650 -config "$directory/ca.cnf" -key "$directory/ca.key" -out "$directory/ca.crt.new"
		rm -f "$directory/ca.cnf"
		chmod 644 "$directory/ca.crt.new"
		mv -f "$directory/ca.crt.new" "$directory/ca.crt"
	fi
	[ "$(openssl x509 -in "$directory/ca.crt" -noout -pubkey)" = "$(openssl pkey -in "$directory/ca.key" -pubout)" ] ||
		fail "$directory/ca.crt and ca.key do not belong together: restore both from one copy"
	cat "$directory/ca.crt" "$directory/ca.key"
}

case $1 in
ca) ca ;;
*) fail "no step $1" ;;
esac
