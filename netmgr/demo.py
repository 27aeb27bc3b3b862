"""`netmgr demo`: the main job, live, in network namespaces of its own, on the real kernel.

The demo starts itself again under unshare(1), so nothing of the machine's own network is touched and all of it is gone at the end.
Each step (netmgr/demo_steps.py) runs commands that anybody could type, waits until the sets are as they should be, and shows them as
the kernel has them, with what the daemon has logged meanwhile.  The exit status is 1 as soon as something is not as it should be.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import List, Optional, Sequence, Tuple

from netmgr import demo_stage as stage
from netmgr.demo_steps import CONFIG, INCLUDING, PREPARATION, RULESET, STEPS, Step
from netmgr.demo_traffic import Traffic

INSIDE = "NETMGR_DEMO_INSIDE"
ADMINISTRATORS = ":/usr/sbin:/sbin:/usr/bin:/bin"       # where nft and ip are; not on everybody's path
READABLE_PAUSE = 2

FORBIDDEN = """\
netmgr demo: this user may make no network namespace here (%s).
Any of these helps:
  sudo %s
  sysctl kernel.unprivileged_userns_clone=1                (as root; Debian's switch, and off on some hardened systems)
  sysctl kernel.apparmor_restrict_unprivileged_userns=0    (as root; Ubuntu's, since 23.10)
  sysctl user.max_user_namespaces=10000                    (as root; where it is 0)
In a container, start it with CAP_SYS_ADMIN and CAP_NET_ADMIN, or run the demo on its host."""


def main(step: bool = False, pace: Optional[int] = None) -> int:
    """Run the demo; 0 when everything was as it should be.  Without a pace: as one can read it at a terminal, else without pauses."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ADMINISTRATORS
    if os.environ.get(INSIDE):
        return _inside(step, pace)
    packages = {"unshare": "util-linux", "ip": "iproute2", "nft": "nftables"}
    missing = [tool for tool in packages if not shutil.which(tool)]
    if missing:
        print("netmgr demo needs %s: apt install %s" % (", ".join(missing), " ".join(packages[tool] for tool in missing)), file=sys.stderr)
        return 1
    unshare, complaint = _way_in()
    if complaint:
        print(FORBIDDEN % (complaint, " ".join(_this_program())), file=sys.stderr)
        return 1
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, INSIDE: "1", "PYTHONPATH": os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])}
    options = ["--step"] * step + (["--pace", str(pace)] if pace is not None else [])
    return subprocess.run([*unshare, sys.executable, "-m", "netmgr", "demo", *options], env=environment, check=False).returncode


