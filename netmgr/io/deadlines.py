"""Deadlines by name: one of each name at a time."""

from typing import Any, Callable, Dict

from netmgr.io.loop import Deadline, Loop


class Deadlines:
    """What is to happen later; a new one takes the place of the one with the same name."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._by_name: Dict[str, Deadline] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def later(self, name: str, delay: float, callback: Callable[[], Any]) -> None:
        """Run callback once, `delay` seconds from now."""
        self.cancel(name)

        def due() -> None:
            del self._by_name[name]
            callback()

        self._by_name[name] = self._loop.call_later(delay, due)

    def cancel(self, name: str) -> None:
        """Make it never happen; a name that is not there is fine."""
        if name in self._by_name:
            self._by_name.pop(name).cancel()

    def cancel_all(self) -> None:
        """Nothing happens later."""
        for name in list(self._by_name):
            self.cancel(name)
