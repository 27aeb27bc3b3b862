"""Concatenations and maps at the real kernel, with nft as the judge: what netmgr makes nft lists, and the other way round."""

import json
from typing import Dict, List, Sequence, Tuple

import pytest

from netmgr.io.nft import Nft
from netmgr.values.outcomes import Reading
from netmgr.values.sets import Change, ChangeElements, Contents, CreateSet, CreateTable, Form, form_of
from netmgr.wire.nft_text import element_text, text
from tests.kernel.lab import Lab
from tests.kernel.nftables import DONE, named, read
from tests.keys import element
from tests.test_nft_keys import CASES

NOTHING: "frozenset[bytes]" = frozenset()
CHAINS = "chain wan { }\nchain lan { }\nchain top { }\nchain a-chain-with-a-longer-name { }\n"


def creations(form: Form) -> List[Change]:
    return [CreateTable("inet", "t"), CreateSet(named("s"), form)]


@pytest.mark.parametrize(("form", "elements"), CASES)
def test_what_netmgr_makes_and_fills_nft_lists_and_loads(lab: Lab, nft: Nft, form: Form, elements: Tuple[str, ...]) -> None:
    lab.nft("table inet t { %s }" % CHAINS)
    keys = [element(form, each) for each in elements]
    form = form._replace(timeout=False)         # netmgr makes no sets with timeouts
    assert nft.commit([*creations(form), ChangeElements(named("s"), form, (), keys)]) == DONE
    info = nft.inspect(named("s"))
    assert info is not None and form_of(info) == form and info.made
    assert read(nft, "s") == Reading(Contents(frozenset(keys), NOTHING, NOTHING), True)
    saved = lab.ruleset()
    for each in keys:
        assert element_text(form, each, ' comment "netmgr"') in " ".join(saved.split())
    lab.nft("flush ruleset\n" + saved)
    assert read(nft, "s").contents.ours == frozenset(keys)
    assert nft.commit([ChangeElements(named("s"), form, keys, ())]) == DONE
    assert read(nft, "s").contents.ours == NOTHING


@pytest.mark.parametrize(("form", "elements"), CASES)
def test_what_nft_makes_and_fills_netmgr_reads(lab: Lab, nft: Nft, form: Form, elements: Tuple[str, ...]) -> None:
    keys = [element(form, each) for each in elements]
    described = " ".join(text([CreateSet(named("s"), form)])).replace("; }", "; %s }" % ("flags timeout;" if form.timeout else ""))
    described = described.replace("flags interval; flags timeout", "flags interval, timeout")
    lab.nft("table inet t { %s }\n%s\n%s" % (CHAINS, described, "\n".join(text([ChangeElements(named("s"), form, (), keys)]))))
    info = nft.inspect(named("s"))
    assert info is not None and form_of(info) == form
    assert nft.read(info).contents.ours == frozenset(keys)
    assert nft.commit([ChangeElements(named("s"), form, keys, keys)]) == DONE
    assert read(nft, "s").contents == Contents(frozenset(keys), NOTHING, NOTHING)
    lab.nft("\n".join(text([ChangeElements(named("s"), form, keys, ())])))
    assert read(nft, "s").contents.ours == NOTHING


def values(lab: Lab, name: str) -> Dict[str, object]:
    """What nft lists of a map."""
    listed = json.loads(lab.run("nft -j list map inet t " + name))
    return {str(item[0]["elem"]["val"] if isinstance(item[0], dict) else item[0]): item[1]
            for item in next(each["map"] for each in listed["nftables"] if "map" in each).get("elem", [])}


def maps(form: Form, *elements: str) -> Sequence[bytes]:
    return [element(form, each) for each in elements]


def test_another_value_comes_in_one_transaction(lab: Lab, nft: Nft) -> None:
    form = Form("ifname", value="mark")
    assert nft.commit([*creations(form), ChangeElements(named("s"), form, (), maps(form, "eth0 : 1", "eth1 : 2"))]) == DONE
    before = nft.generation()
    assert nft.commit([ChangeElements(named("s"), form, maps(form, "eth0 : 1"), maps(form, "eth0 : 7"))]) == DONE
    assert nft.generation() == before + 1
    assert values(lab, "s") == {"eth0": 7, "eth1": 2}


def test_a_key_that_has_another_value_is_refused(lab: Lab, nft: Nft) -> None:
    form = Form("ifname", value="mark")
    lab.nft("add table inet t; add map inet t s { type ifname : mark; }; add element inet t s { eth0 : 1 }")
    outcome = nft.commit([ChangeElements(named("s"), form, (), maps(form, "eth0 : 2"))])
    assert not outcome.committed and outcome.faults[0].set == named("s")
    assert nft.commit([ChangeElements(named("s"), form, (), maps(form, "eth0 : 1"))]) == DONE
    assert read(nft, "s").contents.foreign == frozenset(maps(form, "eth0 : 1"))


@pytest.mark.parametrize("interval", [False, True])
def test_a_chain_that_is_missing_names_the_element(lab: Lab, nft: Nft, interval: bool) -> None:
    form = Form("ipv4_addr", interval, value="verdict")
    lab.nft("add table inet t; add chain inet t wan")
    elements = maps(form, "192.0.2.1 : jump wan", "192.0.2.2 : jump none", "192.0.2.3 : jump wan")
    outcome = nft.commit([*creations(form), ChangeElements(named("s"), form, (), elements)])
    assert [(fault.operation, fault.position, fault.gone) for fault in outcome.faults] == [("add", 1, False)]
    assert nft.inspect(named("s")) is None
