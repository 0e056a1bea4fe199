"""Listing and reading a foreach in S3 whose answers take 50 ms, by kit and by Metaflow's client."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness import Result, Sample, say
from projects import MANY, python
from s3_server import s3_server
from support import write_files

WIDTH, QUICK_WIDTH, ROUNDS = 10, 4, 2
LATENCY = 0.05  # seconds

MEASURE = """
import json, sys, time
import kit, metaflow
from kit import session

NAMES = ("numbers", "note", "number", *(f"value{i}" for i in range(10)))
run = metaflow.Flow("ManyFlow").latest_run.id

def table():
    session._sessions.clear()
    return kit.artifacts(f"ManyFlow/{run}/work")

def sizes_by_kit():
    return sum(info.size > 0 for info in table().infos() if info.name != "name")

def sizes_by_client():
    step = metaflow.Step(f"ManyFlow/{run}/work")
    return sum(artifact.size > 0 for task in step for artifact in task.artifacts if artifact.id != "name")

def values_by_kit():
    return len(NAMES) * len(table().gather(*NAMES))

def values_by_client():
    return sum(len([getattr(task.data, name) for name in NAMES]) for task in metaflow.Step(f"ManyFlow/{run}/work"))

side = globals()[sys.argv[1]]
started = time.perf_counter()
count = side()
taken = (time.perf_counter() - started) * 1000
assert count == int(sys.argv[2]), (side, count)
print(json.dumps(taken))
"""


def results(root: Path, quick: bool) -> Iterator[Result]:
    """Run the benchmarks in a new project."""
    width = QUICK_WIDTH if quick else WIDTH
    say(f"recording {width} tasks of 13 artifacts in S3 ...")
    flow = MANY.replace("[0, 1, 2]", f"list(range({width}))")
    write_files(root, {"flows/many.py": flow, "pyproject.toml": "[tool.kit]\n"})
    os.chdir(root)
    with s3_server() as (environ, delayed):
        os.environ.update(environ)
        try:
            python(root, "flows/many.py", "--no-pylint", "run")
            delayed.seconds = LATENCY
            times: dict[str, list[float]] = {}
            for _ in range(1 if quick else ROUNDS):
                for side in ("sizes_by_kit", "sizes_by_client", "values_by_kit", "values_by_client"):
                    times.setdefault(side, []).append(_measured(root, side, 13 * width))
        finally:
            for name in environ:
                del os.environ[name]
    for what, said in (("sizes", "names and sizes"), ("values", "all values")):
        sides = {"kit": f"{what}_by_kit", "Metaflow's client": f"{what}_by_client"}
        samples = tuple(Sample(name, tuple(times[side])) for name, side in sides.items())
        yield Result(f"{said} of {width} tasks of 13 artifacts in S3, {LATENCY * 1000:.0f} ms away", samples)


def _measured(root: Path, side: str, count: int) -> float:
    """Do it once in a process that has read nothing yet; Metaflow's client keeps what it reads in a folder."""
    with tempfile.TemporaryDirectory(prefix="kit-client-") as cache:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, side, str(count)],
            cwd=root,
            env={**os.environ, "METAFLOW_CLIENT_CACHE_PATH": cache},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return float(done.stdout)
