"""Memory for what comes from the kernel and goes to it: it is not taken until it is written to, for mostly very little comes."""

from __future__ import annotations

from netmgr._nftcodec import ffi


def room(size: int) -> memoryview:
    """So many bytes, all of them zero."""
    return memoryview(ffi.buffer(ffi.new("uint8_t[]", size)))
