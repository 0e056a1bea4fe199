"""Answers that are waited for only so long: what takes longer is worked out in a thread, and known the next time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any

__all__ = ["Answers"]

PATIENCE = 0.05  # seconds; a Tab is felt to hang from 0.1 s on
FRESH = 20  # times as long as it took to find, an answer is good: the thread takes a twentieth of the time at most
MAX_THREADS = 4  # at work at once: a store that hangs must not gather threads
MAX_KEPT = 64


class Answers:
    """The latest answers to some questions.

    A thread lives for as long as its question takes, and no debugger stops in it; none is left behind for a process
    to wait for at its end.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}
        self._until: dict[Hashable, float] = {}
        self._asked: dict[Hashable, threading.Event] = {}
        self._lock = threading.Lock()

    def ask(self, questions: Mapping[Hashable, Callable[[], Any]], started: float) -> list[Any]:
        """Answer some questions; one that takes longer than one waits has the answer that it had the last time.

        Args:
            questions: What is asked, and what works out the answer, in another thread; the same question is not
                worked on twice at once. What that raises means that there is no answer.
            started: Since when one waits, by `time.monotonic`.

        Returns:
            The answers that there are, in the order of the questions.
        """
        until = started + PATIENCE
        for done in [self._begin(question, find) for question, find in questions.items()]:
            done.wait(max(0.0, until - time.monotonic()))
        return [self._known[question] for question in questions if question in self._known]

    def _begin(self, question: Hashable, find: Callable[[], Any]) -> threading.Event:
        with self._lock:
            done = self._asked.get(question)
            if done is None:
                done = threading.Event()
                if time.monotonic() < self._until.get(question, 0.0):
                    done.set()
                elif len(self._asked) < MAX_THREADS:
                    self._asked[question] = done
                    self._start(question, find, done)
                else:
                    done.set()
        return done

    def _start(self, question: Hashable, find: Callable[[], Any], done: threading.Event) -> None:
        thread = threading.Thread(target=self._work, args=(question, find, done), name="kit-answers", daemon=True)
        thread.pydev_do_not_trace = thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]  # debugpy's words
        thread.start()

    def _work(self, question: Hashable, find: Callable[[], Any], done: threading.Event) -> None:
        started = time.monotonic()
        found: tuple[Any, ...] = ()
        with suppress(Exception):  # what cannot be answered now is asked again the next time
            found = (find(),)
        with self._lock:
            self._known.pop(question, None)
            self._known.update((question, answer) for answer in found)
            self._until[question] = time.monotonic() + FRESH * (time.monotonic() - started) if found else 0.0
            for kept in (self._known, self._until):
                while len(kept) > MAX_KEPT:
                    del kept[next(iter(kept))]
            self._asked.pop(question, None)
        done.set()
