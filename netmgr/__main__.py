"""The program `netmgr`, also as python -m netmgr.

Loading makes very many objects and no garbage, so that nobody needs to look for it meanwhile.
"""

import gc
import sys


def main() -> int:
    """Load what a command takes, and run it; the exit status."""
    gc.disable()
    from netmgr.cli import main
    gc.enable()
    return main()


if __name__ == "__main__":
    sys.exit(main())
