"""What the kernel tells of this process."""

import os
import resource
import time
from typing import Dict

STARTED, VIRTUAL, RESIDENT = 19, 20, 21     # of /proc/self/stat, counted behind the name in brackets


def measures() -> Dict[str, float]:
    """By the names that Prometheus gives them; what cannot be read is left out."""
    times = os.times()
    found = {"cpu_seconds_total": times.user + times.system}
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found["max_fds"] = -1.0 if most == resource.RLIM_INFINITY else most
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[STARTED]) / os.sysconf("SC_CLK_TCK")
        found["start_time_seconds"] = round(time.time() - age, 2)
        found["virtual_memory_bytes"] = int(fields[VIRTUAL])
        found["resident_memory_bytes"] = int(fields[RESIDENT]) * os.sysconf("SC_PAGE_SIZE")
        found["open_fds"] = len(os.listdir("/proc/self/fd")) - 1        # one is that of the look itself
    except OSError:
        pass
    return found
