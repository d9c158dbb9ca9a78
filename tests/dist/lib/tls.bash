# shellcheck shell=bash disable=SC2154 # $work is that of checks.bash
# Starts nginx with a certificate of a private authority at https://127.0.0.1:9443, in front of the mock. The
# authority's certificate is in $work/ca.pem.
start_tls() {
	(cd "$work" && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Private CA' -keyout ca.key -out ca.pem &&
		openssl req -newkey rsa:2048 -nodes -subj '/CN=gotrue' -keyout tls.key -out tls.csr &&
		openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -days 2 -out tls.pem \
			-extfile <(echo subjectAltName=IP:127.0.0.1)) 2>"$work/openssl.txt" || fail "openssl"
	cat >"$work/nginx.conf" <<-CONF
		daemon off;
		pid $work/nginx.pid;
		error_log $work/nginx.log;
		events {}
		http {
			access_log off;
			server {
				listen 127.0.0.1:9443 ssl;
				ssl_certificate $work/tls.pem;
				ssl_certificate_key $work/tls.key;
				location / { proxy_pass http://127.0.0.1:9999; }
			}
		}
	CONF
	start "$work/nginx-start.log" nginx -c "$work/nginx.conf"
}
