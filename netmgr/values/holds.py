"""What a set can be said to hold: one row for each word.

The configuration's `holds` takes these words, and the convention uses them; elements.py in model/ says which elements they mean.
"""

from typing import Dict, NamedTuple, Optional, Tuple

from netmgr.values.sets import (
    IFNAME,
    IPV4_ADDR,
    IPV6_ADDR,
    NFT_SET_ANONYMOUS,
    NFT_SET_CONSTANT,
    NFT_SET_INTERVAL,
    NFT_SET_MAP,
    NFT_SET_OBJECT,
    Form,
    SetInfo,
    form_of,
)

ADDRESSES, INTERFACES = "addresses", "interfaces"       # what elements are made of, and the word for those that are just that
NETWORKS = "networks"


class Word(NamedTuple):
    """What a set holds: made of what, and the types of set (as nft calls them) that can hold it; `ranges`: only with flags interval."""

    name: str
    of: str
    types: Tuple[str, ...]
    ranges: bool = False

    def fits(self, form: Form) -> bool:
        """Whether a set of this form can hold it."""
        return form.type in self.types and (form.interval or not self.ranges) and not form.value


WORDS: Dict[str, Word] = {word.name: word for word in (
    Word(ADDRESSES, ADDRESSES, (IPV4_ADDR, IPV6_ADDR)),
    Word(NETWORKS, ADDRESSES, (IPV4_ADDR, IPV6_ADDR), ranges=True),
    Word(INTERFACES, INTERFACES, (IFNAME,)),
)}


def misfit(info: SetInfo, holds: str) -> Optional[str]:
    """Why a set cannot hold it, in words for the user; None when it can."""
    word = WORDS[holds]
    right = " or ".join(word.types)
    if info.flags & (NFT_SET_MAP | NFT_SET_OBJECT):
        return "it is a map; expected a set of %s" % right
    if info.flags & NFT_SET_ANONYMOUS:
        return "it is a meter, which only its rule fills; expected a set of %s" % right
    if info.flags & NFT_SET_CONSTANT:
        return "it is constant: a set with flags constant takes no further elements"
    if info.owned:
        return "its table belongs to another program, and only that may change it"
    if form_of(info) is None:
        return "its type is not one that netmgr fills; expected %s" % right
    if info.type not in word.types:
        return "its type is %s; %s need %s" % (info.type, holds, right)
    if word.ranges and not info.flags & NFT_SET_INTERVAL:
        return "it has no ranges; %s need a set with flags interval" % holds
    return None
