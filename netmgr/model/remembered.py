"""What of a set outlives it, and what follows from that for its include file and for who owns what nft has merged.

A ruleset that loads with an empty include file must load with netmgr's, and no element that another has put into the set may come out of
that as netmgr's.  So a file offers what netmgr's own elements are, or would be, beside what others are known to have there, and no more
than there is room for; what is not known to fit is left out.  nft refuses ranges that overlap; of two equal elements it keeps one of the
comments; and in auto-merge sets it joins what touches, under one of the comments, or fails.

What others have put there stays known while the set is missing, until it is there again.  Also while it is there: what another has
taken out at run time may still stand in that one's ruleset; it stays known as far as it stands in netmgr's way.

In auto-merge sets a range with netmgr's comment may hold what is another's, for nft has merged the two (foreign_parts()), or the other way
round (merged_away()).  And of two ranges that touch, one netmgr's, nft drops the lower one when it adds something else there (dropped()).
"""

from typing import AbstractSet, NamedTuple, Optional, Set

from netmgr.model import ranges
from netmgr.values.sets import Form

_NOTHING: AbstractSet[bytes] = frozenset()


class Remembered(NamedTuple):
    """`seen`: somebody has looked at the set.  `others`: what others have put there and is not there now.

    `room`: how many elements it takes, None any number.  `written`: ranges of an auto-merge set that netmgr wrote, itself or by the file.
    """

    seen: bool = False
    others: AbstractSet[bytes] = _NOTHING
    room: Optional[int] = None
    written: AbstractSet[bytes] = _NOTHING


def offered(own: AbstractSet[bytes], others: AbstractSet[bytes], room: Optional[int], form: Form) -> AbstractSet[bytes]:
    """What of netmgr's elements a ruleset can load together with the others', into an empty set and again into a full one.

    The kernel refuses a range that is there already when it has no room for another.
    """
    if others and form.merge:
        own = ranges.apart(ranges.less(own, others, form.width), others, form.width)
    elif others:
        own = ranges.less(own, others, form.width) if form.interval else own - others
    if room is None:
        return own
    left = max(0, room - len(others) - form.interval)
    return own if len(own) <= left else set(sorted(own)[:left])


def in_the_way(gone: AbstractSet[bytes], claimed: AbstractSet[bytes], room: Optional[int], form: Form) -> AbstractSet[bytes]:
    """Those elements that would matter to what netmgr wants, were they back.  Where there is little room, each does."""
    if room is not None:
        return set(sorted(gone)[:room])
    if not form.interval:
        return gone & claimed
    return gone - ranges.apart(gone, ranges.minimal(claimed, _NOTHING, form.width), form.width)


def foreign_parts(new: AbstractSet[bytes], written: AbstractSet[bytes], claimed: AbstractSet[bytes], others: AbstractSet[bytes],
                  width: int) -> Set[bytes]:
    """The parts of new ranges with netmgr's comment that are another's, for nft has merged what netmgr had written with them."""
    merged = new - ranges.apart(new, written, width) if written else _NOTHING
    if not merged:
        return set()
    own = ranges.less(ranges.merged([*written, *ranges.minimal(claimed, _NOTHING, width)], width), others, width)
    return ranges.less(merged, own, width)


def merged_away(new: AbstractSet[bytes], own: AbstractSet[bytes], others: AbstractSet[bytes], width: int) -> AbstractSet[bytes]:
    """Those of another's new ranges that are nothing but what netmgr had there and what others had, merged by nft."""
    partly = new - ranges.apart(new, own, width) if own and others else _NOTHING
    return {each for each in partly if not ranges.less([each], [*own, *others], width) and ranges.less([each], own, width)}


def dropped(gone: AbstractSet[bytes], own: AbstractSet[bytes], held: AbstractSet[bytes], width: int) -> Set[bytes]:
    """Those of the vanished ranges that nft has dropped: nothing of them is there, and a range of netmgr's begins right behind."""
    lower = {ranges.unpack(each, width)[0] for each in own}
    behind = {each for each in gone if ranges.unpack(each, width)[1] + 1 in lower}
    return {each for each in behind if ranges.less([each], held, width) == {each}} if behind else set()
