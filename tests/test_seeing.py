"""What `%mf_artifacts` says of runs: how they stand, why they failed, foreachs by value, side by side, and compared."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flows_for_tests import GRID
from html_reader import Reader
from kernel_client import Kernel
from support import USER, run_flow, write_files

import kit
from kit.artifact_table import ArtifactTable, RunTable
from kit.runs import Scope
from kit.session import session
from kit.views import text

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow that ran well, ran as somebody else, and failed."""
    root = tmp_path_factory.mktemp("seeing") / "project"
    write_files(root, {"flows/grid.py": GRID, "pyproject.toml": "[tool.kit]\n"})
    run_flow(root / "flows" / "grid.py", "--tag", 'it\'s "good" <b>', cwd=root)
    run_flow(root / "flows" / "grid.py", "--rate", "0.7", cwd=root, user="somebody")
    run_flow(root / "flows" / "grid.py", "--broken", "5", "--max-workers", "1", cwd=root, check=False)
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)


def good() -> str:
    """Give the run that ended well, of the user."""
    return next(str(run.pathspec) for run in session().runs.runs("GridFlow")[0] if run.status == "succeeded")


# ------------------------------------------------------------------ a run at a glance


def test_a_run_shows_its_graph_with_a_status_for_each_step_and_the_types_that_were_recorded() -> None:
    shown = repr(kit.artifacts("GridFlow")).splitlines()
    graph = [" ".join(line.split()) for line in shown[1:7]]
    assert graph[0] == "start → fit (foreach) ✓ succeeded"
    assert graph[1] == "fit → inner (foreach) ✓ succeeded 2 tasks"
    assert graph[2].startswith("inner → collect ✗ failed")
    assert graph[4:] == ["gathered → end ○ pending", "end ○ pending"]
    types = {node.name: node.type for node in session().runs.graph(kit.artifacts(good()).target.run).nodes}
    assert types == {
        "start": "foreach",
        "fit": "foreach",
        "inner": "linear",
        "collect": "join",
        "gathered": "join",
        "end": "end",
    }


def test_a_run_says_the_same_in_text_and_in_html_and_draws_its_graph_as_an_image() -> None:
    table = kit.artifacts("GridFlow").also("previews", "logs", "cards")
    read = Reader(table._repr_html_())
    written = "".join(repr(table).split())
    page = table._page()
    without = type(page)(page.title, page.tables, page.notes)
    assert "".join(text.render(without).split()) == "".join(read.words)
    assert "img" in read.tags
    assert "script" not in read.tags
    assert "GridFlow" in written


def test_parameters_are_shown_with_their_values_and_not_again_at_start() -> None:
    shown = repr(kit.artifacts(good()))
    lines = [line.split() for line in shown.splitlines()]
    assert ["rate", "0.5"] in lines
    assert ["options", "{'a':", "1}"] in lines
    assert not any(line[:2] == ["rate", "float"] for line in lines)
    assert any(line[0] == "inherited:" and "rate" in " ".join(line) for line in lines if line)


def test_a_failed_task_says_its_exception_and_its_last_lines_without_metaflows_frames() -> None:
    shown = repr(kit.artifacts("GridFlow"))
    assert "✗ failed  ValueError: depth 5 is too deep" in shown
    assert 'raise ValueError(f"depth {self.depth * 1 * 1} is too deep")' in shown
    assert "a warning" in shown
    assert "metaflow/task.py" not in shown


def test_logs_previews_and_cards_are_shown_on_request_alone() -> None:
    table = kit.artifacts(good())
    plain, full = repr(table), repr(table.also("previews", "logs", "cards"))
    for words in ("inner works on 1", "31 · 32 · 51 · …", "cards  2"):
        assert words not in plain
        assert words in full
    assert not any("Huge" in line and "·" in line for line in full.splitlines())  # of a class of the user's: no value


