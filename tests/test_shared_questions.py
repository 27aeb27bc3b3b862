"""Questions of many threads: asked once for all who wait, answered by nothing older, not asked too often."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Iterator, List

import pytest

from netmgr.io import shared_questions
from netmgr.io.shared_questions import SharedQuestions
from tests.waiting import PATIENCE, eventually


class Answerer:
    """Numbers its answers, and gives each when it is told to."""

    def __init__(self) -> None:
        self.asked: List[str] = []
        self.go = threading.Semaphore(0)

    def ask(self, question: str) -> str:
        self.asked.append(question)
        number = len(self.asked)
        assert self.go.acquire(timeout=PATIENCE)
        return "%s %d" % (question, number)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def results(asked: "List[Future[str]]") -> List[str]:
    return [each.result(PATIENCE) for each in asked]


def test_who_comes_later_is_told_what_was_asked_later(threads: ThreadPoolExecutor) -> None:
    there = Answerer()
    questions = SharedQuestions(there.ask)
    first = threads.submit(questions.answer, "status")
    eventually(lambda: there.asked == ["status"])
    later = [threads.submit(questions.answer, "status") for _number in range(5)]
    other = threads.submit(questions.answer, "sets")
    there.go.release(20)
    assert first.result(PATIENCE) == "status 1" and other.result(PATIENCE).startswith("sets ")
    assert all(each.startswith("status ") and each != "status 1" for each in results(later))


def test_those_who_wait_together_are_one_question(threads: ThreadPoolExecutor) -> None:
    there, gathered = Answerer(), threading.Event()
    questions = SharedQuestions(there.ask, lambda _seconds: gathered.wait(PATIENCE))
    there.go.release(2)
    together = [threads.submit(questions.answer, "status") for _number in range(10)]
    eventually(lambda: "status" in questions.next and questions.next["status"].waiting == 9)
    gathered.set()
    assert set(results(together)) == {"status 1"} and there.asked == ["status"]


def test_an_error_is_everybodys_and_the_next_is_asked_anew() -> None:
    answers: List[object] = [OSError(111, "Connection refused"), "fine"]

    def ask(_question: str) -> str:
        told = answers.pop(0)
        if isinstance(told, Exception):
            raise told
        return str(told)
    questions = SharedQuestions(ask)
    with pytest.raises(OSError, match="refused"):
        questions.answer("status")
    assert questions.answer("status") == "fine"


def test_what_was_asked_is_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_questions, "APART", 0.0)
    questions = SharedQuestions(str.upper)
    assert [questions.answer("q%d" % number) for number in range(1000)] == ["Q%d" % number for number in range(1000)]
    assert len(questions.due) <= shared_questions.FEW
