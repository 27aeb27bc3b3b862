# Everything here works on a fresh checkout: .ci/setup installs what is missing and makes .venv.

ARGS =
BUILT_FROM := $(wildcard setup.py pyproject.toml csrc/*.py csrc/*.c csrc/*.h .ci/setup)
PEERS := $(patsubst benchmarks/peers/%.c,benchmarks/.peers/%,$(wildcard benchmarks/peers/*.c))

.PHONY: demo demo-fleet test lint schema test-pythons test-kernels test-faults soak test-outages test-system wheel deb release-check bench bench-quick clean

demo: .venv/ready
	.venv/bin/netmgr demo $(ARGS)

# Three members of etcd and three hosts with a netmgr each, in namespaces on this machine.
demo-fleet: .venv/fleet
	PATH="$$PATH:/usr/sbin:/sbin"; export PATH; rights=$$(.ci/rights) && $$rights .venv/bin/python -m tests.fleet.demo $(ARGS)

test: .venv/ready
	.ci/test $(ARGS)

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/mypy

schema: .venv/ready
	.venv/bin/python -c 'from netmgr.config import json_schema; print(json_schema.text(), end="")' > pkg-files/schema/netmgr.schema.json

# Outages of etcd of half a minute with leases of ten seconds: too long for every run of the tests.
test-outages: .venv/fleet
	.ci/test -q tests/fleet/outages.py $(ARGS)

test-pythons: .venv/ready
	.ci/pythons $(ARGS)

test-kernels: .venv/kernels
	.venv/bin/python -m tests.kernels $(ARGS)

# Takes about an hour; ARGS="-k runs" is a part of it.
test-faults: .venv/faults
	.ci/test -q tests/faults --ignore=tests/faults/test_soak.py $(ARGS)

# Takes $NETMGR_SOAK_SECONDS, ten minutes by default.
soak: .venv/faults
	.ci/test -q -rP tests/faults/test_soak.py $(ARGS)

# Boots Debian 12 and 13, and takes root.
test-system: .venv/system
	PATH="$$PATH:/usr/sbin:/sbin" .venv/bin/python -m pytest tests/system $(ARGS)

wheel: .venv/ready
	pkg-files/build-wheel

deb:
	pkg-files/build-deb

release-check: .venv/ready
	.ci/release-check

# Takes some 18 minutes of an idle machine, and bench-quick five.
bench bench-quick: benchmarks/.venv/ready $(PEERS) .venv/engines .venv/monitoring
	PATH="$$PATH:/usr/sbin:/sbin" benchmarks/.venv/bin/python -m benchmarks.report $(if $(filter bench-quick,$@),--quick)

clean:
	rm -rf benchmarks/.venv benchmarks/.peers
	rm -rf .venv .cache build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache netmgr/_nftcodec.c netmgr/_nftcodec*.so
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/ready: $(BUILT_FROM)
	.ci/setup

.venv/engines .venv/faults .venv/fleet .venv/kernels .venv/monitoring .venv/system: .venv/ready
	.ci/setup $(@F)
	touch $@

benchmarks/.venv/ready: .venv/ready benchmarks/setup.sh $(wildcard netmgr/*.py netmgr/*/*.py)
	benchmarks/setup.sh

benchmarks/.peers/%: benchmarks/peers/%.c benchmarks/peers/common.h
	mkdir -p benchmarks/.peers
	$(CC) -O2 -Wall -Wextra -o $@ $< $$(pkg-config --cflags --libs libnftnl libmnl)
