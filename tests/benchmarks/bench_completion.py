"""How long a Tab holds the kernel: in a project of 60 flows, and in a run of 10,000 tasks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from harness import Result, Sample, say
from kernel_client import Kernel
from projects import LINEAR, MANY, many_tasks, record
from support import write_files

TASKS, QUICK_TASKS = 10_000, 1_000
ROUNDS = 7


def results(root: Path, quick: bool) -> Iterator[Result]:
    """Press Tab in a kernel, as soon as kit is loaded and again later."""
    tasks = QUICK_TASKS if quick else TASKS
    flows = {f"flows/flow{i}.py": LINEAR.replace("LinearFlow", f"Flow{i}") for i in range(59)}
    write_files(root, {**flows, "flows/many.py": MANY, "pyproject.toml": "[tool.kit]\n"})
    say(f"recording a run, and widening it to {tasks:,} tasks ...")
    run = many_tasks(root, record(root, "flows/many.py"), tasks, described=False)
    lines = {
        "one of 60 flows": "%mf_artifacts Fl",
        "a run, or a step": "%mf_artifacts ManyFlow/",
        f"one of {tasks:,} tasks": f"%mf_artifacts ManyFlow/{run}/work/",
        f"an artifact of {tasks:,} tasks": f"%mf_artifacts ManyFlow/{run} ",
        "Python's own names": "import os; os.pat",
    }
    kernel = Kernel(root, {"USERNAME": os.environ["USERNAME"]})
    try:
        kernel.check("%load_ext kit")
        samples, facts = [], []
        for name, line in lines.items():
            times = [_tab(kernel, line) for _ in range(2 if quick else ROUNDS)]
            samples.append(Sample(name, tuple(times)))
            facts.append((f"{name}, the first time", f"{times[0]:.0f} ms"))
            facts.append((f"{name}, the longest after it", f"{max(times[1:]):.0f} ms"))
    finally:
        kernel.close()
    yield Result("a Tab in a kernel, until it is answered", tuple(samples), tuple(facts))


def _tab(kernel: Kernel, line: str) -> float:
    started = time.perf_counter()
    kernel.complete(line)
    taken = (time.perf_counter() - started) * 1000
    time.sleep(0.5)
    return taken
