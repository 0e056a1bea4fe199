"""Finding runs by pathspec, and what they produced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flows_for_tests import BRANCH, COMMON, FOREACH, LINEAR
from support import USER, run_flow, write_files

import kit
from kit.artifact_table import RunTable
from kit.records import RecentBlobs
from kit.session import session

pytestmark = pytest.mark.flow

HOSTILE = '''
    from metaflow import FlowSpec, step


    class Bomb:
        """Runs code when it is unpickled."""

        def __reduce__(self):
            return (exec, ("raise SystemExit('a listing has unpickled me')",))


    class HostileFlow(FlowSpec):
        @step
        def start(self):
            self.bomb = Bomb()
            setattr(self, "<script>alert(1)", 1)
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        HostileFlow()
'''


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose flows were run from three folders, so that it has three datastores."""
    root = tmp_path_factory.mktemp("artifacts") / "project"
    files = {"common": COMMON, "linear": LINEAR, "branch": BRANCH, "loops": FOREACH, "hostile": HOSTILE}
    write_files(root, {f"flows/{name}.py": content for name, content in files.items()} | {"notebooks/.keep": ""})
    run_flow(root / "flows" / "linear.py", cwd=root / "flows")
    run_flow(root / "flows" / "linear.py", "--number", "4", "--tag", "later", cwd=root / "notebooks")
    run_flow(root / "flows" / "loops.py", cwd=root)
    run_flow(root / "flows" / "hostile.py", cwd=root)
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded / "notebooks")


def test_runs_of_every_folder_are_found_newest_first(recorded: Path) -> None:
    flows = {flow.name: flow.runs for flow in RunTable(session().runs).flows}
    stores = [Path(run.store) for run in flows["LinearFlow"]]
    assert stores == [recorded / "notebooks" / ".metaflow", recorded / "flows" / ".metaflow"]
    assert [run.tags for run in flows["LinearFlow"]] == [("later",), ()]
    assert Path(flows["ForeachFlow"][0].store) == recorded / ".metaflow"
    assert flows["BranchFlow"] == ()


def test_flow_alone_means_its_latest_run() -> None:
    table = kit.artifacts("LinearFlow")
    assert table.target.run.tags == ("later",)
    assert table["start"]["number"] == 4
    assert list(table) == ["start", "middle", "end"]


@pytest.mark.parametrize("suffix", ["", "/middle"])
def test_run_id_reaches_an_older_run(suffix: str) -> None:
    older = session().runs.ids("LinearFlow")[1]
    assert kit.artifacts(f"LinearFlow/{older}{suffix}")["middle"]["number"] == 3


def test_infos_describe_every_artifact_as_metaflow_recorded_it() -> None:
    infos = {info.name: info for info in kit.artifacts("LinearFlow/start").infos()}
    assert infos["model"].type == "common.Model"
    assert infos["local"].type == "__main__.Local"
    assert infos["items"].type == "list"
    assert infos["number"].size > 0
    assert len(infos["number"].sha) == 40
    assert {info.step for info in infos.values()} == {"start"}


def test_class_of_common_and_class_of_the_flow_file_both_load() -> None:
    start = kit.artifacts("LinearFlow/start")["start"]
    assert start["model"].predict(2) == 8
    assert start["local"].value == [1, 2]
    assert type(start["local"]) is type(kit.artifacts("LinearFlow/middle")["middle"]["local"])


def test_name_without_a_task_is_read_from_the_last_step_that_has_it() -> None:
    assert kit.artifacts("LinearFlow").load("items") == [1, 8]
    assert kit.artifacts("LinearFlow/start").load("items") == [1]
    assert kit.artifacts("ForeachFlow").load("names") == ["3a0", "3b1", "3c2", "5a0", "5b1", "5c2"]


def test_listing_a_run_unpickles_nothing_and_escapes_every_name() -> None:
    table = kit.artifacts("HostileFlow")
    assert "bomb" in repr(table)
    assert "&lt;script&gt;" in table._repr_html_()
    assert "<script" not in table._repr_html_()
    assert len(table.infos()) > 2


def test_table_says_the_same_as_text_and_as_html() -> None:
    table = kit.artifacts("ForeachFlow")
    for word in ("ForeachFlow/", "succeeded", "inner", "6 tasks", "3/a · 3/b", "name_of_task", "inherited", "tester"):
        assert word in repr(table)
        assert word in table._repr_html_()


