"""The one thing that pyproject.toml cannot say: the C codec is built by cffi."""

from setuptools import setup

setup(
    license="GPL-2.0-or-later",
    cffi_modules=["csrc/build_nftcodec.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp39"}},
)
