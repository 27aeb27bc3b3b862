"""From `docker run` to the element in its set, beside the engine's own event of the start.

A real dockerd in namespaces of its own starts containers, one after the other. One process listens to the engine's events and
to nf_tables, and notes when the event "start" comes and when netmgr's transaction does, both counted from the start of `docker run`.
"""

import json
import selectors
import socket
import statistics
import subprocess
import time
from typing import Callable, List, Tuple

from benchmarks.common import Section, main, milliseconds, times
from benchmarks.space import PATIENCE, Netmgr
from netmgr.io.nft import Watch
from tests.docker.engine import DockerEngine, why_no_docker

CONTAINERS, QUICK_CONTAINERS = 15, 4
CONFIGURATION = """\
interfaces: []
nftables: {table: inet filter, include_dir: %(directory)s/include}
docker: {enabled: true, socket: %(engine)s}
socket_path: %(directory)s/socket
"""
EVENTS = "GET /events?filters=%7B%22event%22%3A%5B%22start%22%5D%7D HTTP/1.1\r\nHost: engine\r\n\r\n"


def run(quick: bool) -> Section:
    """Start some containers, if there is an engine."""
    method = " ".join((__doc__ or "").split())
    reason = why_no_docker()
    if reason is not None:
        return Section("Containers", method, [], [], notes="Skipped: %s." % reason)
    engine = DockerEngine()
    try:
        engine.start()
        found = _measured(engine, QUICK_CONTAINERS if quick else CONTAINERS)
    finally:
        engine.close()
    event, element = (statistics.median(each) for each in zip(*found))
    behind = statistics.median(element - event for event, element in found)
    rows = [["event \"start\"", milliseconds(event), ""], ["element committed", milliseconds(element), times(element, event)],
            ["the element after the event", milliseconds(behind), ""]]
    return Section("Containers", method, ["from `docker run` to", "p50", "against the event alone"], rows)


def _measured(engine: DockerEngine, containers: int) -> List[Tuple[float, float]]:
    lab = engine.lab
    (lab.directory / "config.yaml").write_text(CONFIGURATION % {"directory": lab.directory, "engine": engine.socket})
    lab.nft("add table inet filter; add set inet filter docker_ips { type ipv4_addr; }")
    with Netmgr(lab) as netmgr, lab.inside():
        _until("netmgr finds the engine", lambda: netmgr.status()["sources"]["docker"]["state"] == "ok")
        found = []
        for number in range(containers):
            found.append(_one(engine, "number-%d" % number))
            _until("the set is empty again", lambda: netmgr.status()["sets"][0]["elements"] == 0)
        return found


def _until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("it does not come to pass that " + what)
        time.sleep(0.05)


def _one(engine: DockerEngine, name: str) -> Tuple[float, float]:
    """Seconds to the event and to the element."""
    watch = Watch()
    with socket.socket(socket.AF_UNIX) as events, selectors.DefaultSelector() as selector:
        events.connect(engine.socket)
        events.sendall(EVENTS.encode())
        events.recv(65536)
        selector.register(events, selectors.EVENT_READ)
        selector.register(watch, selectors.EVENT_READ)
        begin = time.monotonic()
        running = subprocess.Popen(engine.command(*engine.run_arguments(name)), stdout=subprocess.DEVNULL)
        seen = element = 0.0
        while not (seen and element):
            if not selector.select(PATIENCE):
                raise RuntimeError("nothing happens")
            now = time.monotonic()
            if any(change.process == "netmgr" for change in watch.drain()[0]):
                element = now - begin
            if _readable(events) and json.dumps(name) in events.recv(65536).decode():
                seen = now - begin
        running.wait(PATIENCE)
    watch.close()
    engine.docker("rm", "--force", name)
    return seen, element


def _readable(opened: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(opened, selectors.EVENT_READ)
        return bool(selector.select(0))


if __name__ == "__main__":
    main(run)
