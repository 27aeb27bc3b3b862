"""Builds netmgr._nftcodec: nftcodec.c, declared to cffi by the same header that the compiler reads.

Paths are relative to the project's root, where setuptools runs this from, also when it builds from a source distribution.
By hand: python setup.py build_ext --inplace
"""

import os

from cffi import FFI

_HERE = os.path.dirname(os.path.abspath(__file__))


def declarations(header: str) -> str:
    """The header without its preprocessor lines, which cffi does not take."""
    return "".join(line for line in header.splitlines(True) if not line.startswith("#"))


with open(os.path.join(_HERE, "nftcodec.h"), encoding="utf-8") as _header:
    _declarations = declarations(_header.read())

ffibuilder = FFI()
ffibuilder.cdef(_declarations)
ffibuilder.set_source(
    "netmgr._nftcodec", '#include "nftcodec.h"',
    sources=["csrc/nftcodec.c"], include_dirs=["csrc"], depends=["csrc/nftcodec.h"], libraries=["nftnl", "mnl"],
    extra_compile_args=["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"],
)