def test_a_stored_card_gives_its_page() -> None:
    cards = kit.artifacts(f"{good()}/fit").cards()
    assert [card.type for card in cards] == ["blank", "blank"]
    assert "<html" in cards[0].html().lower()
    assert "srcdoc" in cards[0]._repr_html_()


def test_an_artifact_whose_repr_raises_is_listed_and_gathered() -> None:
    assert "huge" in repr(kit.artifacts(f"{good()}/inner").also("previews"))
    assert len(kit.artifacts(f"{good()}/inner").gather("huge")) == 4


# ------------------------------------------------------------------ alive or dead


@pytest.fixture
def unfinished(recorded: Path) -> Path:
    """Copy a run, as it was before its last steps ended."""
    store = recorded / ".metaflow" / "GridFlow"
    run = good().split("/")[1]
    new = str(int(run) - 1)
    shutil.copytree(store / run, store / new)
    for file in (store / new).rglob("_meta/*.json"):
        file.write_text(file.read_text().replace(run, new))
    for step in ("gathered", "end"):
        shutil.rmtree(store / new / step)
    (collect,) = list((store / new / "collect").glob("*[0-9]"))[:1]
    for file in collect.glob("0.*"):
        if file.name != "0.attempt.json":
            file.unlink()
    yield store / new
    shutil.rmtree(store / new)


def _age(folder: Path, seconds: float) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_run_that_writes_is_running(unfinished: Path) -> None:
    run = kit.artifacts(f"GridFlow/{unfinished.name}").target.run
    assert (run.status, run.alive) == ("running", True)
    assert "● running" in repr(kit.artifacts(f"GridFlow/{unfinished.name}"))


def test_a_run_without_a_sign_of_life_is_dead_and_says_since_when(unfinished: Path) -> None:
    _age(unfinished, 7300)
    table = kit.artifacts(f"GridFlow/{unfinished.name}")
    assert table.target.run.alive is False
    assert "✗ dead  last sign of life 2 h ago" in repr(table)
    assert "it left no exception: it may have been killed" in repr(table)


def test_a_silent_run_is_alive_while_a_process_works_on_it(unfinished: Path) -> None:
    import subprocess

    _age(unfinished, 7300)
    worker = subprocess.Popen([sys.executable, "-c", "input()", unfinished.name], stdin=subprocess.PIPE)
    try:
        assert kit.artifacts(f"GridFlow/{unfinished.name}").target.run.alive is True
    finally:
        worker.communicate(b"\n")


def test_a_damaged_list_of_artifacts_hides_that_task_alone(unfinished: Path) -> None:
    damaged = min((unfinished / "inner").glob("*[0-9]"))
    (damaged / "0.data.json").write_text('{"objects": {"score"')
    table = kit.artifacts(f"GridFlow/{unfinished.name}/inner")
    assert [task.artifacts == () for task in table.steps[0].tasks].count(True) == 1
    assert "score" in repr(table)


def test_a_damaged_record_of_one_run_hides_that_run_alone(unfinished: Path) -> None:
    before = len(session().runs.ids("GridFlow"))
    (unfinished / "_meta" / "_self.json").write_text("{")
    assert len(session().runs.ids("GridFlow")) == before - 1
    assert "GridFlow" in repr(RunTable(session().runs))


def test_a_run_is_listed_while_it_is_being_written(unfinished: Path) -> None:
    for file in sorted(unfinished.rglob("*"), reverse=True):
        if file.is_file() and "_meta" not in file.parts:
            file.unlink()
            if file.name == "0.data.json":
                assert repr(kit.artifacts(f"GridFlow/{unfinished.name}"))


# ------------------------------------------------------------------ a foreach by its values


@pytest.mark.parametrize(
    ("given", "scores"),
    [
        ("depth=3,w=2", [32]),
        ("depths=5", [51, 52]),
        ("5", [51, 52]),
        ("name=narrow", [31, 51]),
        ("score=52", [52]),
        ("depth=3", [31, 32]),
    ],
)
def test_tasks_of_a_foreach_are_found_by_their_values(given: str, scores: list[int]) -> None:
    table = kit.artifacts(f"{good()}/inner[{given}]")
    assert sorted(table.gather("score")["score"]) == scores
    assert kit.artifacts(good())[f"inner[{given}]"]["score"] in scores


