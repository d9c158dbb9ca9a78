#!/usr/bin/env bash
# The checks of tests/dist/systemd, which runs this script as a service of the systemd that it boots.
# shellcheck source=tests/dist/lib/checks.bash
. "$(dirname "$0")/checks.bash"
work=/run/checks
mkdir "$work"
trap '[ -e /checks/passed ] || journalctl --quiet --no-pager --output=cat --lines=20' EXIT
ip link set lo up
mock=http://127.0.0.1:9999

property() { systemctl show --property="$2" --value "$1"; }

# $1: name of the environment file and the secret
configure() {
	echo "SUPABASE_URL=$mock" >"/etc/logout-gateway/$1.env"
	(umask 077 && openssl rand -base64 32 >"/etc/logout-gateway/$1.secret")
}

check_missing_secret() {
	echo "SUPABASE_URL=$mock" >/etc/logout-gateway/logout-gateway.env
	! systemctl start logout-gateway.service 2>/dev/null || fail "the service starts without its secret"
	[ "$(property logout-gateway.service ExecMainStatus)" = 243 ] || fail "the status is not 243/CREDENTIALS"
	# Without RestartPreventExitStatus=, this would be activating: systemd waits for the next try.
	equal "the state without a secret" "$(property logout-gateway.service ActiveState)" failed
	equal "the number of restarts" "$(property logout-gateway.service NRestarts)" 0
	ok "systemd: without the secret the service does not start (243/CREDENTIALS), and is not tried again"
}

check_service() {
	local pid status
	configure logout-gateway
	systemctl start logout-gateway.service || fail "the service does not start"
	pid=$(property logout-gateway.service MainPID)
	status=$(cat "/proc/$pid/status")
	[ "$(stat -c %U "/proc/$pid")" = logout-gateway ] || fail "the service runs as another user"
	grep -qx $'Seccomp:\t2' <<<"$status" || fail "no system call filter is in force"
	grep -qx $'CapBnd:\t0000000000000000' <<<"$status" || fail "the service could get capabilities"
	grep -q '^Max core file size *0 *0' "/proc/$pid/limits" || fail "the service may dump core"
	wait_until curl -sSf http://127.0.0.1:8080/readyz
	check_logout "$mock" http://127.0.0.1:8080
	[ "$(stat -c %U:%a /var/lib/logout-gateway/store.redb)" = logout-gateway:600 ] || fail "the owner of the store"
	grep -q '^process_start_time_seconds 1' <<<"$(curl -sS http://127.0.0.1:9090/metrics)" ||
		fail "the sandbox hides what the metrics of the process need"
	ok "systemd: the service starts with SUPABASE_URL and a secret alone; a logout ends its session"
	! journalctl --quiet --output=cat --unit logout-gateway.service | grep -E '"level":"(ERROR|WARN)"' |
		grep -v '"variable":"GOTRUE_URL"' || fail "the service logs warnings"
	systemctl stop logout-gateway.service
	[ "$(property logout-gateway.service Result)" = success ] || fail "the service does not stop cleanly"
	[ -e /var/lib/logout-gateway/store.redb ] || fail "the store is lost when the service stops"
	ok "systemd: the service logs no warning, and stops cleanly"
}

check_bad_configuration() {
	echo 'SUPABASE_URL=not a URL' >/etc/logout-gateway/logout-gateway.env
	! systemctl start logout-gateway.service 2>/dev/null || fail "the service starts with an invalid URL"
	wait_until systemctl --quiet is-failed logout-gateway.service
	[ "$(property logout-gateway.service NRestarts)" = 0 ] || fail "systemd tries an invalid configuration again"
	configure logout-gateway
	ok "systemd: an invalid configuration is not tried again"
}

check_restart_after_crash() {
	local pid
	systemctl start logout-gateway.service
	pid=$(property logout-gateway.service MainPID)
	kill -KILL "$pid"
	wait_until restarted "$pid"
	wait_until curl -sSf http://127.0.0.1:8080/readyz
	systemctl stop logout-gateway.service
	ok "systemd: a gateway that crashed is started again"
}

