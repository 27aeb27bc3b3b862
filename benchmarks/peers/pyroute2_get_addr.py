"""IPRoute.get_addr() from end to end: pyroute2_get_addr.py ROUNDS

Prints the seconds of each round and the number of addresses.
"""

import sys
import time

from pyroute2 import IPRoute

with IPRoute() as ipr:
    for _round in range(int(sys.argv[1])):
        start = time.perf_counter()
        count = sum(1 for _message in ipr.get_addr())
        print(time.perf_counter() - start, count)
