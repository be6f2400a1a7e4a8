// Package k3s turns Linux hosts that answer on SSH into a K3s cluster, and keeps them as declared.
//
// Every step on a host is one remote command: a short text, the script by stdin, under a lock on the host. The steps and
// their order are
//
//	preflight  every host, side by side: nothing is changed, all findings come in one message
//	ca         first server: makes the lab's CA once, prints certificate and key
//	prepare    every host, side by side: CA, kernel settings, packages, time, names, GPU runtime
//	install    servers one after another: binary, configuration, unit, restart where needed
//	token      first server, where other nodes join: prints the join token
//	drain      per agent, on the first server: before an upgrade the agent is emptied
//	install    agents, side by side
//	ready      per agent, on the first server: waits for the node, makes it schedulable again
//	kubeconfig first server: prints the kubeconfig, its server rewritten to the cluster's endpoint
//
// # What a command looks like
//
// The login shell of the SSH user gets (without the sudo where the user is root)
//
//	sudo -n flock -o -E 75 -w 1800 /run/lock/homelab-ai.lock timeout -k 30 3600 sh -c '<read stdin whole, then run it>' homelab-ai install 3f2a...
//
// The script and its parameters arrive by stdin as POSIX sh: first assignments, then functions, then one call. It runs
// only when it has arrived whole, with /dev/null as its own stdin. The lock is held by flock alone (-o), so no daemon
// that a script starts can keep it; it is given up when the script ends or after an hour at the latest, also when the
// connection broke. A second run waits for the first for up to half an hour, then ends with status 75.
//
// The words after homelab-ai are the verb and the sha256 of what is declared (script and parameters). The text of
// create changes when the declaration changes. The text of update names the last repair instead (revision:0 when there
// was none): see below.
//
// # Drift
//
// prepare and install note on the host what they left: /var/lib/homelab-ai/<step>.done holds the revision, the hash of
// the declaration and the sha256 of every file; prepare also notes the kernel settings that then held. In each preview and update the program itself asks every host, side by
// side and for a few seconds at most, to compare (SSHProbe, script probe.sh, without a lock). A host that differs, whose
// service is down or that was set back gets a new revision, derived from the old one and from what was found: the text of
// update changes, so the preview shows the step, and the update runs it. The script notes the new revision, so the next
// update finds text and host agreeing and changes nothing. A host that does not answer keeps the text it had and is
// warned about; one with another host key ends the run. Decision record 0008 has the alternatives.
//
// # What the scripts need from a host
//
// These are found through PATH (completed by /usr/sbin and /sbin), never by an absolute path:
//
//   - coreutils, sed, grep, awk, find, cmp and util-linux (flock, mount, umount) as Debian and Ubuntu bring them;
//   - curl, or else wget (the answer's Date header is what hosts' clocks are compared with);
//   - openssl and update-ca-certificates (installed by apt-get when missing);
//   - systemctl daemon-reload | enable UNIT | disable UNIT | restart --no-block UNIT | stop UNIT |
//     reset-failed UNIT | is-active --quiet UNIT, where UNIT is k3s.service, k3s-agent.service or a time daemon
//     (chrony.service, ntpsec.service, systemd-timesyncd.service);
//   - journalctl -u UNIT -n 20 --no-pager, where present, when K3s does not get ready;
//   - sysctl -q -p FILE;
//   - modprobe -n -q MODULE (would it load?) and modprobe MODULE;
//   - ip link and iptables-save | iptables-restore when K3s is removed, each only where present;
//   - nvidia-smi, apt-get and dpkg-query on nodes that say gpu: nvidia;
//   - apt-get elsewhere only when openssl, update-ca-certificates or a time daemon is missing.
//
// They read /etc/os-release, /proc/meminfo, /proc/sys, /proc/net/{tcp,tcp6,udp,udp6}, /proc/mounts, /sys/module,
// /sys/fs/cgroup/cgroup.controllers (cgroup v2 is demanded: kubelet 1.35 and newer refuse v1) and
// /lib/modules/<kernel>/modules.builtin.
//
// Of /usr/local/bin/k3s, which is downloaded from <binaryMirror>/<version>/k3s (k3s-arm64 on arm64; the plus in the
// version is escaped as %2B), they use
//
//   - k3s --version, whose first line is "k3s version v1.36.4+k3s1 (0123abcd)";
//   - k3s server and k3s agent, started by the units k3s.service and k3s-agent.service below /etc/systemd/system with
//     Type=notify; both read /etc/rancher/k3s/config.yaml;
//   - k3s kubectl [--request-timeout=20s] (which reads /etc/rancher/k3s/k3s.yaml, on servers only): get --raw=/readyz; get
//     nodes -o name; get node NAME -o jsonpath=...; cordon, drain, uncordon and delete of a node; get, create and
//     delete of the ConfigMap kube-system/homelab-ai-upgrade;
//   - the files <dataDir>/server/node-token and /etc/rancher/k3s/k3s.yaml that a running server has written (the
//     latter's server is https://127.0.0.1:6443).
//
// # What they leave on a host
//
//	/etc/homelab-ai/ca/{ca.crt,ca.key}     the lab's CA; the key on the first server only, mode 0600
//	/etc/homelab-ai/join-token             on nodes that joined, mode 0600
//	/etc/rancher/k3s/{config,psa,audit,registries}.yaml
//	/etc/systemd/system/k3s.service        or k3s-agent.service
//	/usr/local/bin/k3s                     and the link kubectl beside it is not made
//	/usr/local/share/ca-certificates/homelab-ai.crt
//	/etc/sysctl.d/90-homelab-ai.conf, /etc/modules-load.d/homelab-ai.conf
//	/etc/hosts                             a block between "# homelab-ai begin" and "# homelab-ai end"
//	/var/lib/homelab-ai                    what the steps remember
//
// Destroying the stack removes all of it and K3s's own state; a host that preflight refused is never touched.
package k3s
