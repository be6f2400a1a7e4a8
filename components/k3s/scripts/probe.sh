# shellcheck shell=sh
# Tells how this host differs from what the steps left on it. It only reads, and it takes no lock.

probe() {
	for probe_file in "$state"/*.done; do
		[ -f "$probe_file" ] || continue
		step=${probe_file##*/}
		step=${step%.done}
		say "step $step $(sed -n 's/^revision //p' "$probe_file") $(sed -n 's/^declared //p' "$probe_file")"
		sed -n 's/^\([0-9a-f]\{64\}\)  \(.*\)$/\1 \2/p' "$probe_file" | while read -r sum path; do
			if [ "$path" = "$state/hosts" ]; then
				actual=$(hosts_block | sha256sum | cut -d ' ' -f 1)
				path="/etc/hosts"
			elif [ -f "$path" ]; then
				actual=$(sha256sum "$path" | cut -d ' ' -f 1)
			else
				actual=missing
			fi
			[ "$actual" = "$sum" ] || say "drift $step $path $actual"
		done
	done
	if [ -f "$state/prepare.done" ] && [ -f "$state/sysctl" ]; then
		settings=$(kernel_settings <"$state/sysctl")
		printf '%s\n' "$settings" | grep -vxFf "$state/sysctl" | while read -r name _ value; do
			say "drift prepare sysctl:$name $value"
		done
	fi
	if [ -f "$state/install.done" ] && ! systemctl is-active --quiet "$UNIT.service"; then
		say "drift install $UNIT.service inactive"
	fi
	say "end"
}

case $1 in
probe) probe ;;
*) fail "no step $1" ;;
esac
