"""Verdicts as the values of maps: a code in network order and, for jump and goto, the name of a chain."""

from __future__ import annotations

from typing import Iterable, Optional, Set

JUMP, GOTO = "jump", "goto"
CODES = {"drop": 0, "accept": 1, "queue": 3, "continue": -1, "break": -2, JUMP: -3, GOTO: -4, "return": -5}    # NF_…, NFT_…
PLAIN = ("accept", "drop", "return", "continue")        # those that take nothing more

_WORDS = {code: word for word, code in CODES.items()}
_CODE = 4


def verdict(word: str, chain: str = "") -> bytes:
    """The value for a word and, if it takes one, a chain."""
    return CODES[word].to_bytes(_CODE, "big", signed=True) + chain.encode("utf-8", "surrogateescape")


def chain_of(value: bytes) -> Optional[str]:
    """The chain that a verdict names; None if it names none."""
    return value[_CODE:].decode("utf-8", "surrogateescape") or None


def chains_in(values: Iterable[bytes]) -> Set[str]:
    """The chains that verdicts name."""
    return {chain for chain in map(chain_of, values) if chain is not None}


def text(value: bytes) -> str:
    """As nft writes it: accept, jump wan."""
    code = int.from_bytes(value[:_CODE], "big", signed=True)
    return " ".join([_WORDS.get(code & 0xFF if code >= 0 else code, str(code)), *filter(None, [chain_of(value)])])
