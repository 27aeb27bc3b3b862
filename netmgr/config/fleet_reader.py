"""The tables of the section `fleet`; see netmgr/config/reader.py.  Loaded only for configurations that have it."""

from typing import Optional, Tuple

from netmgr.config import kinds, scalars
from netmgr.config.choices import CHOICE, own
from netmgr.config.fleet import MAX_ADDRESSES, MAX_HOSTS, Consumed, Fleet, Network, Published, Tls, endpoint, host_name
from netmgr.config.kinds import FLAG, Fields
from netmgr.config.yaml_values import INTEGER, TEXT, Value
from netmgr.values import addresses
from netmgr.values.choice import Own

SHORTEST_TTL, LONGEST_TTL, YEAR = 5, 3600, 31_536_000
ANY: Network = (b"", 0)

ABSOLUTE = kinds.text("an absolute path", scalars.path, {"type": "string", "pattern": "^/"})
ZONE = kinds.text("a zone name", scalars.zone_name)


def _network(text: str) -> Network:
    if text == "any":
        return ANY
    packed, length = scalars.address(text)
    length = len(packed) * 8 if length is None else length
    if addresses.network(packed, length) != packed:
        raise ValueError("the address has bits behind the prefix length")
    return packed, length


def _prefix(text: str) -> str:
    if not text.startswith("/") or not text.endswith("/") or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it begins and ends with /")
    return text


TLS = {"ca": ABSOLUTE, "certificate": ABSOLUTE, "key": ABSOLUTE, "server_name": kinds.text("a name", scalars.word)}


def _tls(fields: Fields) -> Tls:
    for one, other in (("certificate", "key"), ("key", "certificate")):
        if fields.given(one) and not fields.given(other):
            fields.refuse(one, "expected %s and %s together, got one of them" % (one, other))
    nothing: Optional[str] = None
    return Tls(*(fields.read(key, nothing) for key in TLS))


PUBLISHED = CHOICE


def _published(name: Optional[str], key: Value, value: Value) -> Published:
    fields = Fields(value, "a mapping", PUBLISHED)
    return Published(name or "", own(fields), key.entry)


ZONES = kinds.one_or_many("a zone name", scalars.zone_name)
PUBLISHED_ZONES = kinds.mapping("a mapping from zones to what of them is published", "a zone name", scalars.zone_name, _published,
                                {"minLength": 1}, {"anyOf": [kinds.of_table(PUBLISHED), {"type": "null"}]})


def _publish(value: Value) -> Tuple[Published, ...]:
    if value.is_mapping:
        found: Tuple[Published, ...] = PUBLISHED_ZONES.read(value)
        return found
    return tuple(Published(zone, Own(), value.entry) for zone in ZONES.read(value))


CONSUMED = {
    "from": ZONE,
    "hosts": kinds.one_or_many("a host's name or a shell pattern", scalars.pattern),
    "self": FLAG,
    "accept": kinds.one_or_many("a network such as 203.0.113.0/24, or `any`", _network),
    "max_addresses": kinds.whole_number("a whole number from 1 to 1000", 1, 1000),
    "max_hosts": kinds.whole_number("a whole number from 1 to 1000000", 1, 1_000_000),
}


def _consumed(name: Optional[str], key: Value, value: Value) -> Consumed:
    fields = Fields(value, "a mapping with from and accept", CONSUMED)
    nothing: Tuple[Network, ...] = ()
    accept = fields.required("accept", nothing)
    return Consumed(
        name or "", fields.required("from", ""), fields.read("hosts", ("*",)), fields.read("self", False),
        None if ANY in accept else accept, fields.read("max_addresses", MAX_ADDRESSES), fields.read("max_hosts", MAX_HOSTS), key.entry)


def _stale(text: str) -> Optional[float]:
    """-1 where it is to be kept."""
    if text == "keep":
        return -1.0
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= YEAR:
        raise ValueError
    return float(text)


FLEET = {
    "endpoints": kinds.one_or_many('an endpoint such as "https://10.0.0.1:2379"', endpoint),
    "name": kinds.text("a host's name", host_name),
    "prefix": kinds.text("a prefix such as /netmgr/1/", _prefix),
    "tls": kinds.section("a mapping", TLS, _tls),
    "user": kinds.text("the name of a user", scalars.word),
    "password_file": ABSOLUTE,
    "ttl": kinds.whole_number("whole seconds from %d to %d" % (SHORTEST_TTL, LONGEST_TTL), SHORTEST_TTL, LONGEST_TTL),
    "publish": kinds.Kind("a zone name, a list of them, or a mapping", _publish, {"anyOf": [ZONES.schema, PUBLISHED_ZONES.schema]}),
    "consume": kinds.mapping("a mapping from local zones to what they consume", "a zone name", scalars.zone_name, _consumed,
                             {"minLength": 1}, kinds.of_table(CONSUMED, ("from", "accept"))),
    "stale": kinds.text("keep, or whole seconds from 1 to %d" % YEAR, _stale,
                        {"anyOf": [{"const": "keep"}, {"type": "integer", "minimum": 1, "maximum": YEAR}]}, (TEXT, INTEGER)),
    "linger": kinds.number("seconds from 0 to %d" % YEAR, 0, YEAR),
}


def _fleet(fields: Fields) -> Fleet:
    default = Fleet(())
    stale = fields.read("stale", -1.0)
    found = Fleet(
        fields.required("endpoints", default.endpoints), fields.read("name", default.name), fields.read("prefix", default.prefix),
        fields.read("tls", default.tls), fields.read("user", default.user), fields.read("password_file", default.password_file),
        fields.read("ttl", default.ttl), fields.each("publish"), fields.each("consume"), None if stale < 0 else stale,
        fields.read("linger", default.linger))
    _check(fields, found)
    return found


def _check(fields: Fields, found: Fleet) -> None:
    published = {each.zone for each in found.publish}
    for zone in (each.zone for each in found.consume if each.zone in published):
        fields.refuse("consume", "expected zones that are not published, got %s: that would be a loop" % zone)
    if found.password_file is not None and any(each.scheme == "http" and not each.loopback for each in found.endpoints):
        fields.refuse("password_file", "expected https for all endpoints, got http: a password could be read on its way")
    if (found.user is not None or fields.given("user")) and found.password_file is None:
        fields.refuse("user", "expected a password_file beside it, got none")


KIND = kinds.section("a mapping", FLEET, _fleet, ("endpoints",))