restarted() {
	local pid
	pid=$(property logout-gateway.service MainPID)
	[ "$pid" != 0 ] && [ "$pid" != "$1" ]
}

# Two projects on one machine: each has a user, a secret, a store and sockets of its own.
check_instances() {
	local shop blog socket=/run/logout-gateway-shop/public.sock
	configure shop
	configure blog
	systemctl start logout-gateway@shop.service logout-gateway@blog.service || fail "two instances do not start"
	wait_until curl -sSf --unix-socket "$socket" http://localhost/readyz
	wait_until curl -sSf --unix-socket /run/logout-gateway-blog/admin.sock http://localhost/readyz
	shop=$(stat -c %u "/proc/$(property logout-gateway@shop.service MainPID)")
	blog=$(stat -c %u "/proc/$(property logout-gateway@blog.service MainPID)")
	if [ "$shop" = "$blog" ] || [ "$shop" = 0 ] || [ "$blog" = 0 ]; then
		fail "the users of two projects: $shop, $blog"
	fi
	check_logout "$mock" --unix-socket "$socket" http://localhost
	[ "$(stat -c %u:%a /var/lib/logout-gateway-shop/store.redb)" = "$shop:600" ] || fail "the owner of the store"
	connect_as logout-gateway "$socket" || fail "the group cannot connect"
	! connect_as nogroup "$socket" 2>/dev/null || fail "another group can connect"
	stop_all
	ok "systemd: two projects run side by side, each with a user, a store and sockets of its own for the group"
}

# A service that its socket starts must not be started again by a late connection of the check before.
stop_all() { systemctl stop 'logout-gateway*.socket' 'logout-gateway*.service'; }

# The single unit's own unix socket, without socket units.
check_unix_socket() {
	local socket=/run/logout-gateway/public.sock
	configure logout-gateway
	echo "GATEWAY_BIND=unix:$socket" >>/etc/logout-gateway/logout-gateway.env
	systemctl start logout-gateway.service || fail "the service does not start with a unix socket"
	wait_until curl -sSf --unix-socket "$socket" http://localhost/readyz
	check_logout "$mock" --unix-socket "$socket" http://localhost
	connect_as logout-gateway "$socket" || fail "the group cannot connect"
	! connect_as nogroup "$socket" 2>/dev/null || fail "another group can connect"
	stop_all
	configure logout-gateway
	ok "systemd: with GATEWAY_BIND=unix:$socket only the group connects"
}

# $1: group, $2: socket
connect_as() {
	setpriv --reuid nobody --regid "$1" --clear-groups curl -sSf --unix-socket "$2" http://localhost/readyz >/dev/null
}

# The drop-in that the comments of logout-gateway.env show.
check_further_credentials() {
	local drop_in=/etc/systemd/system/logout-gateway.service.d/override.conf
	configure logout-gateway
	(
		umask 077
		openssl rand -base64 48 >/etc/logout-gateway/logout-gateway.jwt-secret
		echo "file:/var/lib/logout-gateway/credential.redb" >/etc/logout-gateway/logout-gateway.store
	)
	mkdir -p "$(dirname "$drop_in")"
	cat >"$drop_in" <<-'UNIT'
		[Service]
		LoadCredential=jwt-secret:/etc/logout-gateway/logout-gateway.jwt-secret
		Environment=SUPABASE_JWT_SECRET_FILE=%d/jwt-secret
		LoadCredential=store:/etc/logout-gateway/logout-gateway.store
		Environment=GATEWAY_STORE= GATEWAY_STORE_FILE=%d/store
	UNIT
	systemctl daemon-reload
	systemctl start logout-gateway.service || fail "the service does not start with further credentials"
	[ -e /var/lib/logout-gateway/credential.redb ] || fail "the store is not the one of the credential"
	journalctl --quiet --output=cat --unit logout-gateway.service >"$work/journal"
	[ "$(grep -c '"SUPABASE_JWT_SECRET":"set"' "$work/journal")" = 1 ] || fail "the credential jwt-secret is not used"
	systemctl stop logout-gateway.service
	rm "$drop_in"
	systemctl daemon-reload
	ok "systemd: a drop-in adds further credentials, the store's URL among them"
}

