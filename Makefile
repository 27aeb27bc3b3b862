# Everything here works on a fresh checkout: .ci/setup installs what is missing and makes .venv.

ARGS =
BUILT_FROM := $(wildcard setup.py pyproject.toml csrc/*.py csrc/*.c csrc/*.h .ci/setup)

.PHONY: demo test lint test-pythons wheel clean

demo: .venv/ready
	.venv/bin/netmgr demo

test: .venv/ready
	.ci/test $(ARGS)

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/mypy

test-pythons: .venv/ready
	.ci/pythons $(ARGS)

wheel: .venv/ready
	.venv/bin/python -m build --outdir dist

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache netmgr/_nftcodec.c netmgr/_nftcodec*.so
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/ready: $(BUILT_FROM)
	.ci/setup
