"""Every task of many flows, replayed: what comes out is what the run recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kit
from kit.model import StepResult, TaskInfo
from matrix import code, decorators, endings, identity, mutators, parameters, values
from matrix.record import RecordedRun, record
from matrix.table import Row

ROWS = tuple(row for theme in (identity, values, parameters, decorators, mutators, code, endings) for row in theme.ROWS)

pytestmark = [pytest.mark.flow, pytest.mark.matrix, pytest.mark.timeout(1800)]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[RecordedRun, ...]]]:
    """The matrix's project, and the runs of each flow."""
    root = tmp_path_factory.mktemp("matrix") / "project"
    return root, record(root, ROWS)


def test_the_matrix_has_many_flows_each_with_a_name_of_its_own() -> None:
    assert len({row.flow for row in ROWS}) == len(ROWS) >= 100


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.flow)
def test_every_task_replays_to_what_its_run_recorded(
    row: Row, recorded: tuple[Path, dict[str, tuple[RecordedRun, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, runs = recorded
    monkeypatch.chdir(root)
    differences = []
    for run in runs[row.flow]:
        if not run.as_expected:
            pytest.fail(f"{row.file} did not run as it should:\n{run.output}", pytrace=False)
        with monkeypatch.context() as environment:
            for name, value in run.launch.lasting.items():
                environment.setenv(name, value)
            for step in kit.artifacts(f"{row.flow}/{run.id}").steps:
                for task in step.tasks:
                    differences += [f"{task.pathspec}: {line}" for line in _replayed(row, task)]
    if differences:
        pytest.fail("\n".join(differences), pytrace=False)


def _replayed(row: Row, task: TaskInfo) -> list[str]:
    """Replay a task; give what is not as expected, a line each."""
    step = task.pathspec.step or ""
    if task.status != "succeeded" and step in row.raises:
        return _raised(task, *row.raises[step])
    try:
        result = kit.run_step(str(task.pathspec))
    except Exception as error:  # every task is replayed, and all that goes wrong is shown
        return [f"raised {_named(error)}"]
    if task.artifacts:
        return _compared(result, task)
    return _unrecorded(result, row.unrecorded.get(step))


def _raised(task: TaskInfo, kind: str, message: str) -> list[str]:
    try:
        kit.run_step(str(task.pathspec))
    except Exception as error:
        if type(error).__name__ == kind and message in str(error):
            return []
        return [f"raised {_named(error)} instead of {kind}: {message}"]
    return [f"did not raise {kind}: {message}"]


def _named(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__name__}: {error}"


def _unrecorded(result: StepResult, expected: Any) -> list[str]:
    if expected is None:
        return ["recorded nothing, and the table does not say so"]
    told = {} if result.same is result.changed is result.added is result.missing is None else {"same": result.same}
    left = {name: result.artifacts.get(name) for name in expected}
    wrong = {name: value for name, value in left.items() if value != expected[name]}
    return [f"recorded nothing, and {name} is {value!r}" for name, value in {**told, **wrong}.items()]


def _compared(result: StepResult, task: TaskInfo) -> list[str]:
    names = {artifact.name for artifact in task.artifacts}
    lines = [f"{kind} {sorted(getattr(result, kind) or ())}" for kind in ("added", "missing") if getattr(result, kind)]
    if result.same is None:
        return ["nothing to compare with, though something was recorded"]
    if result.changed:
        recorded = kit.artifacts(str(task.pathspec))[task.pathspec.step or ""]
        for name in sorted(result.changed):
            lines.append(f"changed {name}:\n    recorded {recorded[name]!r}\n    replayed {result.artifacts[name]!r}")
    elif result.same != names and not lines:
        lines.append(f"not compared: {sorted(names - result.same)}")
    return lines
