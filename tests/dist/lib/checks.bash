# What the scripts of tests/dist share. A script that reads this file runs with `set -euo pipefail`, in the repository's
# root, and has a directory $work that is removed when it ends, after the processes that it started with `start`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
root=$PWD
PATH=$root/target/tools/bin:$root/target/tools/venv/bin:$PATH
# No __pycache__ in the repository.
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
started=()

clean_up() {
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap clean_up EXIT

ok() {
	echo "ok $*"
}

fail() {
	echo "not ok $*" >&2
	exit 1
}

# Runs a command in the background; its output goes to the file $1. The last command that was started is $!.
start() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 &
	started+=($!)
}

# Repeats a command until it succeeds, for twenty seconds at most; then shows the file $1.
eventually() {
	local log=$1
	shift
	local deadline=$((SECONDS + 20))
	while [ "$SECONDS" -lt "$deadline" ]; do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	cat "$log" >&2
	fail "this never succeeded: $*"
}

# Fails unless the command fails with a message that has the text $1.
refuses() {
	local text=$1
	shift
	if "$@" >"$work/refusal" 2>&1; then
		fail "this succeeded: $*"
	fi
	grep -qF -- "$text" "$work/refusal" || {
		cat "$work/refusal" >&2
		fail "the message does not have «$text»: $*"
	}
}

# Sets $binary: the one that BINARY names, or that of cargo build.
need_binary() {
	binary=$(realpath "${BINARY:-target/debug/logout-gateway}")
	if [ ! -x "$binary" ]; then
		echo "$binary is missing: run cargo build --locked, or name a binary in BINARY" >&2
		exit 2
	fi
}
