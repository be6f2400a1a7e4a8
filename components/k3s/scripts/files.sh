# shellcheck shell=sh
# Files of the lab on a host, and the notes that tell whether they still are as they were left.

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

# kernel_settings reads lines "name = value" and prints them with the values that hold now.
kernel_settings() {
	while IFS=' =' read -r kernel_name _; do
		say "$kernel_name = $(cat "/proc/sys/$(printf '%s' "$kernel_name" | tr . /)" 2>/dev/null || say missing)"
	done
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