# The drop-in of docs/operate.md. A socket unit needs no capability for a port below 1024.
check_low_port() {
	local drop_in=/etc/systemd/system/logout-gateway.socket.d/override.conf
	mkdir -p "$(dirname "$drop_in")"
	# shellcheck disable=SC2016 # these are backticks of Markdown
	sed -n '/^  ```ini$/,/^  ```$/{/```/!s/^  //p}' docs/operate.md >"$drop_in"
	grep -qx 'ListenStream=127.0.0.1:80' "$drop_in" || fail "docs/operate.md shows no drop-in for port 80"
	systemctl daemon-reload
	systemctl start logout-gateway.socket || fail "the socket does not listen on port 80"
	wait_until curl -sSf http://127.0.0.1/readyz
	check_logout "$mock" http://127.0.0.1
	stop_all
	rm "$drop_in"
	systemctl daemon-reload
	ok "systemd: a socket unit listens on port 80 for a service without capabilities"
}

# The command of docs/operate.md that runs `check` with the settings of the service. It needs D-Bus.
check_commands() {
	local answer
	configure logout-gateway
	systemctl start dbus.socket
	sed -n '/^  sudo systemd-run /,/[^\\]$/s/^  \(sudo \)\?//p' docs/operate.md >"$work/command"
	answer=$(sh "$work/command") || fail "the command of docs/operate.md exits with $?: $answer"
	contain "check" "$answer" "configuration: ok"
	contain "check" "$answer" "store: ok: /var/lib/logout-gateway/store.redb"
	[[ $answer != *GATEWAY_SECRET:* ]] || fail "check has no secret: $answer"
	ok "systemd: the command of docs/operate.md runs check with the settings of the service"
}

# $1: service, its sockets; $2: arguments of curl for the public listener, $3: for the admin listener
check_sockets() {
	local service=$1.service public=$1.socket admin=${1/gateway/gateway-admin}.socket
	systemctl start "$public" "$admin" || fail "the sockets of $1 do not start"
	[ "$(property "$service" ActiveState)" = inactive ] || fail "$service runs before a connection"
	# shellcheck disable=SC2086 # several arguments of curl
	curl -sSf $2/healthz >/dev/null || fail "a connection does not start $service"
	# shellcheck disable=SC2086
	wait_until curl -sSf $2/readyz
	# shellcheck disable=SC2086
	grep -q '^logout_gateway_' <<<"$(curl -sSf $3/metrics)" || fail "the admin socket of $1 is not the admin listener"
	# shellcheck disable=SC2086
	check_logout "$mock" $2
	systemctl stop "$service" 2>/dev/null
	# shellcheck disable=SC2086
	curl -sSf $2/healthz >/dev/null || fail "the public socket of $1 is lost when the service stops"
	stop_all
	ok "systemd: $1 starts by a connection, and its sockets outlive it"
}

start "$work/mock.log" logout-gateway mock
wait_until curl -sSf "$mock/auth/v1/health"
check_missing_secret
check_service
check_bad_configuration
check_restart_after_crash
check_instances
check_unix_socket
check_sockets logout-gateway http://127.0.0.1:8080 http://127.0.0.1:9090
check_sockets logout-gateway@shop "--unix-socket /run/logout-gateway-shop/public.sock http://localhost" \
	"--unix-socket /run/logout-gateway-shop/admin.sock http://localhost"
check_further_credentials
check_low_port
check_commands
touch /checks/passed
