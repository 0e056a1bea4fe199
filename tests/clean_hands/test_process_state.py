"""What a replay leaves behind in the process: nothing."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hands import state, tree, work

# pytest-timeout's own alarm would be in the way of the steps' alarms.
pytestmark = [pytest.mark.flow, pytest.mark.timeout(300, method="thread")]


def test_step_that_changes_everything_leaves_the_process_as_it_was(recorded: Path) -> None:
    work("nothing")  # drops a common.py of another test's project
    import common

    logging.getLogger("before").setLevel(logging.ERROR)
    before, files = state(), tree(recorded)
    mask = os.umask(0o022)
    assert work("everything").artifacts["done"]
    assert os.umask(mask) == 0o022
    now = state()
    assert {name for name in before if before[name] != now[name]} == set()
    assert sys.modules["common"] is common
    assert "stand_in" not in sys.modules
    assert tree(recorded) == files


@pytest.mark.parametrize("what", ["everything", "fail", "exit_three", "kill", "interrupt", "frozen", "alarm"])
def test_two_replays_in_a_row_leave_the_same_process(what: str, recorded: Path) -> None:
    def once() -> None:
        with suppress(Exception, KeyboardInterrupt):
            work(what)

    once()
    before, files = state(), tree(recorded)
    once()
    now = state()
    assert {name for name in before if before[name] != now[name]} == set()
    assert tree(recorded) == files


def test_unseeded_numbers_differ_at_each_replay_and_the_notebooks_go_on_undisturbed() -> None:
    import numpy as np

    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()  # noqa: S311
    random.seed(3)
    np.random.seed(3)
    first, second = (work("unseeded").artifacts["numbers"] for _ in range(2))
    assert set(first).isdisjoint(second)
    assert (random.random(), np.random.rand()) == expected  # noqa: S311


def test_step_may_choose_how_processes_start_at_each_replay() -> None:
    assert [work("choose_spawn").artifacts["method"] for _ in range(2)] == ["spawn"] * 2


def test_handler_that_a_step_adds_prints_once_at_each_replay() -> None:
    assert [work("add_handler").stdout for _ in range(3)] == ["once\n"] * 3


def test_what_the_flow_file_does_when_it_is_loaded_holds_in_the_step_and_not_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AT_LOAD", "7")
    handler, state_before = signal.getsignal(signal.SIGUSR1), random.getstate()
    for _ in range(2):
        result = work("see_what_loading_did")
        assert result.artifacts["seen"] == (random.Random(7).random(), "yes", "handler")  # noqa: S311
        assert capsys.readouterr().out == "once\n"
    assert "LOADED" not in os.environ
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert random.getstate() == state_before
    assert logging.getLogger("at.load").handlers == []


def test_interrupt_while_state_is_put_back_waits_for_it() -> None:
    from kit.replay import process

    reached: list[str] = []

    def interrupting() -> Any:
        return lambda: (signal.raise_signal(signal.SIGINT), reached.append("after"))

    keepers = process.KEEPERS
    process.KEEPERS = (*keepers, interrupting)
    before = dict(os.environ)
    try:
        with pytest.raises(KeyboardInterrupt), process.preserved():
            os.environ["HANDS"] = "dirty"
    finally:
        process.KEEPERS = keepers
    assert reached == ["after"]
    assert dict(os.environ) == before


MANY = """
import gc, sys, os
sys.path.insert(0, "flows")
import kit
import psutil

def once():
    kit.run_step("HandsFlow/work", {"what": "speak"})
    try:
        kit.run_step("HandsFlow/work", {"what": "fail"})
    except ValueError:
        pass

sys.stdout = sys.stderr = open(os.devnull, "w")
for _ in range(30):
    once()
gc.collect()
objects, size = len(gc.get_objects()), psutil.Process().memory_info().rss
for _ in range(ROUNDS):
    once()
gc.collect()
grown = psutil.Process().memory_info().rss - size
print(len(gc.get_objects()) - objects, grown / 2**20, file=sys.__stdout__)
"""


def test_many_replays_leave_no_objects_and_no_memory() -> None:
    code = MANY.replace("ROUNDS", "100")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    objects, megabytes = map(float, done.stdout.split())
    assert objects < 200  # of a replay's own there are thousands
    assert megabytes < 10
    gc.collect()
