"""A step that ends its process, starts others, or is not alone: in a replay the process is not its own."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hands import work

import kit

# pytest-timeout's own alarm would be in the way of the steps' alarms.
pytestmark = [pytest.mark.flow, pytest.mark.timeout(300, method="thread")]


ENDS = {
    "exit_nothing": "sys.exit()",
    "exit_zero": "sys.exit(0)",
    "exit_three": "sys.exit(3)",
    "exit_text": "sys.exit('no data')",
    "os_exit": "os._exit(0)",
    "abort": "os.abort()",
    "kill": f"os.kill({os.getpid()}, SIGKILL)",
    "terminate": f"os.kill({os.getpid()}, SIGTERM)",
    "stop": f"os.kill({os.getpid()}, SIGSTOP)",
    "kill_group": "os.killpg(",
    "kill_parent": "os.kill(",
    "raise_signal": "signal.raise_signal(SIGTERM)",
    "pthread_kill": "signal.pthread_kill(",
    "execute": "os.execv(",
    "alarm": "SIGALRM, which nothing handled",
    "swallow": "os._exit(4)",
    "exit_in_thread": "os._exit(5)",
    "exit_in_common": "os._exit(9)",
}


@pytest.mark.parametrize("what", ENDS)
@pytest.mark.parametrize("step", ["work", "caught"])
def test_step_that_ends_its_process_fails_the_replay_and_names_the_line(what: str, step: str, recorded: Path) -> None:
    with pytest.raises(kit.KitError) as caught:
        work(what, step)
    file = recorded / "flows" / ("common.py" if what == "exit_in_common" else "hands.py")
    if what != "exit_in_thread":
        assert f"({file}, line " in caught.value.message
    call = ENDS[what]
    assert f"The step ended its own process: {call}" in caught.value.message
    assert "let the step return" in caught.value.hint or "raise an exception" in caught.value.hint
    assert "metaflow" not in caught.value.details
    innermost = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert what == "exit_in_thread" or innermost.filename == str(file)


def test_signals_that_a_step_handles_itself_reach_it() -> None:
    assert work("harmless").artifacts["got"] == [signal.SIGTERM]


def test_children_of_a_step_are_on_their_own() -> None:
    artifacts = work("child_processes").artifacts
    assert [artifacts[name] for name in ("forked", "killed", "quitter")] == [7, -9, 3]
    assert artifacts["squares"] == [0, 1, 4, 9]
    assert artifacts["cubes"] == [0, 1, 8]
    assert artifacts["spawned"]


def test_forked_child_dies_of_its_own_alarm() -> None:
    assert work("fork_exits_by_signal").artifacts["forked"] == -signal.SIGALRM


def test_forked_child_that_comes_out_of_the_step_ends_there() -> None:
    assert work("forked_children_that_come_out").artifacts["statuses"] == [0, 6, 1]


def test_step_runs_coroutines_also_below_a_running_loop() -> None:
    import asyncio

    async def notebook() -> list[int]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        answers: list[int] = work("coroutines").artifacts["answers"]
        assert (asyncio.current_task(), asyncio.get_running_loop()) == (task, loop)
        await asyncio.sleep(0)
        return answers

    assert asyncio.run(notebook()) == [42, 42]


def test_replay_inside_a_replay_works_and_prints_to_both(capsys: pytest.CaptureFixture[str]) -> None:
    result = work("nested")
    assert result.artifacts["inner"] == "spoken\n"
    assert result.stdout == "outer\nspoken\nouter again\n" == capsys.readouterr().out


def test_replay_in_a_thread_of_a_step_is_refused_rather_than_waited_for() -> None:
    assert "cannot replay a step while that one runs" in work("nested_in_a_thread").artifacts["refused"]


def test_replays_from_the_threads_of_a_script_take_turns() -> None:
    before = dict(os.environ), os.getcwd(), sys.modules["__main__"], sys.stdout
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(work, ["speak", "unseeded", "speak", "nothing"]))
    assert [result.stdout for result in results] == ["spoken\n", "", "spoken\n", ""]
    assert (dict(os.environ), os.getcwd(), sys.modules["__main__"], sys.stdout) == before


def test_timeout_needs_the_main_thread_and_kit_says_so() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(kit.KitError, match="@timeout is replayed in the main thread"):
        pool.submit(work, "nothing", "limited").result()