def test_a_foreach_value_that_no_task_has_is_answered_with_those_there_are() -> None:
    with pytest.raises(kit.KitError, match=r"has no task with depth=4\.\n") as caught:
        kit.artifacts(f"{good()}/inner[depth=4]")
    assert "depths=3" in caught.value.hint
    with pytest.raises(kit.KitError, match=r"is not a step"):
        kit.artifacts(f"{good()}[3]")
    with pytest.raises(kit.KitError, match=r"is not a pathspec"):
        kit.artifacts(f"{good()}/inner[3")


def test_a_replay_takes_a_foreach_value_too() -> None:
    assert kit.run_step(f"{good()}/inner[depth=5,w=2]").artifacts["score"] == 52


# ------------------------------------------------------------------ gather


def test_gather_gives_a_frame_with_one_column_a_foreach_and_the_values_themselves() -> None:
    frame = kit.artifacts(good()).gather("score")
    assert list(frame.columns) == ["depths", "widths", "score"]
    assert list(frame["depths"]) == [3, 3, 5, 5]
    assert frame["widths"][1] == {"w": 2, "name": "a wide one with a long name"}
    assert list(frame["score"]) == [31, 32, 51, 52]


def test_gather_without_pandas_gives_a_table_that_is_shown_and_read_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    table = kit.artifacts(f"{good()}/inner").gather("score", "huge")
    assert table.column("score") == [31, 32, 51, 52]
    assert table[0]["depths"] == 3
    assert "<Huge>" in repr(table)
    assert "<table" in table._repr_html_()


def test_gather_of_a_failed_foreach_has_none_where_a_task_left_nothing() -> None:
    frame = kit.artifacts("GridFlow/inner").gather("score", "depth")
    assert list(frame["score"])[:2] == [31, 32]


def test_gather_of_what_no_step_has_is_answered_with_near_names() -> None:
    with pytest.raises(kit.KitError, match=r"no artifact scor\.\nDid you mean scor"):
        kit.artifacts(good()).gather("scor")


# ------------------------------------------------------------------ diff


def test_runs_are_compared_by_hash_each_artifact_where_it_first_differs() -> None:
    mine = kit.artifacts(good())
    other = kit.artifacts("GridFlow", namespace="user:somebody")
    found = mine.diff(other)
    assert [(change.step, change.name, change.status) for change in found] == [("start", "rate", "changed")]
    assert "≠ changed  rate" in repr(found)
    assert "the same, by content hash" in repr(found)
    assert len(mine.diff(mine)) == 0


def test_steps_that_did_not_run_are_counted_instead_of_listed() -> None:
    shown = repr(kit.artifacts("GridFlow").diff(kit.artifacts(good())))
    assert "end: 0 tasks, 1 in" in shown
    assert "missing" not in shown


def test_two_tasks_of_a_foreach_are_compared_whatever_their_indices() -> None:
    found = kit.artifacts(f"{good()}/inner[depth=3,w=1]").diff(kit.artifacts(f"{good()}/inner[depth=5,w=1]"))
    assert {change.name for change in found} == {"depth", "score"}


def test_a_comparison_loads_nothing(recorded: Path) -> None:
    table = kit.artifacts(good())
    data = recorded / ".metaflow" / "GridFlow" / "data"
    shas = {info.sha for info in table.infos() if info.name in ("score", "depth")}
    blobs = [data / sha[:2] / sha for sha in shas]
    for blob in blobs:
        blob.rename(blob.with_suffix(".away"))
    try:
        assert len(table.diff(kit.artifacts(good()))) == 0
        with pytest.raises(kit.KitError, match="the data of score is missing or damaged"):
            table.load("score")
    finally:
        for blob in blobs:
            blob.with_suffix(".away").rename(blob)


