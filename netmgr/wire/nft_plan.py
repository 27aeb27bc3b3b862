"""How a set that is to be made is described to the kernel, as nft would do it, so that nft lists it like one of its own."""

from netmgr._nftcodec import ffi
from netmgr.values.sets import (
    AND,
    IFACE_INDEX,
    IFNAME,
    MARK,
    NFT_SET_CONCAT,
    NFT_SET_INTERVAL,
    NFT_SET_MAP,
    VERDICT,
    WIDTHS,
    Form,
    is_concatenation,
    padded,
    width_of,
)
from netmgr.wire.nft import TYPE_BITS, TYPES, VERDICTS

_BYTEORDER_NONE, _BYTEORDER_HOST, _BYTEORDER_BIG = 0, 1, 2      # nft's enum byteorder
_NUMBERS = {name: number for number, name in TYPES.items()}


def plan(number: int, form: Form, maker: ffi.CData) -> ffi.CData:
    """The struct nftcodec_plan of a set or map of this form, with a number of its own in its transaction."""
    flags = NFT_SET_INTERVAL if form.interval else 0
    fields = [padded(WIDTHS[part]) for part in form.parts] if is_concatenation(form.type) and form.interval else []
    value = {}
    if form.value:
        value = {"value_type": _type_number(form.value), "value_length": width_of(form.value), "value_byteorder": _byteorder(form.value)}
    return ffi.new("struct nftcodec_plan *", {
        "id": number, "flags": flags | (NFT_SET_CONCAT if fields else 0) | (NFT_SET_MAP if form.value else 0),
        "key_type": _type_number(form.type), "key_byteorder": _byteorder(form.type), "fields": len(fields), "field": fields,
        "maker": maker, **value})


def _type_number(kind: str) -> int:
    if kind == VERDICT:
        return VERDICTS
    number = 0
    for part in kind.split(AND):
        number = number << TYPE_BITS | _NUMBERS[part]
    return number


def _byteorder(kind: str) -> int:
    if kind == VERDICT or is_concatenation(kind):
        return _BYTEORDER_NONE
    return _BYTEORDER_HOST if kind in (IFNAME, IFACE_INDEX, MARK) else _BYTEORDER_BIG
