"""Listing and reading a wide foreach by kit, against Metaflow's client and against the bare reading of the bytes."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from harness import Result, Sample, interleaved, say, timed
from projects import MANY, many_tasks, read_all_barely, record
from support import write_files

WIDTH, QUICK_WIDTH, VERY_WIDE = 1000, 100, 10_000
ROUNDS = 3


def results(root: Path, quick: bool) -> Iterator[Result]:
    """Run the benchmarks in a new project."""
    width = QUICK_WIDTH if quick else WIDTH
    say(f"recording a run, and widening it to {width:,} tasks of 13 artifacts ...")
    write_files(root, {"flows/many.py": MANY, "pyproject.toml": "[tool.kit]\n"})
    narrow = record(root, "flows/many.py")
    run = many_tasks(root, narrow, width)
    os.chdir(root)
    rounds = 1 if quick else ROUNDS
    yield _listing(run, width, rounds)
    yield _values(root, run, width, rounds)
    if not quick:
        say(f"widening it to {VERY_WIDE:,} tasks ...")
        yield _very_wide(many_tasks(root, narrow, VERY_WIDE, described=False))


def _table(run: str) -> object:
    """List the foreach in a session that has read nothing yet."""
    import kit
    from kit import session

    session._sessions.clear()
    return kit.artifacts(f"ManyFlow/{run}/work")


def _client(run: str) -> object:
    import metaflow

    metaflow.namespace(None)
    return metaflow.Step(f"ManyFlow/{run}/work")


def _listing(run: str, width: int, rounds: int) -> Result:
    """Names and sizes of every artifact of every task."""

    def by_kit() -> int:
        return sum(info.size > 0 for info in _table(run).infos() if info.name != "name")

    def by_client() -> int:
        return sum(artifact.size > 0 for task in _client(run) for artifact in task.artifacts if artifact.id != "name")

    if not by_kit() == by_client() == 13 * width:
        raise RuntimeError("kit and the client do not list the same")
    samples = interleaved({"kit": (by_kit, 1), "Metaflow's client": (by_client, 1)}, rounds)
    drawn = _table(run)
    facts = (
        ("the page as HTML", f"{len(drawn._repr_html_()) / 1000:.1f} kB"),
        ("to draw it", f"{min(timed(drawn._repr_html_) for _ in range(3)):.0f} ms"),
    )
    return Result(f"names and sizes of 13 artifacts of {width:,} tasks", samples, facts)


def _values(root: Path, run: str, width: int, rounds: int) -> Result:
    """Every value of every task."""
    names = ("numbers", "note", "number", *(f"value{i}" for i in range(10)))

    def by_kit() -> int:
        return len(_table(run).gather(*names))

    def by_client() -> int:
        return sum(len([task.data.__getattr__(name) for name in names]) for task in _client(run))

    if by_kit() != width or by_client() != 13 * width or read_all_barely(root, "ManyFlow", run) != 14 * width:
        raise RuntimeError("kit, the client and the bare reading do not read the same")
    sides = {
        "kit, --gather": (by_kit, 1),
        "Metaflow's client": (by_client, 1),
        "bare reading": (lambda: read_all_barely(root, "ManyFlow", run), 1),
    }
    samples = interleaved(sides, rounds)
    factor = samples[0].median / samples[2].median
    return Result(f"all values of {width:,} tasks", samples, (("kit over the bare reading", f"{factor:.2f}"),))


def _very_wide(run: str) -> Result:
    """A foreach of 10,000 tasks: the time, and the memory that the listing takes and keeps."""
    times = [timed(lambda: _table(run)) for _ in range(2)]
    tracemalloc.start()
    table = _table(run)
    kept, most = (size / 1e6 for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    facts = (
        ("memory that the listing keeps", f"{kept:.0f} MB"),
        ("memory while it was read", f"{most:.0f} MB at most"),
        ("the page as HTML", f"{len(table._repr_html_()) / 1000:.1f} kB"),
    )
    return Result(f"listing a foreach of {VERY_WIDE:,} tasks", (Sample("kit", tuple(times)),), facts)
