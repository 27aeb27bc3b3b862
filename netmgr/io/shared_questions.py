"""What many threads ask at the same time is asked once for all of them.

Nobody is given an answer that is older than his question: who comes while it is under way already waits for the next one.  The same is not
asked again within APART seconds, so that whoever answers has time for other things, however many want to know.
"""

import threading
import time
from typing import Callable, Dict, Optional

APART = 0.05
FEW = 64            # questions that are not worth a look for those that may be asked again


class SharedQuestions:
    """Asks by `ask`, which may raise: so does answer() then, for everybody who waits.

    `next` has what is not asked yet, `due` when what has been asked may be asked again.
    """

    def __init__(self, ask: Callable[[str], str], sleep: Callable[[float], object] = time.sleep) -> None:
        self._ask, self._sleep = ask, sleep
        self._lock = threading.Lock()
        self.next: Dict[str, Round] = {}
        self.due: Dict[str, float] = {}

    def answer(self, question: str) -> str:
        """The answer, as it is from now on."""
        with self._lock:
            joined = self.next.get(question)
            mine = joined or self.next.setdefault(question, Round())
            mine.waiting += joined is not None
            due = self.due.get(question, 0.0)
        if joined is None:
            self._sleep(max(0.0, due - time.monotonic()))
            self._begin(question)
            mine.be_told(self._ask, question)
        return mine.result()

    def _begin(self, question: str) -> None:
        """From here on it is too late to join."""
        now = time.monotonic()
        with self._lock:
            del self.next[question]
            if len(self.due) >= FEW:
                self.due = {each: due for each, due in self.due.items() if due > now}
            self.due[question] = now + APART


class Round:
    """One question; `waiting` is how many want its answer, too."""

    def __init__(self) -> None:
        self.waiting = 0
        self._told = threading.Event()
        self._answer = ""
        self._error: Optional[Exception] = None

    def be_told(self, ask: Callable[[str], str], question: str) -> None:
        """Ask, and let everybody know."""
        try:
            self._answer = ask(question)
        except Exception as error:      # whatever it is, all of them have it
            self._error = error
        finally:
            self._told.set()

    def result(self) -> str:
        """As soon as it is there."""
        self._told.wait()
        if self._error is not None:
            raise self._error
        return self._answer
