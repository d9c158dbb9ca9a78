# shellcheck shell=sh
# Functions of the maintainer scripts of both packages; packaging/linux/build puts them in front of each script.
# Each works without a running systemd, as in a container, where only the user and the files matter.
set -e

sockets='logout-gateway.socket logout-gateway-admin.socket'
services='logout-gateway.service'
instances='logout-gateway@*.socket logout-gateway-admin@*.socket logout-gateway@*.service'
templates='logout-gateway@.socket logout-gateway-admin@.socket logout-gateway@.service'

systemd_runs() { [ -d /run/systemd/system ]; }

create_user() { systemd-sysusers logout-gateway.conf; }

reload_units() { if systemd_runs; then systemctl daemon-reload; fi; }

# A gateway that runs gets the new binary; one that was stopped stays stopped. With a socket unit no connection is lost.
restart_running() {
	if systemd_runs; then
		# systemctl expands the pattern of the instances, not the shell.
		systemctl try-restart "$services" 'logout-gateway@*.service'
	fi
}

# The sockets stop first: a connection to one would start its service again. `disable` of a template removes the links
# of all its instances, and needs no running systemd.
stop_and_disable() {
	set -f
	# shellcheck disable=SC2086 # one word for each unit; set -f keeps the patterns for systemctl
	if systemd_runs; then systemctl stop $sockets $instances $services; fi
	if command -v systemctl >/dev/null; then
		# shellcheck disable=SC2086
		systemctl --quiet disable $sockets $services $templates
	fi
	set +f
}
