"""No firewall is worse off for netmgr, with the nft of Debian 12 and of Debian 13: tests/kernel/test_firewalls.py says what that means."""

from pathlib import Path

from tests.kernel.firewall import Firewall
from tests.kernel.lab import Lab
from tests.kernel.test_firewalls import live
from tests.nft_program import of_root
from tests.system import roots

LIVES = 300


def test_no_firewall_is_worse_off_for_netmgr(release: str, tmp_path: Path) -> None:
    with Lab() as lab:
        firewall = Firewall(lab, of_root(roots.root(release)), tmp_path)
        for seed in range(10_000, 10_000 + LIVES):
            live(firewall, seed)
        firewall.close()
