"""Builds netmgr._nftcodec: nftcodec.c and rtcodec.c, declared to cffi by the same headers that the compiler reads.

Paths are relative to the project's root, where setuptools runs this from, also when it builds from a source distribution.
By hand: python setup.py build_ext --inplace
"""

import os

from cffi import FFI

_HERE = os.path.dirname(os.path.abspath(__file__))


def declarations(header: str) -> str:
    """The header without its preprocessor lines, which cffi does not take."""
    return "".join(line for line in header.splitlines(True) if not line.startswith("#"))


ffibuilder = FFI()
for _name in ("nftcodec.h", "rtcodec.h"):
    with open(os.path.join(_HERE, _name), encoding="utf-8") as _header:
        ffibuilder.cdef(declarations(_header.read()))
ffibuilder.set_source(
    "netmgr._nftcodec", '#include "nftcodec.h"\n#include "rtcodec.h"',
    sources=["csrc/nftcodec.c", "csrc/rtcodec.c"], include_dirs=["csrc"], depends=["csrc/nftcodec.h", "csrc/rtcodec.h"],
    libraries=["nftnl", "mnl"],
    extra_compile_args=["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"],
)
