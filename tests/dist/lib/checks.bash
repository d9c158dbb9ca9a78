# shellcheck shell=bash
# What the scripts of tests/dist share. A script reads this file first; then it runs with `set -euo pipefail` in the
# repository's root, $repository. It calls `isolate` or `make_work_directory` before anything that needs $work.
set -euo pipefail
script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
repository=$PWD
# Debian has nginx and chroot in /usr/sbin, which is not in the PATH of every user.
PATH=$repository/target/tools/bin:$repository/target/tools/venv/bin:$PATH:/usr/sbin
# No __pycache__ in the repository.
export PYTHONDONTWRITEBYTECODE=1
started=()

# Results

ok() {
	echo "ok $*"
}

# Ends the test, and shows the end of each log in $work.
fail() {
	echo "not ok $*" >&2
	local log
	for log in "${work:-/nonexistent}"/*.log; do
		[ -s "$log" ] || continue
		echo "the end of ${log##*/}:" >&2
		tail -n 20 "$log" >&2
	done
	exit 1
}

# $1 says what is compared, $2 is the value, $3 the expected one.
equal() {
	[ "$2" = "$3" ] || fail "$1: '$2' is not '$3'"
}

# $1 says what is searched, $2 is the text, $3 the part that it must have.
contain() {
	[[ $2 == *"$3"* ]] || fail "$1: no '$3' in '$2'"
}

# Fails unless the command fails with a message that has the text $1.
refuses() {
	local text=$1
	shift
	if "$@" >"$work/refusal.log" 2>&1; then
		fail "this succeeded: $*"
	fi
	grep -qF -- "$text" "$work/refusal.log" || fail "the message does not have '$text': $*"
}

# Repeats a command until it succeeds, for a minute at most.
wait_until() {
	local end=$((SECONDS + 60))
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail "this did not succeed within a minute: $*"
		# The pause only spares the processor; the condition decides.
		sleep 0.1
	done
}

# Files and processes of the test

# Makes $work, a directory that is removed when the script ends, after the processes that `start` has started.
make_work_directory() {
	work=$(mktemp -d)
	trap 'stop_started && rm -rf "$work"' EXIT
}

# Runs the calling script again in namespaces of its own: its ports are free, its mounts are private, and its processes
# end with it, even if it fails. Then $work is a file system in memory.
isolate() {
	if [ -z "${ISOLATED:-}" ]; then
		[ "$(id -u)" = 0 ] || fail "$script mounts file systems: run it as root"
		ISOLATED=1 exec unshare --mount --net --uts --ipc --pid --fork --kill-child --mount-proc "$script" "$@"
	fi
	ip link set lo up
	work=$(mktemp -d)
	# No `rm -r`: directories of this machine may be mounted below.
	trap 'stop_started && umount --lazy "$work" && rmdir "$work"' EXIT
	mount -t tmpfs tmpfs "$work"
}

# Runs a command in the background; its output goes to the file $1. The last command that was started is $!.
start() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 &
	started+=($!)
}

stop_started() {
	local pid
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# Mounts a writable view of this machine's files at $1, so that the machine itself does not change.
mount_overlay() {
	local space=$1.space
	mkdir -p "$1" "$space"
	mount -t tmpfs tmpfs "$space"
	mkdir "$space/upper" "$space/work"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$1"
}

# Mounts at $1 a view of this machine's files in which packages can be installed with chroot.
mount_root() {
	mount_overlay "$1"
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs tmpfs "$1/run"
}

# What is tested

# Sets $binary: the one that GATEWAY_BINARY names, or that of cargo build.
need_binary() {
	binary=$(realpath "${GATEWAY_BINARY:-target/debug/logout-gateway}")
	if [ ! -x "$binary" ]; then
		echo "$binary is missing: run cargo build --locked, or name a binary in GATEWAY_BINARY" >&2
		exit 2
	fi
}

# Sets $units, the directory of the systemd units, and $sysusers, the file that makes their user: those of the unpacked
# package in PACKAGE_ROOT, or the checkout's.
# shellcheck disable=SC2034 # the scripts use sysusers
need_units() {
	units=packaging/linux
	sysusers=packaging/linux/logout-gateway.sysusers
	if [ -n "${PACKAGE_ROOT:-}" ]; then
		units=$PACKAGE_ROOT/usr/lib/systemd/system
		sysusers=$PACKAGE_ROOT/usr/lib/sysusers.d/logout-gateway.conf
	fi
}

# Sets $dist: the directory that DIST names, or that of make dist.
need_dist() {
	dist=$(realpath "${DIST:-dist}")
	if [ ! -d "$dist" ]; then
		echo "$dist is missing: run make dist, or name its directory in DIST" >&2
		exit 2
	fi
}

# Prints the one file of $dist whose name matches the pattern $1.
dist_file() {
	local found
	found=$(find "$dist" -maxdepth 1 -name "$1")
	[ -f "$found" ] || fail "there is not one file $1 in $dist: make dist builds it"
	echo "$found"
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

# Installs the binary $binary and the systemd units of $units in the root tree $1.
install_units() {
	cp -a "$units"/*.service "$units"/*.socket "$units"/*.service.d "$1/usr/lib/systemd/system"
	install -m755 "$binary" "$1/usr/bin/logout-gateway"
}

# Sessions of the mock

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
# Sets $token to the access token of that session.
check_logout() {
	local mock=$1 answer
	shift
	token=$(sign_up "$mock")
	equal "the session's status before the logout" "$(session_status "$mock" "$token")" 200
	answer=$(curl -sS -D "$work/logout.head" -X POST -H "Authorization: Bearer $token" "${@:1:$#-1}" "${!#}/api/auth/logout")
	equal "the answer to the logout" "$answer" '{"data":{"success":true}}'
	contain "the head of the answer" "$(tr 'A-Z\r' 'a-z ' <"$work/logout.head")" 'x-logout-outcome: revoked '
	equal "the session's status after the logout" "$(session_status "$mock" "$token")" 403
}

# $1: name, $2: directory, $3: the least number of links in its documents. Code blocks have no links.
check_links() {
	local document target count=0
	while read -r document target; do
		count=$((count + 1))
		[ -e "$(dirname "$document")/$target" ] || fail "$1: ${document#"$2"/} links to $target"
	done < <(
		find "$2" -name '*.md' | while read -r document; do
			# shellcheck disable=SC2016 # these are backticks of Markdown
			sed '/^ *```/,/^ *```/d' "$document" | grep -oE '\]\([^)#:]+[)#]' | sed "s|^](|$document |; s|[)#]$||" || true
		done
	)
	[ "$count" -ge "$3" ] || fail "$1: only $count links"
	ok "$1: its $count links between files lead to files that it has"
}
