"""An example of docs/examples as it is shipped, in a lab."""

from pathlib import Path
from typing import List, Optional

from tests.kernel.lab import Lab
from tests.kernel.neighbours import neighbour
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import eventually

EXAMPLES = ROOT / "docs" / "examples"


class Example:
    """One example in a lab: its ruleset loaded, netmgr not yet started."""

    def __init__(self, lab: Lab, name: str, socket: Optional[str] = None) -> None:
        self.lab = lab
        self.hosts: List[Lab] = []
        directory: Path = EXAMPLES / name
        config = (directory / "config.yaml").read_text()
        if socket is not None:
            config = config.replace("docker:\n", "docker:\n  socket: %s\n" % socket)
        self.netmgr = Netmgr(lab, start=False)
        self.netmgr.config.write_text(_with_include_dir(config, self.netmgr.includes))
        self._ruleset = (directory / "nftables.conf").read_text().replace("/run/netmgr", str(self.netmgr.includes))
        self.load()

    def load(self, filled_with: str = "") -> None:
        """The whole ruleset, as its administrator reloads it, once this element is in an include file."""
        eventually(lambda: not filled_with or any(filled_with in file.read_text() for file in self.netmgr.includes.glob("*.nft")))
        self.lab.nft(self._ruleset)

    def neighbour(self, name: str, address: str, local: str = "") -> Lab:
        """A host at that interface, until the end of the test."""
        self.hosts.append(neighbour(self.lab, name, address, local))
        return self.hosts[-1]

    def close(self) -> None:
        """The hosts; the lab ends by itself."""
        for host in self.hosts:
            host.close()


def _with_include_dir(config: str, directory: Path) -> str:
    if "\nnftables:\n" in config:
        return config.replace("\nnftables:\n", "\nnftables:\n  include_dir: %s\n" % directory)
    return config + "\nnftables:\n  include_dir: %s\n" % directory
