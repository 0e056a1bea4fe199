"""Steps replayed in this process, against what their real runs recorded."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path

import pytest
from flows_for_tests import PROJECT
from support import USER, run_flow, write_files

import kit

pytestmark = pytest.mark.flow

TASKS = [
    *("LinearFlow/start", "LinearFlow/middle", "LinearFlow/end"),
    *("BranchFlow/start", "BranchFlow/left", "BranchFlow/right", "BranchFlow/join", "BranchFlow/end"),
    *("ForeachFlow/start", "ForeachFlow/outer", "ForeachFlow/inner", "ForeachFlow/inner_join"),
    *("ForeachFlow/outer_join", "ForeachFlow/end"),
    *("SwitchFlow/start", "SwitchFlow/long", "SwitchFlow/loop", "SwitchFlow/end"),
    *("DecoratedFlow/start", "DecoratedFlow/report", "DecoratedFlow/attempt", "DecoratedFlow/last"),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose flows have been run, from different folders."""
    root = tmp_path_factory.mktemp("replay") / "project"
    write_files(root, PROJECT)
    (root / ".metaflow").mkdir()
    run_flow(root / "flows" / "linear.py", "--tag", "mine", "--tag", "best", cwd=root)
    for name in ("branch", "loops", "switch", "decorated"):
        run_flow(root / "flows" / f"{name}.py", cwd=root)
    return root


