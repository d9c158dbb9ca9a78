.DEFAULT_GOAL := help
.PHONY: demo test test-client test-npm test-e2e test-supabase examples dist test-dist lint run soak fuzz help

# The first build compiles all dependencies, so this line says why nothing else happens for a while.
demo: ## Mock, gateway and a page to try it on; Ctrl-C stops it
	@echo "Building logout-gateway and its dependencies (debug): two to three minutes the first time."
	cargo run --locked -- demo

test: ## All tests
	@tests/install-missing curl nginx caddy openssl prometheus redis-server systemd:systemd-socket-activate
	cargo test --locked --workspace --lib --test http --test replay --test supabase
	cargo test --locked --test secrets
	$(MAKE) test-e2e test-client test-npm

npm-ci = npm ci --ignore-scripts --no-audit --no-fund

# Prepares test-client, test-npm and test-e2e. They need a newer Node than Debian's, so npm installs one in tests/e2e.
.PHONY: pages
pages:
	@tests/install-missing nginx chromium openssl nodejs:node npm
	cargo build --locked
	cd clients/js && $(npm-ci)
	cd tests/e2e && $(npm-ci)

test-client: pages ## The browser client of clients/js, in Node and in Chromium
	cd clients/js && PATH="$(CURDIR)/tests/e2e/node_modules/.bin:$$PATH" npm test

test-npm: pages ## The npm packages that install the binary and start the mock, with the binary of target/debug
	cd packaging/npm/logout-gateway-mock && $(npm-ci)
	for package in logout-gateway logout-gateway-mock; do \
		(cd packaging/npm/$$package && PATH="$(CURDIR)/tests/e2e/node_modules/.bin:$$PATH" npm test) || exit 1; \
	done

test-e2e: pages ## A whole app behind nginx, in Chromium; pictures of the demo in tests/e2e/artefacts
	cd tests/e2e && npm test

.PHONY: pictures
pictures: pages ## The pictures of the README, docs/pictures, from the demo in Chromium
	cd tests/e2e && PATH="$(CURDIR)/tests/e2e/node_modules/.bin:$$PATH" node --test pictures.js

test-supabase: ## What becomes of sessions in the project that SUPABASE_URL and its key name
	@test -n "$$SUPABASE_URL" || { echo "SUPABASE_URL is not set: set it to the URL of the project to test"; exit 2; }
	TEST_SUPABASE=1 cargo test --locked --test supabase

# Go builds Traefik from its own module, with the dependencies that its go.sum names. The first build takes a quarter of
# an hour or more, and needs some 5 GB, so no other target runs these tests.
TRAEFIK_VERSION := v3.5.3
traefik := target/tools/traefik-$(TRAEFIK_VERSION)

$(traefik):
	@go version >/dev/null || { echo "Go is not installed: it builds Traefik"; exit 2; }
	module=$$(go mod download -json github.com/traefik/traefik/v3@$(TRAEFIK_VERSION) | \
		sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
		cd "$$module" && go build -ldflags "-s -w" -o "$(CURDIR)/$@" ./cmd/traefik

.PHONY: test-traefik
test-traefik: $(traefik) ## The Traefik configuration of docs/proxies/traefik.md, with the real Traefik
	TRAEFIK="$(CURDIR)/$(traefik)" cargo test --locked --test api forward_auth::traefik -- --ignored

examples: ## The apps of examples/, built and driven in Chromium, and those that test with the mock
	@tests/install-missing chromium nodejs:node npm
	cargo build --locked
	for app in nextjs sveltekit drive ci vitest jest playwright; do \
		(cd examples/$$app && $(npm-ci)) || exit 1; \
	done
	cd examples/drive && npm test
	for app in ci vitest jest playwright; do \
		(cd examples/$$app && PATH="$(CURDIR)/examples/drive/node_modules/.bin:$$PATH" npm test) || exit 1; \
	done

dist: ## Everything that is shipped, for x86_64 and aarch64, in dist/: half an hour with two cores
	packaging/dist

test-dist: ## What make dist has built: in empty roots, as packages, images, charts and npm packages
	tests/dist/run

lint: ## Formatting, lints, documentation and, where it is installed, cargo-deny
	cargo fmt --check --all
	cargo fmt --check --all --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: dependencies' licences and sources were not checked"; fi

soak: ## 200,000 requests while GoTrue fails at random: some five minutes
	cargo bench --locked --bench soak

.PHONY: bench-instructions
bench-instructions: ## Instructions of each request, beside the baseline; GATEWAY_BINARY=<path> counts another build
	@tests/install-missing valgrind python3
	test -n "$$GATEWAY_BINARY" || cargo build --locked --release
	python3 -B benches/instructions/count.py

# What cannot be installed is left out of the measurement. The benchmark itself installs oauth2-proxy and npm packages.
.PHONY: prepare-bench
prepare-bench:
	-@tests/install-missing nginx redis-server nodejs:node npm
	test -n "$$GATEWAY_BINARY" || cargo build --locked --release
	cargo build --locked --profile quick --package bench-peers

ROUNDS ?= 5
CHARTS ?= target/bench
bench-options = --binary "$${GATEWAY_BINARY:-target/release/logout-gateway}" --rounds $(ROUNDS) --charts $(CHARTS)

.PHONY: bench bench-growth
bench: prepare-bench ## The gateway beside nginx, oauth2-proxy and Node.js; ROUNDS=1, GATEWAY_BINARY=<path>: another build
	target/quick/bench-peers peers $(bench-options)

bench-growth: prepare-bench ## How its cost grows with connections, revocations and instances; ROUNDS and GATEWAY_BINARY too
	target/quick/bench-peers growth $(bench-options)

run: ## The gateway, configured by the environment
	cargo run --locked --release -- serve

SECONDS ?= 60
TARGETS ?= token cookies csrf router answers

fuzz: ## Every fuzz target for a minute; SECONDS=10 for less time, TARGETS=token for one of them
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz@0.13.2
	cargo run --quiet --manifest-path fuzz/seeds/Cargo.toml
	cargo fuzz build --sanitizer none
	for target in $(TARGETS); do \
		cargo fuzz run --sanitizer none $$target -- -max_total_time=$(SECONDS) -max_len=8192 \
			-dict=fuzz/words.dict -timeout=10 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 || exit 1; \
	done

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
