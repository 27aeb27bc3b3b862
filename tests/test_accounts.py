"""Repairs one by one, and summed up when the same program does the same again and again."""

from typing import List

from netmgr.sync.accounts import ACCOUNTS_AT_MOST, Accounts, names_of
from netmgr.values.sets import SetName
from tests.workbench import named

WAN, LAN = (named("wan_ips"),), (named("lan_ips"),)


def minutes(accounts: Accounts, until: float) -> List[str]:
    """Everything that is told by then, each line when it is due."""
    lines: List[str] = []
    while accounts.due is not None and accounts.due <= until:
        lines += accounts.sums(accounts.due)
    return lines


def test_three_are_told_and_the_others_summed_up_once_a_minute_until_a_minute_without() -> None:
    accounts = Accounts()
    told = [accounts.repaired("nft", "nft (pid %d)" % second, WAN, float(second)) for second in range(100)]
    assert told == [True] * 3 + [False] * 97
    assert minutes(accounts, 62.9) == []
    assert minutes(accounts, 300.0) == ["repaired inet filter wan_ips 97 times more within a minute, last after nft (pid 99)"]
    assert accounts.due is None
    assert accounts.repaired("nft", "nft (pid 7)", WAN, 400.0), "it begins anew"


def test_each_minute_has_its_sum() -> None:
    accounts, lines = Accounts(), []
    for second in range(200):
        lines += minutes(accounts, float(second))
        accounts.repaired("nft", "nft (pid %d)" % second, WAN, float(second))
    line = "repaired inet filter wan_ips 60 times more within a minute, last after nft (pid %d)"
    assert lines == [line % last for last in (62, 122, 182)]


def test_seldom_repairs_are_told_one_by_one() -> None:
    accounts = Accounts()
    assert [accounts.repaired("nft", "nft", WAN, 30.0 * number) for number in range(50)] == [True] * 50
    assert accounts.due is None


def test_programs_and_sets_have_accounts_of_their_own() -> None:
    accounts = Accounts()
    for second in range(4):
        for program in ("nft", "firewalld"):
            for sets in (WAN, LAN, WAN + LAN):
                assert accounts.repaired(program, program, sets, float(second)) == (second < 3)
    assert accounts.fought("nft") == accounts.fought("firewalld") == [named("lan_ips"), named("wan_ips")]
    assert accounts.fought("netmgr") == []
    assert len(minutes(accounts, 1000.0)) == 6
    assert accounts.fought("nft") == []


def test_there_is_an_end_to_accounts() -> None:
    accounts = Accounts()
    for number in range(10 * ACCOUNTS_AT_MOST):
        for second in range(5):
            accounts.repaired("nft", "nft", (SetName("inet", "t", "set%d" % number),), float(second))
    assert len(minutes(accounts, 1000.0)) == ACCOUNTS_AT_MOST


def test_very_many_sets_are_not_all_named() -> None:
    sets = [SetName("inet", "t", "s%d" % number) for number in range(11)]
    assert names_of(sets[:2]) == "inet t s0, inet t s1"
    assert names_of(sets).endswith("inet t s7 and 3 more")
