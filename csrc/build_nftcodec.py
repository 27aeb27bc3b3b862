"""Builds netmgr._nftcodec: the codecs beside this file, declared to cffi by the same headers that the compiler reads, and two system calls.

Paths are relative to the project's root, where setuptools runs this from, also when it builds from a source distribution.
By hand: python setup.py build_ext --inplace
"""

import os

from cffi import FFI

_HERE = os.path.dirname(os.path.abspath(__file__))


def declarations(header: str) -> str:
    """The header without its preprocessor lines, which cffi does not take."""
    return "".join(line for line in header.splitlines(True) if not line.startswith("#"))


# What a process needs of the C library to give up rights, which Python has no words for.
RIGHTS = """
int prctl(int option, ...);
long syscall(long number, ...);
static const long SYS_capset;
"""
RIGHTS_HEADERS = "#include <sys/prctl.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"

CODECS = ("nftcodec", "rtcodec", "textcodec")

ffibuilder = FFI()
ffibuilder.cdef(RIGHTS)
for _name in CODECS:
    with open(os.path.join(_HERE, _name + ".h"), encoding="utf-8") as _header:
        ffibuilder.cdef(declarations(_header.read()))
ffibuilder.set_source(
    "netmgr._nftcodec", RIGHTS_HEADERS + "".join('#include "%s.h"\n' % name for name in CODECS),
    sources=["csrc/%s.c" % name for name in CODECS], depends=["csrc/%s.h" % name for name in CODECS],
    include_dirs=["csrc"], libraries=["nftnl", "mnl"],
    extra_compile_args=["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"],
)
