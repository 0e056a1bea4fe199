"""Listing and reading a foreach in S3 whose answers take 50 ms, by kit and by Metaflow's client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from harness import Result, Sample, say
from projects import MANY, python
from s3_server import s3_server
from support import write_files

WIDTH, QUICK_WIDTH, ROUNDS = 20, 4, 3
LATENCY = 0.05  # seconds

MEASURE = """
import json, sys, time
import kit, metaflow
from kit import session

NAMES = ("numbers", "note", "number", *(f"value{i}" for i in range(10)))
run = metaflow.Flow("ManyFlow").latest_run.id
rounds = int(sys.argv[1])

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

times = {}
for _ in range(rounds):
    for side in (sizes_by_kit, sizes_by_client, values_by_kit, values_by_client):
        started = time.perf_counter()
        count = side()
        times.setdefault(side.__name__, []).append((time.perf_counter() - started) * 1000)
        assert count == int(sys.argv[2]), (side, count)
print(json.dumps(times))
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
            arguments = [sys.executable, "-c", MEASURE, str(1 if quick else ROUNDS), str(13 * width)]
            done = subprocess.run(arguments, cwd=root, capture_output=True, text=True, check=False)
        finally:
            for name in environ:
                del os.environ[name]
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    times = {name: tuple(taken) for name, taken in json.loads(done.stdout).items()}
    for what, said in (("sizes", "names and sizes"), ("values", "all values")):
        samples = (Sample("kit", times[f"{what}_by_kit"]), Sample("Metaflow's client", times[f"{what}_by_client"]))
        yield Result(f"{said} of {width} tasks of 13 artifacts in S3, {LATENCY * 1000:.0f} ms away", samples)
