"""python -m netmgr"""

import sys

from netmgr.cli import main

if __name__ == "__main__":
    sys.exit(main())
