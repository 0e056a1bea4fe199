"""A replay by kit against `spin`, against the step's own body, and against the bare reading of what it reads."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import Result, interleaved, say, timed
from projects import artifacts, make_project, python, read_barely, record, widened

SPIN_ROUNDS = 5
WIDTHS = (10, 100, 1000)
REPLAYS = 1000

Replay = Callable[[str], Any]


def results(root: Path, quick: bool) -> Iterator[Result]:
    """Run the benchmarks in a new project; each result as soon as it is there."""
    say("recording runs ...")
    make_project(root)
    run = record(root, "flows/linear.py")
    narrow = record(root, "flows/wide.py", "--width", "3")
    os.chdir(root)
    magic = _loaded_kit()
    rounds = 2 if quick else SPIN_ROUNDS
    yield _against_spin(root, run, rounds, magic)
    yield _one_large_input(run, rounds, magic)
    yield from _joins(root, narrow, rounds, magic, WIDTHS[:2] if quick else WIDTHS)
    yield _memory(run, REPLAYS // 10 if quick else REPLAYS, magic)


def _loaded_kit() -> Replay:
    """Load kit into an IPython shell, as a notebook does; gives what `%mf_run_step` does there."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    shell.run_line_magic("load_ext", "kit")
    return lambda task: shell.run_line_magic("mf_run_step", task)


def _against_spin(root: Path, run: str, rounds: int, magic: Replay) -> Result:
    """The same task both ways. Its body takes no time, so that what kit takes is kit's overhead."""
    task = f"LinearFlow/{run}/trivial/2"
    cold = timed(lambda: magic(task))
    drawn = min(timed(magic(task)._repr_html_) for _ in range(10))
    python(root, "flows/linear.py", "--no-pylint", "spin", task)  # writes the byte code that the next ones find
    samples = interleaved(
        {
            "%mf_run_step, warm": (lambda: magic(task), 20),
            "spin": (lambda: python(root, "flows/linear.py", "--no-pylint", "spin", task), 1),
        },
        rounds,
    )
    first = "the first replay, the import of Metaflow with it"
    facts = ((first, f"{cold:.0f} ms"), ("to draw the result", f"{drawn:.1f} ms"))
    return Result("a linear step with a trivial body", samples, facts)


def _one_large_input(run: str, rounds: int, magic: Replay) -> Result:
    """A step that reads 8 MB, and that reading alone, as Metaflow's own datastore does it."""
    from kit.model import Pathspec
    from kit.project import find_project
    from kit.runs import Runs

    runs = Runs(find_project())
    start = Pathspec("LinearFlow", run, "start", "1")
    store = runs.task_store(start, runs.stores[0].root)
    task = f"LinearFlow/{run}/reads"
    magic(task)
    samples = interleaved(
        {
            "%mf_run_step, warm": (lambda: magic(task), 5),
            "reading alone": (lambda: float(store["array"].sum()), 5),
        },
        rounds,
    )
    overhead = samples[0].median - samples[1].median
    return Result("a step that reads 8 MB", samples, (("kit over the reading", f"{overhead:.1f} ms"),))


def _joins(root: Path, narrow: str, rounds: int, magic: Replay, widths: tuple[int, ...]) -> Iterator[Result]:
    """Joins of a foreach, and the reading of their inputs without Metaflow."""
    if artifacts(root, widened(root, narrow, 4)) != artifacts(root, record(root, "flows/wide.py", "--width", "4")):
        raise RuntimeError("a widened run is not what Metaflow records")
    for width in widths:
        run = widened(root, narrow, width)
        task = f"WideFlow/{run}/join"
        first = timed(lambda task=task: magic(task))
        done = magic(task)
        if done.changed or done.artifacts["total"] != read_barely(root, run):
            raise RuntimeError(f"the replay of {width} inputs came out different")
        sides = {
            "%mf_run_step, warm": (lambda task=task: magic(task), 2),
            "bare reading": (lambda run=run: read_barely(root, run), 2),
        }
        samples = interleaved(sides, rounds)
        facts = (("each input", f"{samples[0].median / width:.3f} ms"), ("the first replay", f"{first:.0f} ms"))
        yield Result(f"a join of {width} inputs", samples, facts)


def _memory(run: str, replays: int, magic: Replay) -> Result:
    """The memory of this process, and the objects in it, as one step is replayed again and again."""
    facts, times = [], []
    marks = {replays // 10, replays // 2, replays}
    for count in range(1, replays + 1):
        times.append(timed(lambda: magic(f"LinearFlow/{run}/trivial")))
        if count in marks:
            gc.collect()
            facts.append((f"after {count} replays", f"{_resident():.1f} MB, {len(gc.get_objects())} objects"))
    tenth = max(1, replays // 10)
    first, last = sum(times[:tenth]) / tenth, sum(times[-tenth:]) / tenth
    facts.append((f"a replay, mean of the first and of the last {tenth}", f"{first:.2f} ms, {last:.2f} ms"))
    return Result(f"{replays} replays of one step", (), tuple(facts))


def _resident() -> float:
    """Give the memory of this process in MB."""
    import psutil  # ipykernel brings it

    return float(psutil.Process().memory_info().rss) / 1e6