def _way_in() -> Tuple[Sequence[str], str]:
    """How to come into a network namespace that one may use, or why that cannot be.  In a container, root may lack the rights, too."""
    for unshare in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        trial = subprocess.run([*unshare, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
        if trial.returncode == 0:
            return unshare, ""
    return (), trial.stderr.strip()


def _this_program() -> List[str]:
    return [os.path.abspath(sys.argv[0]), "demo"]


def _inside(step: bool, pace: Optional[int]) -> int:
    if pace is None:
        pace = READABLE_PAUSE if sys.stdout.isatty() else 0
    with tempfile.TemporaryDirectory(prefix="netmgr-demo-") as directory:
        os.chdir(directory)
        return _played(directory, Show(step, pace))


class Show:
    """What the spectator sees, and when it goes on."""

    def __init__(self, step: bool, pace: int) -> None:
        self._step = step
        self._pace = pace
        self._number = 0
        self._bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
        self._logged = 0

    def title(self, text: str) -> None:
        """The next step, after a pause or the Enter key."""
        self.pause()
        self._number += 1
        print("\n%s%d. %s%s" % (self._bold[0], self._number, text, self._bold[1]), flush=True)

    def pause(self) -> None:
        """Time to read what has been shown."""
        if self._step and sys.stdin.isatty():
            input("\n   (Enter) ")
        else:
            sys.stdout.flush()
            time.sleep(self._pace)

    def command(self, command: str) -> None:
        """A command, before it runs."""
        print("   # %s" % command, flush=True)

    def log(self) -> None:
        """What the daemon has logged since the last time."""
        stage.answer("ping")        # what it logged before it is in the file then
        with open("log", encoding="utf-8") as file:
            lines = file.read().splitlines()
        for line in lines[self._logged:]:
            print("   | %s" % line[line.find(" ") + 1:].strip())
        self._logged = len(lines)

    def sets(self) -> None:
        """The sets as the kernel has them."""
        for name in ("wan_ips", "wan_ips6", "lan_ips", "lan_nets"):
            print("   %-9s %s" % (name, stage.braced(stage.elements(name))))


def _played(directory: str, show: Show) -> int:
    engine = stage.engine_answers()
    config = CONFIG % {"directory": directory, "engine": "true" if engine else "false"}
    stage.write("ruleset.nft", RULESET)
    stage.write("config.yaml", config)
    with Traffic() as traffic:
        for command in (*PREPARATION, "ip link set far0 netns %d" % traffic.pid, "nft -f ruleset.nft"):
            stage.run(command)
        traffic.begin()
        print("A private network namespace, in which this ruleset is loaded:\n\n%s" % stage.indented(RULESET))
        print("and netmgr is started with this configuration:\n\n%s" % stage.indented(config), end="", flush=True)
        with open("log", "wb") as log:
            daemon = subprocess.Popen([sys.executable, "-m", "netmgr", "run", "--config", "config.yaml", "--socket", "netmgr.sock"],
                                      stderr=log)
        try:
            _shown(show, traffic, engine)
        except stage.DemoError as failure:
            print("\nFAILED: %s" % failure)
            return 1
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(stage.PATIENCE)
    print("\nAll of it as it should be, and nothing of it is left.  Your own network was not touched.")
    return 0


def _shown(show: Show, traffic: Traffic, engine: bool) -> None:
    stage.until("the daemon answers", lambda: stage.answer("ping") == "PONG\n")
    for step in STEPS:
        _show_step(show, traffic, step)
    _show_container(show, engine)
    show.pause()
    status = stage.answer("status")
    print("\nWhat the daemon says in the end (netmgr status):\n\n%s" % stage.indented(status), end="")
    if stage.status()["state"] != "ready":
        raise stage.DemoError("the daemon is not ready")


def _show_step(show: Show, traffic: Traffic, step: Step) -> None:
    show.title(step.title)
    if step.ruleset:
        stage.write("ruleset.nft", step.ruleset)
        print("   %s" % step.remark)
    counting = traffic.to(step.counted) if step.counted else None
    for command in step.commands:
        show.command(command)
        stage.run(command)
    began = time.monotonic()
    stage.until("the sets after this step", partial(stage.sets_are, step.expected))
    took = time.monotonic() - began
    if counting:
        sent, lost = counting.stop()
        print("   packets to %s meanwhile: %d of %d dropped" % (step.counted, lost, sent))
        if lost and step.ruleset == INCLUDING:
            raise stage.DemoError("a ruleset with include files dropped packets")
    show.log()
    print("   as it should be after %.0f ms (the look included):" % (took * 1000))
    show.sets()


def _show_container(show: Show, engine: bool) -> None:
    if not engine:
        print("\n(No container engine answers at %s, so no container is shown.)" % stage.DOCKER_SOCKET)
        return
    stage.until("the engine's answer", lambda: stage.status()["sources"]["docker"]["state"] == "ok")
    started = stage.start_container()
    try:
        if started is None and not stage.container_addresses():
            print("\n(The container engine runs no container, and there is no busybox to start one from, so none is shown.)")
            return
        show.title("A container is started" if started else "Containers that run")
        stage.until("the containers' addresses", lambda: stage.container_addresses() == stage.elements("docker_ips") != frozenset())
        show.log()
        print("   docker_ips %s" % stage.braced(stage.elements("docker_ips")))
    finally:
        if started is not None:
            stage.remove_container(started)