@pytest.mark.parametrize(
    ("pathspec", "message", "hint"),
    [
        ("join", "join alone is a step of the run that was named last", "Name its flow too: "),
        ("LinearFlo", "There is no flow LinearFlo", "Did you mean LinearFlow?"),
        ("LinearFlow/midle", "has no step midle", "Did you mean middle?"),
        ("LinearFlow/12", "LinearFlow has no run 12.", "The runs of LinearFlow are:"),
        ("LinearFlow/start/99", "has no task 99.", "The tasks of"),
        ("BranchFlow", "BranchFlow has not been run", "Run it: python flows/branch.py run"),
        ("LinearFlow//start", "is not a pathspec", "Write Flow[/run[/step[/task]]]"),
        ("", "is not a pathspec", "Write Flow[/run[/step[/task]]]"),
        ("LinearFlow/1/2/3/4", "is not a pathspec", "Write Flow[/run[/step[/task]]]"),
    ],
)
def test_wrong_pathspec_is_answered_with_what_there_is(pathspec: str, message: str, hint: str) -> None:
    with pytest.raises(kit.KitError) as caught:
        kit.artifacts(pathspec)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_wrong_artifact_is_answered_with_near_names() -> None:
    table = kit.artifacts("LinearFlow")
    with pytest.raises(kit.KitError, match=r"no artifact modle\.\nDid you mean model"):
        table["start"]["modle"]
    with pytest.raises(kit.KitError, match=r"no artifact predction\.\nDid you mean prediction"):
        table.load("predction")
    assert "modle" not in table["start"]


def test_artifact_whose_class_is_gone_says_which_and_what_to_do(recorded: Path) -> None:
    file = recorded / "flows" / "linear.py"
    before = file.read_text()
    file.write_text(before.replace("class Local", "class Renamed").replace("Local(", "Renamed("))
    try:
        with pytest.raises(kit.KitError, match=r"local is a __main__\.Local, and that class is gone") as caught:
            kit.artifacts("LinearFlow/start").load("local")
    finally:
        file.write_text(before)
    assert "Give the class its old name" in caught.value.hint


def test_artifact_whose_module_is_gone_says_where_it_was_looked_for(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    common = recorded / "flows" / "common.py"
    monkeypatch.delitem(sys.modules, "common", raising=False)
    shutil.move(common, recorded / "elsewhere.py")
    try:
        with pytest.raises(kit.KitError, match=r"model is a common\.Model, and the module 'common'") as caught:
            kit.artifacts("LinearFlow/start").load("model")
    finally:
        shutil.move(recorded / "elsewhere.py", common)
    assert str(recorded / "flows") in caught.value.hint


def test_artifact_whose_data_is_missing_is_said_so(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.stores.RECENT", RecentBlobs(0))  # nothing was read before
    table = kit.artifacts("LinearFlow/start")
    (info,) = [info for info in table.infos() if info.name == "items"]
    blob = Path(table.target.run.store, "LinearFlow", "data", info.sha[:2], info.sha)
    moved = blob.with_name("moved")
    blob.rename(moved)
    try:
        with pytest.raises(kit.KitError, match="items"):
            table.load("items")
    finally:
        moved.rename(blob)


def test_runs_of_others_are_listed_where_the_user_has_none(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import metaflow

    monkeypatch.setenv("USERNAME", "somebody")
    metaflow.default_namespace()
    try:
        assert "user:somebody has no runs of LinearFlow" in repr(kit.artifacts("LinearFlow"))
    finally:
        monkeypatch.setenv("USERNAME", USER)
        metaflow.default_namespace()


def test_flow_file_that_does_not_parse_is_named_when_its_flow_is_asked_for(recorded: Path) -> None:
    file = recorded / "flows" / "branch.py"
    before = file.read_text()
    file.write_text(before.replace("def left(self):", "def left(self:"))
    try:
        with pytest.raises(kit.KitError, match=r"flows/branch\.py does not parse: line \d+"):
            kit.artifacts("BranchFlow")
    finally:
        file.write_text(before)


def test_two_projects_in_one_process_keep_their_modules_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, weight in (("one", 2), ("two", 5)):
        root = tmp_path / name
        write_files(root, {"flows/common.py": COMMON.replace("2 * x", f"{weight} * x"), "flows/linear.py": LINEAR})
        run_flow(root / "flows" / "linear.py", cwd=root)
    for name, weight in (("one", 2), ("two", 5), ("one", 2)):
        monkeypatch.chdir(tmp_path / name)
        result = kit.run_step("LinearFlow/middle")
        assert result.artifacts["items"] == [1, 3 * weight]
        assert result.changed == frozenset()