# ------------------------------------------------------------------ whose runs


def test_runs_of_others_are_counted_and_listed_on_request() -> None:
    own, note = session().runs.runs("GridFlow")
    assert {run.user for run in own} == {USER}
    assert "1 of other namespaces: --all-namespaces shows them." in note
    everyone, _ = session().runs.runs("GridFlow", Scope(everyone=True))
    assert {run.user for run in everyone} == {USER, "somebody"}
    theirs, _ = session().runs.runs("GridFlow", Scope(namespace="user:somebody"))
    assert {run.user for run in theirs} == {"somebody"}
    assert note in repr(RunTable(session().runs))


def test_a_run_is_found_by_its_tag_and_a_wrong_tag_is_answered() -> None:
    table = kit.artifacts("GridFlow", tags=['it\'s "good" <b>'])
    assert table.target.run.status == "succeeded"
    assert "&lt;b&gt;" in table._repr_html_()
    with pytest.raises(kit.KitError, match=r"GridFlow has no run of tag god\."):
        kit.artifacts("GridFlow", tags=["god"])


def test_a_limit_counts_what_it_leaves_out() -> None:
    table = RunTable(session().runs, limit=1)
    assert "1 more: --limit N." in table.flows[0].note


# ------------------------------------------------------------------ many tasks


@pytest.fixture
def wide(recorded: Path) -> Path:
    """Copy a run, its last foreach of 1,000 tasks of 13 artifacts with long names and types."""
    store = recorded / ".metaflow" / "GridFlow"
    run = good().split("/")[1]
    new = str(int(run) - 2)
    shutil.copytree(store / run, store / new)
    for file in (store / new).rglob("_meta/_self.json"):
        file.write_text(file.read_text().replace(run, new))
    template = min((store / new / "inner").glob("*[0-9]"))
    data = json.loads((template / "0.data.json").read_text())
    for number in range(1000):
        task = store / new / "inner" / str(90_000 + number)
        task.mkdir()
        objects, info = dict(data["objects"]), dict(data["info"])
        for i in range(13):
            name = f"{'long' * 50}{number}_{i}"
            objects[name] = f"{number:039x}{i:x}"
            info[name] = {"size": 5, "type": f"<class '{'kind' * 50}{i}'>", "encoding": "pickle-v4"}
        (task / "0.attempt.json").write_text("{}")
        (task / "0.data.json").write_text(json.dumps({**data, "objects": objects, "info": info}))
    yield store / new
    shutil.rmtree(store / new)


def test_a_cell_stays_small_whatever_a_thousand_tasks_hold(wide: Path) -> None:
    table = ArtifactTable(session().runs, session().resolve(f"GridFlow/{wide.name}"))
    drawn = table._repr_html_()
    assert len(drawn.encode()) < 300_000
    assert "1,004 tasks" in drawn
    assert "artifacts more:" in drawn


# ------------------------------------------------------------------ in a kernel


@pytest.mark.kernel
def test_the_magic_gathers_compares_and_completes_foreach_values(
    recorded: Path, start_kernel: Callable[..., Kernel]
) -> None:
    kernel = start_kernel(recorded)
    kernel.check("%load_ext kit")
    run = good()
    assert "51" in kernel.check(f"%mf_artifacts {run}/inner score --gather").text
    assert "≠ changed  rate" in kernel.check(
        f"%mf_artifacts {run} --diff GridFlow --namespace user:somebody"
    ).text.replace("&nbsp;", " ")
    assert "--all-namespaces shows them" in kernel.check("%mf_artifacts").text
    kernel.check(f"%mf_artifacts {run}/inner[depth=5,w=2] score")
    assert kernel.check("print(score)").stdout == "52\n"
    assert f"{run}/fit[depths=3]" in kernel.complete(f"x = %mf_artifacts {run}/fit[")
    assert "--gather" in kernel.complete(f"x = %mf_artifacts {run} --ga")
