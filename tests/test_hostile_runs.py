"""Runs that hold what nobody should write: names of HTML, values whose repr misbehaves, pickles that run code."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from html_reader import Reader
from kernel_client import Kernel
from support import run_flow, write_files

import kit
from kit.artifact_table import RunTable
from kit.session import session

pytestmark = pytest.mark.flow

TAG = """it's "good" <b onload="x()">"""
NAME = "<script>alert('name')"
FLOW = '''
    import os
    from pathlib import Path

    from metaflow import FlowSpec, JSONType, Parameter, step


    class Bomb:
        """Makes a folder where it is unpickled."""

        def __reduce__(self):
            return os.mkdir, (str(Path(__file__).parents[1] / "exploded"),)


    class Loud:
        def __repr__(self):
            return "loud " * 1_000_000


    class Rude:
        def __repr__(self):
            raise SystemError("no repr")


    class HostileFlow(FlowSpec):
        options = Parameter("options", type=JSONType, default='{"<b>it</b>": "\\'\\\\""}')
        digits = Parameter("digits", type=int, default=1)

        @step
        def start(self):
            self.items = ["<img src=x onerror=alert(1)>", "a b", 'quo"te', "y" * 1_000_000]
            self.next(self.work, foreach="items")

        @step
        def work(self):
            import passing

            setattr(self, "<script>alert('name')", 1)
            self.bomb, self.loud, self.rude, self.thing = Bomb(), Loud(), Rude(), passing.Thing()
            self.endless = []
            for _ in range(100):
                self.endless = [self.endless, self.endless]
            self.long, self.longer = 10**400, 10**9000
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

        @step
        def end(self):
            self.bomb = Bomb()


    if __name__ == "__main__":
        HostileFlow()
'''
WHILE_IT_RUNS = """
import os, subprocess, sys
flow = [sys.executable, "flows/hostile.py", "--no-pylint", "run", "--max-workers", "2"]
import pathlib; pathlib.Path("flows/passing.py").write_text("class Thing: pass")
running, seen, lines = subprocess.Popen(flow, stdout=-3, stderr=-3), set(), 0
while running.poll() is None or lines < 50:
    table = kit.artifacts("HostileFlow").also("previews", "logs")
    seen.add(table.target.run.status)
    assert repr(table) and table._repr_html_() and repr(kit.artifacts("HostileFlow/start"))
    for line in ("%mf_artifacts HostileFlow/", "%mf_artifacts HostileFlow ", "%mf_artifacts HostileFlow/work["):
        get_ipython().complete(None, line, len(line))
    lines += 1
pathlib.Path("flows/passing.py").unlink()
assert running.returncode == 0 and "running" in seen, (running.returncode, seen)
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of it; the module that one of its artifacts needs is gone since."""
    root = tmp_path_factory.mktemp("hostile") / "project"
    passing = "class Thing:\n    pass\n"
    write_files(root, {"flows/hostile.py": FLOW, "flows/passing.py": passing, "pyproject.toml": "[tool.kit]\n"})
    run_flow(root / "flows" / "hostile.py", "--tag", TAG, "--digits", f"{10**4000}", "--max-workers", "2", cwd=root)
    (root / "flows" / "passing.py").unlink()
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(recorded)
    yield
    assert not (recorded / "exploded").exists()


def run() -> str:
    return str(session().runs.latest("HostileFlow")[0].pathspec)


def all_views() -> list[object]:
    """Give every listing of the run that shows no loaded value."""
    table = kit.artifacts("HostileFlow").also("previews", "logs", "cards")
    other = kit.artifacts("HostileFlow/work")
    tasks = [kit.artifacts(f"{run()}/work/{task.pathspec.task}") for task in other.steps[0].tasks[:2]]
    return [table, other, RunTable(session().runs), table.diff(other), tasks[0].diff(tasks[1])]


def test_no_listing_unpickles_anything_of_the_users() -> None:
    for view in all_views():
        assert repr(view)
        assert view._repr_html_()  # type: ignore[attr-defined]
    assert session().runs.latest("HostileFlow")[0].status == "succeeded"


def test_loading_is_what_unpickles(recorded: Path) -> None:
    kit.artifacts("HostileFlow/end").load("bomb")
    (recorded / "exploded").rmdir()


def test_names_tags_and_values_are_text_in_every_view() -> None:
    for view in all_views():
        read = Reader(view._repr_html_())  # type: ignore[attr-defined]
        assert read.tags <= {
            "div",
            "b",
            "span",
            "code",
            "details",
            "summary",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "pre",
            "img",
        }
        assert not {name for name in read.attributes if name.startswith("on")}
    shown = kit.artifacts("HostileFlow")._repr_html_()
    for text in (NAME, TAG, "<img src=x onerror=alert(1)>"):
        assert text not in shown
    assert NAME in repr(kit.artifacts("HostileFlow"))
    assert TAG in repr(RunTable(session().runs))


def test_values_are_shown_in_few_characters_whatever_they_are() -> None:
    shown = repr(kit.artifacts("HostileFlow").also("previews"))
    assert max(map(len, shown.splitlines())) < 1000
    assert "endless" in shown
    assert "<an int of 13,288 bits>" in shown  # a Parameter that Python refuses to write
    assert len(kit.artifacts("HostileFlow/work").also("previews")._repr_html_()) < 30_000


def test_gather_shows_values_whose_repr_raises_or_is_megabytes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    table = kit.artifacts("HostileFlow/work").gather("rude", "loud", "endless", "longer")
    assert len(table) == 4
    assert table.column("longer") == [10**9000] * 4
    assert max(map(len, repr(table).splitlines())) < 500
    assert "<Rude>" in repr(table)


def test_what_is_made_of_a_gathered_frame_is_plain_pandas() -> None:
    import pandas

    rude = kit.artifacts("HostileFlow/work").gather("rude", "items")
    assert "<Rude>" in repr(rude)
    assert "Rude&gt;" in rude._repr_html_()
    assert type(rude[["items"]].head()) is pandas.DataFrame
    assert type(pickle.loads(pickle.dumps(kit.artifacts("HostileFlow/work").gather("options")))) is pandas.DataFrame


def test_a_hostile_name_is_loaded_by_that_name() -> None:
    assert kit.artifacts("HostileFlow/work")["work"][NAME] == 1


def test_an_artifact_whose_module_is_gone_says_which_and_where_it_was_looked_for(recorded: Path) -> None:
    with pytest.raises(kit.KitError, match=r"thing is a passing\.Thing, and the module 'passing' .* is gone") as caught:
        kit.artifacts("HostileFlow/work").load("thing")
    assert str(recorded / "flows") in caught.value.hint


@pytest.mark.kernel
def test_a_notebook_lists_gathers_and_completes_a_hostile_run(
    recorded: Path, start_kernel: Callable[..., Kernel]
) -> None:
    kernel = start_kernel(recorded)
    kernel.check("%load_ext kit\nimport kit")
    for line in (
        "HostileFlow --preview --logs",
        "HostileFlow/work long rude --gather",
        "HostileFlow --diff HostileFlow",
    ):
        assert "Error" not in kernel.check(f"%mf_artifacts {line}").text
    assert "loaded longer" in kernel.check("%mf_artifacts HostileFlow/work longer endless").text
    kernel.offered("%mf_artifacts HostileFlow/work[", "HostileFlow/work[items=a b]")
    assert "1 task" not in kernel.check("%mf_artifacts HostileFlow/work[items=a b]").text
    kernel.offered("%mf_artifacts HostileFlow/work ", "bomb")
    kernel.check(WHILE_IT_RUNS)
