# What a person or CI does with this repository, one target each. `make` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

INSTALL := tests/stack/install.sh
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The pinned tools of the cache come before any other on the PATH.
with = PATH="$$($(INSTALL) --where $(1))/bin:$$PATH"

# nextest refuses a filter that names no existing binary.
without_conformance = $(if $(wildcard tests/conformance_*.rs),-E 'not binary(/^conformance_/)')

.PHONY: help build-deps build demo test test-unit simulate fuzz conformance conformance-table chaos bench scale flame guard \
	lint audit hooks chart deploy deploy-quick image generated

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build-deps:
	@$(INSTALL) build-deps

build: build-deps ## Build the release binary, target/release/tidegate
	cargo build --locked --release

demo: build ## Build, then run the main job on embedded defaults; DEMO_SECONDS=20 ends it by itself
	@$(TARGET)/release/tidegate demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

# The last line printed must be the test runner's own: nothing may follow nextest.
test: ## Everything: formats, lints, and all tests against real servers (installs what it needs)
	@$(INSTALL) build-deps cargo-nextest quick
	@tests/data/install.sh
	@$(MAKE) lint
	@TIDEGATE_SCHEDULES=$(or $(SCHEDULES),10000) TIDEGATE_BATCHES=10000 \
		$(call with,cargo-nextest) tests/stack/run.sh cargo nextest run --locked --profile ci $(without_conformance)

test-unit: ## The tests that need no server, in seconds
	@if $(INSTALL) --have cargo-nextest; \
	then $(call with,cargo-nextest) cargo nextest run --locked --lib --bins; \
	else cargo test --locked --lib --bins; fi

# Seeds of failing schedules are printed; docs/testing.md tells how to read one.
simulate: build-deps ## Workers in virtual time under random faults: SCHEDULES=100000 and SEED=1 for others
	@$(INSTALL) cargo-nextest
	@TIDEGATE_SCHEDULES=$(or $(SCHEDULES),10000) TIDEGATE_SEED=$(or $(SEED),1) $(call with,cargo-nextest) \
		cargo nextest run --locked --lib -E 'test(/^worker::tests::simulation::/)'

fuzz: build-deps ## Random bytes into every parser, for SECONDS=60 in all (builds for some minutes first)
	@fuzz/run.sh $(or $(SECONDS),60) $(TARGETS)

conformance: ## The same suite over every database (builds the servers once, about 35 minutes)
	@$(INSTALL) build-deps cargo-nextest matrix
	@tests/data/install.sh
	@TIDEGATE_STACK="kafka victoria-metrics prometheus influxdb1 influxdb2 mimir cortex questdb" $(call with,cargo-nextest) \
		tests/stack/run.sh cargo nextest run --locked --profile ci -E 'binary(/^(conformance_|audit$$)/)'

conformance-table: ## docs/sinks.md's tables anew, from the report of the last `make conformance`
	@TIDEGATE_WRITE_TABLE=yes cargo test --locked --quiet --test conformance_sinks

# First the binary that is wrong on purpose, then the right one, which stays where `cargo build` leaves it.
chaos: ## Every fault at once, for SECONDS (60); SEED repeats a run's choices (default: another each time)
	@$(INSTALL) build-deps cargo-nextest kafka prometheus influxdb2
	cargo build --locked --features commit-before-write
	@mkdir -p $(TARGET)/chaos
	@cp $(TARGET)/debug/tidegate $(TARGET)/chaos/tidegate-commit-before-write
	@TIDEGATE_CHAOS_SECONDS=$(or $(SECONDS),60) $(if $(SEED),TIDEGATE_SEED=$(SEED)) \
		TIDEGATE_COMMITS_FIRST=$(abspath $(TARGET))/chaos/tidegate-commit-before-write \
		$(call with,cargo-nextest) cargo nextest run --locked --test chaos --no-capture --run-ignored all

bench: build-deps ## Tidegate beside a bare consumer, Telegraf and Kafka Connect, on a real Kafka (15 minutes)
	@$(INSTALL) kafka $(if $(filter 0,$(BENCH_PEERS)),,peers)
	cargo build --locked --release --bins --example bench
	$(TARGET)/release/examples/bench compare

scale: build-deps ## How cost, memory and latency grow with partitions, series and sizes (15 minutes)
	@$(INSTALL) kafka
	cargo build --locked --release --bins --example bench
	$(TARGET)/release/examples/bench scale

flame: build-deps ## A flame graph of where the time goes, OUTPUT=line_protocol or remote_write, target/report/flame-OUTPUT.svg
	@$(INSTALL) kafka perf inferno
	cargo build --locked --release --bins --example bench
	@OUTPUT=$(or $(OUTPUT),line_protocol) TARGET=$(TARGET) $(call with,inferno) bench/flame.sh

guard: build-deps ## Instructions per message in decode, map and encode against bench/instructions.json
	@$(INSTALL) valgrind
	cargo build --locked --release --example bench
	@bench/guard.sh

lint: build-deps ## Formats, lints, and (when cargo-deny is installed) the dependencies' licences and sources
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	@if $(INSTALL) --have cargo-deny; \
	then $(call with,cargo-deny) cargo deny --locked --log-level error check bans licenses sources; \
	else echo "cargo deny: skipped; to have it: $(INSTALL) cargo-deny"; fi

# Apart from lint, because it fetches the advisories anew each time: the same commit may pass today and fail tomorrow.
audit: ## The dependencies against today's security advisories (needs the network)
	@$(INSTALL) cargo-deny
	@$(call with,cargo-deny) cargo deny --locked check advisories

chart: ## The Helm chart: lint, schemas of five Kubernetes versions, templates (a minute; no cluster)
	@$(INSTALL) helm kube-schemas
	@TIDEGATE_STACK= tests/deploy/run.sh test_templates

# As root on Debian 12: buildah, and base images made of Debian's packages, since an image registry may be out of reach.
image: build-deps ## The container image, built without a container daemon, and the main job run in it (10 minutes from bare)
	@$(INSTALL) image-bases helm kube-schemas quick
	@docker/image.sh $(TARGET)/image
	@TIDEGATE_STACK="kafka victoria-metrics" tests/deploy/run.sh test_image

# What .ci/run can afford: kube-apiserver and Alertmanager would be 10 minutes of building on top of it.
deploy-quick: ## Of `make deploy` what needs no server beyond those of `make conformance` (2 minutes)
	@$(INSTALL) build-deps helm kube-schemas compose-go kafka confluent-kafka victoria-metrics prometheus influxdb1 influxdb2 mimir
	cargo build --locked
	@tests/deploy/run.sh test_docs test_process test_apply test_dashboards test_compose test_alerts.RuleFiles

deploy: ## The chart in a real Kubernetes API, dashboards against real databases, alerts end to end (30 minutes from bare)
	@$(INSTALL) build-deps deploy
	cargo build --locked
	@tests/deploy/run.sh

generated: ## Anew: what is made from the chart's values, from the alerts and dashboards, and from the compose files
	@$(INSTALL) helm
	@helm/readme.py
	@TIDEGATE_WRITE_GRAFANA=yes cargo test --locked --quiet --lib grafana::tests
	@helm/manifests.py
	@docker/generate.sh

hooks: ## Run the fast checks before each commit
	git config core.hooksPath .githooks