@pytest.fixture(scope="module")
def failed(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, in which the latest run of one flow failed."""
    root = shutil.copytree(recorded, tmp_path_factory.mktemp("failed") / "project", symlinks=True)
    run_flow(root / "flows" / "decorated.py", "--fail", "1", cwd=root, check=False)
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)


@pytest.mark.parametrize("pathspec", TASKS)
def test_every_task_replays_to_the_artifacts_that_it_recorded(pathspec: str) -> None:
    for task in kit.artifacts(pathspec).steps[0].tasks:
        result = kit.run_step(str(task.pathspec))
        assert (result.changed, result.added, result.missing) == (frozenset(),) * 3
        assert result.same == {artifact.name for artifact in task.artifacts}
        assert result.origin == str(task.pathspec)


def test_result_names_the_next_steps_and_holds_what_was_printed(capsys: pytest.CaptureFixture[str]) -> None:
    result = kit.run_step("LinearFlow/middle")
    assert result.next_steps == ("end",)
    assert result.stdout == "in the middle\n"
    assert result.stderr == "of it\n"
    assert capsys.readouterr().out == result.stdout
    assert 0 < result.seconds < 10


def test_artifacts_of_a_replay_are_the_values_after_the_step() -> None:
    artifacts = kit.run_step("LinearFlow/middle").artifacts
    assert artifacts["items"] == [1, 6]
    assert artifacts["constant"] == "fixed"
    assert artifacts["number"] == 3
    assert artifacts["local"].value == [1, 2]
    assert artifacts["model"].predict(2) == 6
    assert set(artifacts) > {"items", "where", "module", "table"}


def test_replay_has_the_recorded_identity() -> None:
    artifacts = kit.run_step("LinearFlow/middle").artifacts
    run = kit.artifacts("LinearFlow").target.run
    assert artifacts["where"].startswith(f"LinearFlow/{run.id}/middle/")
    assert artifacts["tags"] == ["best", "mine"]
    assert artifacts["module"] == "__main__"


def test_retried_task_replays_its_last_attempt() -> None:
    assert kit.run_step("DecoratedFlow/attempt").artifacts["attempts"] == 1


@pytest.mark.parametrize(
    ("pathspec", "overrides", "name", "value"),
    [
        ("LinearFlow/start", {"number": 7}, "model", 7),
        ("LinearFlow/middle", {"number": 7}, "items", [1, 14]),
        ("LinearFlow/middle", {"items": [5]}, "items", [5, 6]),
        ("LinearFlow/end", {"constant": "other"}, "constant", "other"),
        ("BranchFlow/join", {"both": 10}, "total", 20),
        ("ForeachFlow/end", {"names": []}, "names", []),
    ],
)
def test_override_stands_in_for_an_input_or_a_parameter(
    pathspec: str, overrides: dict[str, object], name: str, value: object
) -> None:
    result = kit.run_step(pathspec, overrides)
    found = result.artifacts[name]
    assert getattr(found, "weight", found) == value
    assert name in (result.changed or ())


def test_override_of_an_unknown_input_is_refused_with_near_names() -> None:
    with pytest.raises(kit.KitError, match=r"no input artifact or parameter numbr\.\nDid you mean number\?"):
        kit.run_step("LinearFlow/middle", {"numbr": 1})


@pytest.mark.parametrize(
    ("index", "name"), [(0, "3a0"), (2, "3c2"), ((1, 0), "5a0"), ((1, 2), "5c2")], ids=["0", "2", "1,0", "1,2"]
)
def test_index_chooses_the_task_of_a_foreach(index: int | tuple[int, ...], name: str) -> None:
    assert kit.run_step("ForeachFlow/inner", index=index).artifacts["name_of_task"] == name


def test_foreach_value_chooses_the_task() -> None:
    assert kit.run_step("ForeachFlow/inner", foreach="b").artifacts["name_of_task"] == "3b1"
    assert kit.run_step("ForeachFlow/outer", foreach=5).artifacts["depth"] == 5


def test_choice_among_many_tasks_is_said() -> None:
    result = kit.run_step("ForeachFlow/inner")
    assert result.artifacts["name_of_task"] == "3a0"
    (note,) = result.notes
    assert "has 6 tasks" in note
    assert "the first by foreach index" in note


def test_cards_are_given_without_a_card_process() -> None:
    result = kit.run_step("DecoratedFlow/report")
    assert {name: len(parts) for name, parts in result.cards.items()} == {"": 1, "second": 1}


def test_changed_code_of_a_step_is_what_runs(recorded: Path) -> None:
    file = recorded / "flows" / "branch.py"
    before = file.read_text()
    file.write_text(before.replace("self.both = 1", "self.both = 100").replace("only_left", "other"))
    try:
        result = kit.run_step("BranchFlow/left")
    finally:
        file.write_text(before)
    assert result.changed == {"both"}
    assert result.added == {"other"}
    assert result.missing == {"only_left"}
    assert result.artifacts["both"] == 100


def test_parameter_that_the_flow_has_got_since_has_its_default(recorded: Path) -> None:
    file = recorded / "flows" / "linear.py"
    before = file.read_text()
    parameters = "extra = Parameter('extra', default=40)\n    rows = Parameter('rows', type=JSONType, default='[2]')\n"
    file.write_text(
        before.replace('constant = "fixed"', f'constant = "fixed"\n    {parameters}').replace(
            "common.scale(self.number)", "self.extra + self.rows[0]"
        )
    )
    try:
        assert kit.run_step("LinearFlow/middle").artifacts["items"] == [1, 42]
    finally:
        file.write_text(before)


def test_failing_step_raises_its_own_exception_from_its_own_line(recorded: Path) -> None:
    with pytest.raises(ValueError, match="as it should be") as caught:
        kit.run_step("DecoratedFlow/last", {"fail": True})
    frames = [entry.path for entry in caught.traceback if not entry.ishidden(caught)]
    assert str(frames[-1]) == str(recorded / "flows" / "decorated.py")
    assert not any("metaflow" in str(path) and "site-packages" in str(path) for path in frames)


def test_failed_task_of_a_run_is_replayed_first(failed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(failed)
    assert kit.artifacts("DecoratedFlow").target.run.status == "failed"
    assert kit.artifacts("DecoratedFlow", successful=True).target.run.status == "succeeded"
    with pytest.raises(ValueError, match="as it should be"):
        kit.run_step("DecoratedFlow/last")
    assert kit.run_step("DecoratedFlow/last", {"fail": False}).added == frozenset()


def test_replay_writes_nothing_to_the_project(recorded: Path) -> None:
    def tree() -> dict[str, str]:
        files = (path for path in recorded.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path): hashlib.sha1(path.read_bytes()).hexdigest() for path in files}  # noqa: S324

    before = tree()
    for pathspec in TASKS:
        kit.run_step(pathspec)
    assert tree() == before


def test_replay_leaves_the_process_as_it_was() -> None:
    from metaflow import current, get_metadata, get_namespace

    def state() -> list[object]:
        return [
            dict(os.environ),
            list(sys.argv),
            list(sys.path),
            list(sys.meta_path),
            list(warnings.filters),
            signal.getsignal(signal.SIGALRM),
            os.getcwd(),
            sys.modules["__main__"],
            (current.run_id, current.step_name, current.is_running_flow, hasattr(current, "card")),
            (get_namespace(), get_metadata()),
        ]

    kit.run_step("LinearFlow/start")
    before = state()
    for pathspec in ("DecoratedFlow/start", "DecoratedFlow/report", "ForeachFlow/inner_join"):
        kit.run_step(pathspec)
    with pytest.raises(ValueError, match="as it should be"):
        kit.run_step("DecoratedFlow/last", {"fail": True})
    assert state() == before


def test_text_and_html_name_every_group_of_artifacts() -> None:
    result = kit.run_step("LinearFlow/middle", {"number": 7})
    for shown in (repr(result), result._repr_html_()):
        assert all(word in shown for word in ("changed", "items", "number", "same", "replayed in", "end"))


def test_step_that_the_flow_has_lost_is_refused(recorded: Path) -> None:
    file = recorded / "flows" / "branch.py"
    before = file.read_text()
    file.write_text(before.replace("def left", "def leftmost").replace("self.left,", "self.leftmost,"))
    try:
        with pytest.raises(kit.KitError, match=r"no longer has the step left\.\nDid you mean leftmost"):
            kit.run_step("BranchFlow/left")
    finally:
        file.write_text(before)


def test_step_without_a_task_is_refused(failed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(failed)
    with pytest.raises(kit.KitError, match=r"DecoratedFlow/\d+/end has no task: the run did not come that far"):
        kit.run_step("DecoratedFlow/end")


def test_run_of_another_user_is_replayed_and_said_so(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import metaflow

    monkeypatch.setenv("USERNAME", "somebody")
    metaflow.default_namespace()
    try:
        result = kit.run_step("LinearFlow/middle")
        assert result.changed == frozenset()
        assert "user:somebody has no runs of LinearFlow" in result.notes[0]
    finally:
        monkeypatch.setenv("USERNAME", USER)
        metaflow.default_namespace()
