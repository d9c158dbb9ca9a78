#!/usr/bin/env bash
# Runs the gateway as a container would: with the environment, the files, the user and the ports that the directory $1
# describes, a read-only root, and a network of its own, in which GoTrue's mock is http://127.0.0.1:9999/auth/v1 and
# http://auth:9999, and Redis is at 127.0.0.1:6379. Then it asks the probes, signs a user out, and stops the gateway.
#
# Usage: unshare --net --mount tests/dist/lib/pod.bash <pod> <binary>
# shellcheck source=tests/dist/lib/checks.bash
. "$(dirname "$0")/checks.bash"
pod=$1
binary=$2
public=$(cat "$pod/public")
make_work_directory
ip link set lo up
# ADDRESS of pod.py.
ip address add 192.0.2.2/32 dev lo

# In this mount namespace alone: the container's binary, its secrets, and its names of other containers.
mount -t tmpfs -o mode=755 tmpfs /run
cp -a "$pod/root/run/." /run/
mkdir /run/container
touch /run/container/logout-gateway
mount --bind "$binary" /run/container/logout-gateway
printf '127.0.0.1 localhost\n127.0.0.2 auth\n' >/run/container/hosts
mount --bind /run/container/hosts /etc/hosts
# The volume's mount point is not made on the machine; nginx needs its own directory.
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir /var/lib/nginx
if [ -e "$pod/volume" ]; then
	mkdir "$(cat "$pod/volume")"
	mount -t tmpfs -o uid=65532,gid=65532 tmpfs "$(cat "$pod/volume")"
fi

start "$work/mock.log" "$binary" mock --bind 127.0.0.1:9999 --alg HS256
start "$work/redis.log" redis-server --bind 127.0.0.1 --port 6379 --save '' --dir "$work"
wait_until redis-cli ping
wait_until curl -sSf http://127.0.0.1:9999/auth/v1/health
# GoTrue's container has no prefix /auth/v1.
cat >"$work/nginx.conf" <<NGINX
daemon off;
pid $work/nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	server {
		listen 127.0.0.2:9999;
		location / { proxy_pass http://127.0.0.1:9999/auth/v1/; }
	}
}
NGINX
start "$work/nginx.log" nginx -c "$work/nginx.conf"
wait_until curl -sSf http://127.0.0.2:9999/health

mapfile -t environment <"$pod/env"
mapfile -t arguments <"$pod/args"
# The container's binary; its arguments follow.
# shellcheck disable=SC2016 # the inner shell expands its arguments
container=(
	unshare --mount sh -c 'mount -o remount,bind,ro / && exec "$@"' sh
	env -i PATH=/run/container "${environment[@]}"
	/usr/bin/setpriv --reuid 65532 --regid 65532 --clear-groups --bounding-set=-all --no-new-privs
	/run/container/logout-gateway
)
start "$work/gateway.log" "${container[@]}" "${arguments[@]}"
gateway=$!
while read -r url; do
	wait_until curl -sSf "$url"
	ok "200 from $url"
done <"$pod/urls"
if [ -e "$pod/health" ]; then
	mapfile -t health <"$pod/health"
	wait_until "${container[@]}" "${health[@]}"
	ok "the health check logout-gateway ${health[*]} succeeds in the container"
fi
"${container[@]}" check >"$work/check.log" 2>&1 || fail 'logout-gateway check failed in the container'
ok 'logout-gateway check succeeds in the container'
while read -r route; do
	[ "$(curl -sS -o "$work/body" -w '%{http_code}' "$route")" != 404 ] || fail "there is no route $route"
	ok "the gateway has the route $route"
done <"$pod/routes"

check_logout http://127.0.0.1:9999 "$public"
[ "$(curl -sS -o "$work/body" -w '%{http_code}' "$public/api/auth/verify" -H "Authorization: Bearer $token")" = 401 ] ||
	fail 'verify accepts the token of an ended session'
ok 'a logout ends the session, and verify refuses its token'

if [ -e "$pod/volume" ]; then
	[ -s "$(cat "$pod/volume")/store.redb" ] || fail 'there is no store on the volume'
	ok 'the store is on the volume'
elif [[ " ${environment[*]} " == *' GATEWAY_STORE_FILE='* ]]; then
	[ "$(redis-cli dbsize)" != 0 ] || fail 'Redis has no keys'
	ok 'the store is Redis'
fi

kill -TERM "$gateway"
wait "$gateway" || fail "the gateway stopped with status $?"
while read -r file; do
	! grep -qF -f "$file" "$work/gateway.log" || fail "the log has the value of $file"
done < <(find /run/secrets -type f)
ok 'SIGTERM stops the gateway, and no secret is in its log'
