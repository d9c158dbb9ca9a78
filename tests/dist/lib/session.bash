# shellcheck shell=bash
# Functions for the tests of what is shipped: they wait for servers, and check by GoTrue's answers that a logout through
# the gateway ends a session.

ok() { echo "ok $*"; }

# Ends the test. The logs of the servers that it started are in its directory $work.
fail() {
	echo "not ok $*" >&2
	tail -n 5 "${work:-/nonexistent}"/*.log >&2 2>/dev/null || true
	exit 1
}

# Runs the calling script again in namespaces of its own: its ports are free, its mounts are private, and its processes
# end with it, even if it fails.
isolate() {
	if [ -n "${ISOLATED:-}" ]; then
		ip link set lo up
		return
	fi
	[ "$(id -u)" = 0 ] || fail "$0 mounts file systems: run it as root"
	ISOLATED=1 exec unshare --mount --net --uts --ipc --pid --fork --kill-child --mount-proc "$0" "$@"
}

# Runs a command until it succeeds, for a minute at most.
wait_until() {
	local end=$((SECONDS + 60))
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail "it did not happen within a minute: $*"
		# The pause only spares the processor; the condition decides.
		sleep 0.1
	done
}

# Checks that the program $1 was built for the architecture $2: the machine is in octets 18 and 19 of an ELF file.
check_machine() {
	local machine
	machine=$(od -An -tx1 -j18 -N2 "$1" | tr -d ' ')
	case $2:$machine in
	x86_64:3e00 | aarch64:b700) ;;
	*) fail "$1 is not a program for $2: ELF machine $machine" ;;
	esac
}

# Mounts a writable view of this machine's files at $1, so that packages can be installed without changing the machine.
mount_overlay() {
	local space=$1.space
	mkdir -p "$1" "$space"
	mount -t tmpfs tmpfs "$space"
	mkdir "$space/upper" "$space/work"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$1"
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs tmpfs "$1/run"
}

# Signs a user up at the mock $1 and prints the access token.
sign_up() {
	curl -sSf -H 'Content-Type: application/json' \
		-d "{\"email\":\"user-$RANDOM$RANDOM@example.com\",\"password\":\"correct-horse-9\"}" \
		"$1/auth/v1/signup" | jq -er .access_token
}

# Prints the status with which the mock $1 answers the access token $2: 200 while the session is valid.
session_status() {
	curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $2" "$1/auth/v1/user"
}

# Ends a session of the mock $1 through the gateway. The other arguments are curl's, and end with the gateway's URL.
check_logout() {
	local mock=$1 token answer
	shift
	token=$(sign_up "$mock")
	[ "$(session_status "$mock" "$token")" = 200 ] || fail "the session was not valid before the logout"
	answer=$(curl -sS -X POST -H "Authorization: Bearer $token" "${@:1:$#-1}" "${!#}/api/auth/logout")
	[ "$answer" = '{"data":{"success":true}}' ] || fail "the logout was answered $answer"
	[ "$(session_status "$mock" "$token")" = 403 ] || fail "the session is still valid after the logout"
}
