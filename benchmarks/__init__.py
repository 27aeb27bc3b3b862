"""How fast netmgr is, beside others that do the same: `make bench`, `make bench-quick`, or one program by `python -m benchmarks.parse`."""
