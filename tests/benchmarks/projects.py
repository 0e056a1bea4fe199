"""The project that the benchmarks replay: recorded by Metaflow, its wide foreach widened on disk.

To record a foreach of 1,000 tasks takes twenty minutes, so a run of few tasks is copied under another id, and the
tasks of its foreach are written in the form in which Metaflow writes them.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support import write_files

LINEAR = """
    import numpy
    from metaflow import FlowSpec, step


    class LinearFlow(FlowSpec):
        @step
        def start(self):
            self.count = 1
            self.array = numpy.random.default_rng(0).random(1_000_000)
            self.next(self.trivial)

        @step
        def trivial(self):
            self.count += 1
            self.next(self.reads)

        @step
        def reads(self):
            self.total = float(self.array.sum())
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        LinearFlow()
"""

WIDE = """
    from metaflow import FlowSpec, Parameter, step


    class WideFlow(FlowSpec):
        width = Parameter("width", type=int, default=10)

        @step
        def start(self):
            self.numbers = list(range(self.width))
            self.next(self.work, foreach="numbers")

        @step
        def work(self):
            self.value = 2 * self.input
            self.next(self.join)

        @step
        def join(self, inputs):
            self.total = sum(i.value for i in inputs)
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        WideFlow()
"""


def make_project(root: Path) -> None:
    """Write a project with the two flows."""
    write_files(root, {"flows/linear.py": LINEAR, "flows/wide.py": WIDE, "pyproject.toml": "[tool.kit]\n"})


def python(root: Path, *arguments: str) -> None:
    """Run a command of a flow in a process of its own, as a user does.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def record(root: Path, file: str, *arguments: str) -> str:
    """Run a flow; gives the id of the run."""
    before = set(_runs(root))
    python(root, file, "--no-pylint", "run", *arguments)
    (new,) = set(_runs(root)) - before
    return new.name


def widened(root: Path, run: str, width: int) -> str:
    """Copy a run of WideFlow, its foreach of another width; gives the id of the new run."""
    store = root / ".metaflow" / "WideFlow"
    new = str(int(run) + width)
    for step in ("_meta", "_parameters", "start", "join", "end", "work/_meta"):
        shutil.copytree(store / run / step, store / new / step)
    for file in (store / new).rglob("_meta/*.json"):
        file.write_text(file.read_text().replace(run, new))
    numbers = list(range(width))
    common = {"width": width, "numbers": numbers, "_foreach_values": [str(number) for number in numbers]}
    _edit(store, new, "_parameters", {"width": width})
    _edit(store, new, "start", {**common, "_foreach_num_splits": width})
    for step in ("join", "end"):
        _edit(store, new, step, {"width": width, "total": 2 * sum(numbers)})
    template = _task(store, run, "work")
    frame = _read(store, _data(template), "_foreach_stack")[0]
    data = json.dumps(_changed(store, _data(template), common))
    for number in numbers:
        task = store / new / "work" / str(10_000 + number)
        (task / "_meta").mkdir(parents=True)
        for name in ("0.attempt.json", "0.DONE.lock"):
            shutil.copy(template / name, task / name)
        address = (template / "_meta" / "_self.json").read_text().replace(run, new)
        address = address.replace(f'"task_id": "{template.name}"', f'"task_id": "{task.name}"')
        (task / "_meta" / "_self.json").write_text(address)
        stack = [frame._replace(num_splits=width, index=number, value=str(number))]
        own = _changed(store, json.loads(data), {"_foreach_stack": stack, "value": 2 * number})
        (task / "0.data.json").write_text(json.dumps(own))
    return new


def artifacts(root: Path, run: str) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Read all that a run of WideFlow holds, by step and foreach index, without what is of the run alone."""
    store = root / ".metaflow" / "WideFlow"
    found = []
    for task in (store / run).glob("*/*/0.data.json"):
        data = json.loads(task.read_text())
        values = sorted((name, _read(store, data, name)) for name in data["objects"])
        found.append((task.parent.parent.name, values))
    return sorted(found, key=repr)


def read_barely(root: Path, run: str) -> int:
    """Read the inputs of a wide join: each task's list of artifacts, and the one artifact that the step reads."""
    store = root / ".metaflow" / "WideFlow"
    total = 0
    with os.scandir(store / run / "work") as tasks:
        for task in tasks:
            if not task.name.startswith("_"):
                with open(f"{task.path}/0.data.json", encoding="utf-8") as file:
                    total += _read(store, json.load(file), "value")
    return total


def _runs(root: Path) -> list[Path]:
    return [path for path in root.glob(".metaflow/*/*") if path.name.isdigit()]


def _task(store: Path, run: str, step: str) -> Path:
    return min(path for path in (store / run / step).iterdir() if path.name != "_meta")


