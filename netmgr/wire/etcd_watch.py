"""The body of a watch on etcd as it arrives: one JSON object a line, and a line may be megabytes.

A short line is read when it is whole.  Of a long one the events are read one by one as they come, and told in pieces: all but the last of
them are `unfinished`, and who follows goes on after a break from before the line.  So nothing waits for the end of a long line, and no
more of it is kept than one event.  That is possible because the gateway writes the events behind everything else.
"""

from typing import Iterable, Iterator, List, Optional

from netmgr.values.errors import ProtocolError
from netmgr.values.records import Event, Seen
from netmgr.wire import etcd
from netmgr.wire.json_elements import Element, Elements

LONG = 4 << 10                  # bytes of a line that has not ended: what it says is read as it comes
LINE_LIMIT = 1 << 20            # bytes of a line without events
EVENT_LIMIT = 16 << 20          # characters of one event

_BEGIN, _END, _TAIL = b'"events":[', b"]}}", b"}}"


class WatchReader:
    """feed(bytes) gives what is told so far."""

    def __init__(self) -> None:
        self._line = bytearray()                        # what has not been understood yet of a line that has not ended
        self._events: Optional[Elements] = None         # of a long line
        self._told = Seen(0, 0, False, None, 0, False, ())      # what a long line says besides them
        self._last: List[Event] = []                    # its last event so far: the line's end goes with it

    def feed(self, data: bytes) -> Iterator[Seen]:
        """What these bytes complete.  ProtocolError, also for an error that ends the stream."""
        *ends, rest = data.split(b"\n")
        for piece in ends:
            self._line += piece
            yield from self._end_of_line()
        self._line += rest
        if len(self._line) >= LONG:
            yield from self._so_far()

    def _end_of_line(self) -> Iterator[Seen]:
        line = bytes(self._line).strip(b" \t\r")
        self._line.clear()
        if self._events is None:
            if line:
                yield etcd.seen(line)
            return
        if not line.endswith(_TAIL):
            raise ProtocolError("not the end of an event's line: %.60r" % line[-60:])
        events = [*self._last, *_read(self._events.feed(line[:-len(_TAIL)])), *_read(self._events.close())]
        self._events, self._last = None, []
        yield self._told._replace(events=tuple(events))

    def _so_far(self) -> Iterator[Seen]:
        """What can be told of a line that has not ended; its last event waits, and so do bytes that may be its tail."""
        if self._events is None:
            self._events = self._begin()
        if self._events is None:
            return
        data = bytes(self._line[:-len(_TAIL)])
        del self._line[:len(data)]
        events = [*self._last, *_read(self._events.feed(data))]
        self._last = events[-1:]
        if len(events) > 1:
            yield self._told._replace(unfinished=True, events=tuple(events[:-1]))

    def _begin(self) -> Optional[Elements]:
        """The reader of this line's events, if they have begun."""
        place = self._line.find(_BEGIN, 0, LONG)
        if place < 0:
            if len(self._line) > LINE_LIMIT:
                raise ProtocolError("a line longer than %d bytes" % LINE_LIMIT)
            return None
        start = place + len(_BEGIN)
        self._told = etcd.seen(bytes(self._line[:start]) + _END)
        del self._line[:start - 1]
        return Elements(EVENT_LIMIT)


def _read(elements: Iterable[Element]) -> Iterator[Event]:
    for element in elements:
        if element.value is None:
            raise ProtocolError("an event %s" % element.wrong)
        yield etcd.event(element.value)
