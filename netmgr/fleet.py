"""The fleet's source, put together: tables and publication of the model, etcd at the edge.  Loaded only where a fleet is configured."""

import os
import socket
from typing import Mapping, Optional, Tuple

from netmgr.config.fleet import Fleet, host_name
from netmgr.config.schema import Config
from netmgr.io.fleet_source import FleetSource
from netmgr.io.loop import Deadline, Loop
from netmgr.keeper import Keeper
from netmgr.model.fleet import Table, key_of
from netmgr.model.following import Following
from netmgr.model.publication import Publication
from netmgr.show.answers import ConsumedZone, Fact, PublishedZone
from netmgr.values.counters import Told
from netmgr.values.text import Log


class FleetMember:
    """This host in its fleet; in a dry run it publishes nothing.  OSError when it has no name."""

    def __init__(self, settings: Fleet, farewell: bool, loop: Loop, keeper: Keeper, log: Log) -> None:
        name = _name(settings)
        probe = _probe_key(settings, name)
        if keeper.dry_run:
            settings = settings._replace(publish=())
        self._zones = [each.zone for each in settings.publish]
        self._loop, self._keeper, self._farewell = loop, keeper, farewell
        self._following = Following(settings.prefix, settings.consume, name, settings.linger, lambda line: log("warning", "fleet: " + line))
        self._publication = Publication(settings.prefix, name, _instance(), self._zones, settings.ttl)
        self._first = True                      # until a list is whole: what an earlier configuration has heard goes on to count
        self._rest: Optional[Deadline] = None   # to tell what is left to be told
        self._source = FleetSource(loop, settings, probe, self._following, self._publication, self._changed, log)

    @property
    def state(self) -> str:
        """connecting, ok, stale, conflict or error."""
        return self._source.state

    @property
    def error(self) -> Optional[str]:
        """What is wrong, in words."""
        return self._source.error

    @property
    def told(self) -> Told:
        """What others have told, counted."""
        return self._source.told

    @property
    def pending(self) -> bool:
        """Whether what others hold is not known yet, or not all of it told."""
        return self._source.pending or self._rest is not None

    @property
    def behind(self) -> bool:
        """What others hold is told as they publish it; there is nothing else to wait for."""
        return self.pending

    @property
    def facts(self) -> Mapping[str, Fact]:
        """The member of etcd that is asked, what was last heard of it, what is published and consumed."""
        source, heard = self._source, self._source.last_heard
        return {
            "error": source.error, "warning": source.warning, "endpoint": source.endpoint, "server_version": source.version or None,
            "revision": self._following.revision, "last_heard_seconds": None if heard is None else round(heard, 1),
            "lease_remaining": source.lease_remaining,
            "published": tuple(PublishedZone(*each) for each in self._publication.published()),
            "consumed": tuple(map(_consumed, self._following.tables)),
        }

    def start(self) -> None:
        """Begin."""
        self._keeper.share(self._share if self._zones else None)
        self._source.start()

    def refresh(self) -> None:
        """Ask whether all is as it was."""
        self._source.refresh()

    def stop(self) -> None:
        """Let go of everything; where netmgr's elements go at a stop, others are told that this host has gone."""
        self._keeper.share(None)
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._source.stop(self._farewell)

    def _share(self, zone: str, addresses: Tuple[bytes, ...]) -> None:
        self._publication.want(zone, addresses, self._loop.now())
        self._source.publish()

    def _changed(self) -> None:
        """Told in parts, for the sets follow after each."""
        if self._first and not self._source.pending:
            self._first = False
            for zone, host in self._keeper.known_hosts():
                self._following.mention(zone, host)
        if self._rest is None:
            self._tell()

    def _tell(self) -> None:
        self._keeper.hosts(self._following.changes(), "fleet: no answer of etcd" if self._source.given_up else None)
        self._rest = self._loop.call_later(0, self._tell) if self._following.untold else None


def member(config: Config, loop: Loop, keeper: Keeper, log: Log) -> FleetMember:
    """This host in the fleet of a configuration that has one.  OSError."""
    assert config.fleet is not None
    return FleetMember(config.fleet, config.nftables.on_stop == "remove", loop, keeper, log)


def _consumed(table: Table) -> ConsumedZone:
    rule = table.rule
    refused = tuple("%s: %s" % each for each in sorted(table.refused.items()))
    lingering = len(table.leaving) - len(table.held)
    return ConsumedZone(rule.zone, rule.source, table.hosts, table.addresses, refused, len(table.held), lingering)


def _probe_key(settings: Fleet, name: str) -> bytes:
    """A key that we may read."""
    consume, publish = settings.consume, settings.publish
    return key_of(settings.prefix, consume[0].source) if consume else key_of(settings.prefix, publish[0].zone, name)


def _name(settings: Fleet) -> str:
    name = settings.name or socket.gethostname()
    try:
        return host_name(name)
    except ValueError as problem:
        raise OSError("this host's name %r is none for a fleet (%s): say fleet.name" % (name, problem)) from None


def _instance() -> str:
    """Which running instance this is: all containers of a machine share its boot, so the network namespace belongs to it."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return "%s/%d" % (file.read().strip(), os.stat("/proc/self/ns/net").st_ino)