def _data(task: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((task / "0.data.json").read_text())
    return data


def _edit(store: Path, run: str, step: str, values: Mapping[str, Any]) -> None:
    task = _task(store, run, step)
    (task / "0.data.json").write_text(json.dumps(_changed(store, _data(task), values)))


def _changed(store: Path, data: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Put values in the place of recorded ones: their pickles in the store, their addresses in the task's list."""
    for name, value in values.items():
        blob = pickle.dumps(value, protocol=4)
        ((_, address),) = _blobs(store).save_blobs(iter([blob]))
        data["objects"][name] = address
        data["info"][name] = {**data["info"][name], "size": len(blob)}
    return data


def _read(store: Path, data: dict[str, Any], name: str) -> Any:
    ((_, blob),) = _blobs(store).load_blobs([data["objects"][name]])
    return pickle.loads(blob)


_stores: dict[Path, Any] = {}


def _blobs(store: Path) -> Any:
    """Open the part of Metaflow's datastore that keeps pickles."""
    from kit import internals

    if store not in _stores:
        local = internals.LocalStorage
        flows = internals.FlowDataStore(store.name, None, storage_impl=local, ds_root=str(store.parent))
        _stores[store] = flows.ca_store
    return _stores[store]


MANY = """
    from metaflow import FlowSpec, step


    class ManyFlow(FlowSpec):
        @step
        def start(self):
            self.numbers = [0, 1, 2]
            self.note = "the same in every task"
            self.next(self.work, foreach="numbers")

        @step
        def work(self):
            self.number = self.input
            for i in range(10):
                setattr(self, f"value{i}", [self.input, i, list(range(20))])
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        ManyFlow()
"""


def many_tasks(root: Path, run: str, width: int, described: bool = True) -> str:
    """Copy a run of ManyFlow, its foreach of another width: 13 artifacts a task; gives the id of the new run.

    Args:
        root: The project.
        run: The run to copy.
        width: How many tasks its foreach is to have.
        described: Whether to write what Metaflow's metadata says of each artifact too: its client reads that.
    """
    store = root / ".metaflow" / "ManyFlow"
    new = str(int(run) + width)
    for step in ("_meta", "_parameters", "start", "join", "end", "work/_meta"):
        shutil.copytree(store / run / step, store / new / step)
    for file in (store / new).rglob("_meta/*.json"):
        file.write_text(file.read_text().replace(run, new))
    numbers = list(range(width))
    common = {"numbers": numbers, "_foreach_values": [str(number) for number in numbers]}
    _edit(store, new, "start", {**common, "_foreach_num_splits": width})
    template = _task(store, run, "work")
    frame = _read(store, _data(template), "_foreach_stack")[0]
    data = json.dumps(_changed(store, _data(template), common))
    meta = [path for path in (template / "_meta").iterdir() if described or path.name == "_self.json"]
    texts = {path.name: path.read_text().replace(run, new) for path in meta}
    own_id = f'"task_id": "{template.name}"'
    for number in numbers:
        task = store / new / "work" / str(10_000 + number)
        (task / "_meta").mkdir(parents=True)
        for name in ("0.attempt.json", "0.DONE.lock"):
            shutil.copy(template / name, task / name)
        stack = [frame._replace(num_splits=width, index=number, value=str(number))]
        values = {f"value{i}": [number, i, list(range(20))] for i in range(10 if described else 1)}
        own = _changed(store, json.loads(data), {"_foreach_stack": stack, "number": number, **values})
        (task / "0.data.json").write_text(json.dumps(own))
        for name, text in texts.items():
            if name.startswith("0_artifact_"):
                record = json.loads(text)
                record["sha"] = own["objects"].get(record["name"], record["sha"])
                text = json.dumps(record)
            (task / "_meta" / name).write_text(text.replace(own_id, f'"task_id": "{task.name}"'))
    return new


def read_all_barely(root: Path, flow: str, run: str) -> int:
    """Read every artifact of a foreach's tasks without Metaflow: each list, each pickle of it once, each value."""
    store = root / ".metaflow" / flow
    blobs: dict[str, bytes] = {}
    count = 0
    with os.scandir(store / run / "work") as tasks:
        for task in tasks:
            if task.name.startswith("_"):
                continue
            with open(f"{task.path}/0.data.json", encoding="utf-8") as file:
                objects = json.load(file)["objects"]
            for name, sha in objects.items():
                if name.startswith("_"):
                    continue
                if sha not in blobs:
                    with gzip.open(f"{store}/data/{sha[:2]}/{sha}") as packed:
                        blobs[sha] = packed.read()
                pickle.loads(blobs[sha])
                count += 1
    return count
