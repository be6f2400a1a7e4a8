#!/bin/sh
# Turns this mount namespace into a private root over the machine's own and stays in it. Nothing outside is written.
set -eu
base=$1
stand_ins=$2
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
root=$base/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/run/lock" "$root/run/stand-in" "$root/opt/stand-in" "$root/etc/systemd/system"
mount --bind "$stand_ins" "$root/opt/stand-in"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
echo 'cpuset cpu io memory hugetlb pids' >"$root/sys/fs/cgroup/cgroup.controllers"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
printf 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n' >"$root/etc/os-release"
touch "$root/run/stand-in/systemd-timesyncd.service.active"
rm -rf "$root/etc/rancher" "$root/var/lib/rancher" "$root/etc/homelab-ai" "$root/var/lib/homelab-ai"
touch "$root/run/stand-in/private"
# Only who is inside says so: until then this process still sees the machine's own root.
exec chroot "$root" /bin/sh -c 'echo ready && exec sleep infinity'
