"""netmgr that counts its own calls: counting.py FILE PYTHON -m netmgr, then netmgr's arguments

At its end FILE has a line for each time that it was awake and sent something to nf_tables: how many functions of Python were called from
waking up to the last sending, and from there to the next sleep, and the words of them all.
"""

import json
import sys
from typing import Any, List

FILE = sys.argv[1]
sys.argv[1:] = sys.argv[5:]

awake: List[str] = []
sent: List[int] = []        # how many there were before each sending
lines: List[str] = []


def note(frame: Any, event: str, what: Any) -> None:
    """Called by the interpreter with each call and return."""
    if event == "call":
        awake.append("%s %s" % (frame.f_code.co_filename.rpartition("netmgr/")[2], frame.f_code.co_name))
    elif event == "c_call" and getattr(what, "__qualname__", "") == "socket.send" and frame.f_code.co_name == "exchange":
        sent.append(len(awake))
    elif event == "c_call" and getattr(what, "__qualname__", "") == "epoll.poll" and sent:
        lines.append(json.dumps([sent[-1], len(awake) - sent[-1], awake]))
    elif event == "c_return" and getattr(what, "__qualname__", "") == "epoll.poll":
        awake.clear()
        sent.clear()


def main() -> int:
    """netmgr's."""
    from netmgr import cli
    sys.setprofile(note)
    try:
        return cli.main()
    finally:
        sys.setprofile(None)
        with open(FILE, "w") as file:
            file.write("\n".join(lines))


sys.exit(main())
