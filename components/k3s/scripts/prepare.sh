# shellcheck shell=sh
# Makes a host ready for K3s: the lab's CA, kernel settings, time, names and the GPU's runtime.

files=

# own PATH MODE CONTENT is put for a file that the drift check watches.
own() {
	mkdir -p "$(dirname "$1")"
	put "$@"
	files="$files $1"
}

trust_ca() {
	packages update-ca-certificates=ca-certificates
	mkdir -p /etc/homelab-ai/ca
	own /etc/homelab-ai/ca/ca.crt 644 "$CA_CERTIFICATE"
	changed=no
	own /usr/local/share/ca-certificates/homelab-ai.crt 644 "$CA_CERTIFICATE"
	if [ "$changed" = yes ] || [ ! -e /etc/ssl/certs/homelab-ai.pem ]; then
		update-ca-certificates >/dev/null
	fi
}

set_kernel() {
	own /etc/modules-load.d/homelab-ai.conf 644 "$(printf '%s\n' "$MODULES" | tr ' ' '\n')"
	for module in $MODULES; do
		[ -d "/sys/module/$module" ] || modprobe "$module"
	done
	own /etc/sysctl.d/90-homelab-ai.conf 644 "$SYSCTL"
	sysctl -q -p /etc/sysctl.d/90-homelab-ai.conf
	# What holds now is what the drift check compares with: inside a container it is the machine's, whatever was asked for.
	printf '%s\n' "$SYSCTL" | kernel_settings >"$state/sysctl"
}

keep_time() {
	daemon=
	for candidate in systemd-timesyncd ntpsec chrony; do
		if systemctl is-active --quiet "$candidate.service"; then daemon=$candidate; fi
	done
	if [ -z "$daemon" ]; then
		daemon=systemd-timesyncd
		[ -e /lib/systemd/systemd-timesyncd ] || [ -e /usr/lib/systemd/systemd-timesyncd ] || apt_install systemd-timesyncd
		# Only who switched it on may switch it off again.
		say "$daemon" >"$state/time"
		systemctl enable systemd-timesyncd.service
		systemctl restart --no-block systemd-timesyncd.service
	fi
	changed=no
	case $daemon in
	systemd-timesyncd) settings=/etc/systemd/timesyncd.conf.d/homelab-ai.conf ;;
	chrony) settings=/etc/chrony/sources.d/homelab-ai.sources ;;
	*) settings= ;;
	esac
	if [ -z "$TIME_SERVERS" ]; then
		if [ -n "$settings" ] && [ -e "$settings" ]; then
			rm -f "$settings"
			changed=yes
		fi
	elif [ -z "$settings" ]; then
		fail "cluster.timeServers can not be given to $daemon: remove it, so that systemd-timesyncd or chrony serves"
	elif [ "$daemon" = chrony ]; then
		own "$settings" 644 "$(for server in $TIME_SERVERS; do say "server $server iburst"; done)"
	else
		own "$settings" 644 "$(say '[Time]' && say "NTP=$TIME_SERVERS")"
	fi
	[ "$changed" = no ] || systemctl restart --no-block "$daemon.service"
}

# /etc/hosts is written in place: it may be a mount point, which can't be renamed over.
name_hosts() {
	block=$(
		say "$hosts_begin"
		say "$HOSTS"
		say "$hosts_end"
	)
	[ "$(hosts_block)" != "$block" ] || return 0
	mkdir -p "$state"
	{
		hosts_without_block
		say "$block"
	} >"$state/hosts.new"
	cat "$state/hosts.new" >/etc/hosts
	rm -f "$state/hosts.new"
}

install_driver() {
	if has nvidia-smi && nvidia-smi -L >/dev/null 2>&1; then return 0; fi
	# shellcheck disable=SC1091
	distribution=$(. /etc/os-release && say "$ID $VERSION_CODENAME")
	case $distribution in
	ubuntu*)
		apt_install ubuntu-drivers-common "linux-headers-$(uname -r)"
		DEBIAN_FRONTEND=noninteractive ubuntu-drivers install --gpgpu >&2
		# The server driver comes without nvidia-smi.
		series=$(dpkg-query -W -f '${Package}\n' 'nvidia-*' 2>/dev/null | sed -n 's/^nvidia-\(headless-no-dkms\|headless\|driver\)-\([0-9]*-server\|[0-9]*\)\(-open\)\{0,1\}$/\2/p' | sort -u | tail -n 1)
		[ -n "$series" ] || fail "ubuntu-drivers found no driver for this card"
		apt_install "nvidia-utils-$series"
		;;
	debian*)
		own /etc/apt/sources.list.d/homelab-ai-nonfree.list 644 "deb http://deb.debian.org/debian ${distribution#* } contrib non-free non-free-firmware"
		apt_install "linux-headers-$(architecture)" nvidia-driver nvidia-smi firmware-misc-nonfree
		;;
	esac
	modprobe nvidia || true
	nvidia-smi -L >/dev/null ||
		fail "the NVIDIA driver is installed and does not find the card yet: reboot the host (and enrol the module's key if Secure Boot is on), then run this again"
}

install_toolkit() {
	key=/etc/apt/keyrings/homelab-ai-nvidia.asc
	if [ ! -f "$key" ] || [ "$(sha256sum "$key" | cut -d ' ' -f 1)" != "$TOOLKIT_KEY_SHA256" ]; then
		mkdir -p /etc/apt/keyrings "$state"
		download https://nvidia.github.io/libnvidia-container/gpgkey "$state/toolkit.key"
		sum=$(sha256sum "$state/toolkit.key" | cut -d ' ' -f 1)
		if [ "$sum" != "$TOOLKIT_KEY_SHA256" ]; then
			rm -f "$state/toolkit.key"
			fail "the key of NVIDIA's package repository has sha256 $sum, and $TOOLKIT_KEY_SHA256 is pinned: nothing was installed; check the key, then set versions.host.nvidia-container-toolkit.keySHA256"
		fi
		chmod 644 "$state/toolkit.key"
		mv -f "$state/toolkit.key" "$key"
	fi
	files="$files $key"
	# shellcheck disable=SC2016 # apt replaces $(ARCH) itself
	own /etc/apt/sources.list.d/homelab-ai-nvidia.list 644 "deb [signed-by=$key]"' https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /'
	if [ "$(dpkg-query -W -f '${Version}' nvidia-container-toolkit 2>/dev/null)" != "$TOOLKIT_VERSION" ]; then
		apt_install "nvidia-container-toolkit=$TOOLKIT_VERSION" "nvidia-container-toolkit-base=$TOOLKIT_VERSION" \
			"libnvidia-container-tools=$TOOLKIT_VERSION" "libnvidia-container1=$TOOLKIT_VERSION"
	fi
	apt-mark hold nvidia-container-toolkit nvidia-container-toolkit-base libnvidia-container-tools libnvidia-container1 >/dev/null
}

prepare() {
	mkdir -p "$state"
	trust_ca
	set_kernel
	keep_time
	name_hosts
	if [ "$GPU" = nvidia ]; then
		[ "$INSTALL_DRIVER" = no ] || install_driver
		install_toolkit
	fi
	hosts_block >"$state/hosts"
	# shellcheck disable=SC2086 # a list of paths without spaces
	finish prepare $files "$state/hosts" "$state/sysctl"
	say "$NODE_NAME is prepared"
}

case $1 in
prepare) prepare ;;
*) fail "no step $1" ;;
esac
