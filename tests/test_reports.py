"""The reports that `kit test` leaves as files, and what GitHub shows."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from html_reader import Reader
from nbformat.v4 import new_code_cell, new_notebook, new_output
from rich.console import Console

from kit.model import Verdict
from kit.project import Project, find_project
from kit.regression.compared import (
    CellComparison,
    NotebookComparison,
    NotebookVerdict,
    OutputComparison,
    Recorded,
)
from kit.regression.discover import Notebook
from kit.regression.execute import Executed
from kit.regression.files import github_annotations, junit, write_reports
from kit.regression.html_report import html_report
from kit.regression.judge import judge
from kit.regression.live import LiveTable
from kit.regression.outputs.rules import Rules
from kit.regression.reference import make_reference
from kit.regression.reference_file import reference_path, save
from kit.regression.report import Report
from kit.regression.suite import Outcome

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HOSTILE = "<script>alert(1)</script> \x1b[31mred\x1b[0m \x00 ]]> 50%"


def executed(text: str, title: str) -> Any:
    figure = {"application/vnd.kit.figure+json": {"axes": [{"title": title}]}, "image/png": PIXEL}
    cells = [
        new_code_cell("import x\nprint(x)", outputs=[new_output("stream", text=text)]),
        new_code_cell("plot()", outputs=[new_output("display_data", figure)]),
    ]
    for name, cell in zip("ab", cells, strict=True):
        cell["id"] = name
    return new_notebook(cells=cells)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "flows").mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.kit]\n", encoding="utf-8")
    return find_project(tmp_path)


@pytest.fixture
def outcome(project: Project) -> Outcome:
    path = project.root / "notebooks" / "n.ipynb"
    path.parent.mkdir()
    before = executed("score 0.5\n", "Loss")
    nbformat.write(before, path)
    save(reference_path(path), make_reference(before, before, Rules()))
    copy = project.root / ".kit" / "n.ipynb"
    copy.parent.mkdir()
    nbformat.write(executed(f"score 0.6 {HOSTILE}\n", "Losses"), copy)
    differing = judge(Notebook(path, "notebooks/n.ipynb"), copy, Executed(1.5), Rules())
    failed = Verdict("BadFlow", "flow", "failed", 1.0, HOSTILE, f"Traceback\n{HOSTILE}")
    waiting = Verdict("notebooks/m.ipynb", "notebook", "not run", 0.0, "it wants a run of BadFlow, which failed")
    return Outcome((Verdict("GoodFlow", "flow", "passed", 2.0, "GoodFlow/1"), failed, differing, waiting), copy.parent)


def test_a_differing_output_fails_the_notebook_and_says_what_differs(outcome: Outcome) -> None:
    verdict = outcome.verdicts[2]
    assert isinstance(verdict, NotebookVerdict)
    assert (verdict.status, verdict.detail) == ("failed", "outputs: 2 differ")
    assert "axes[0].title: 'Loss' -> 'Losses'" in verdict.report
    assert not outcome.passed


def test_junit_has_a_case_for_each_flow_and_notebook(outcome: Outcome) -> None:
    suite = ET.fromstring(junit(outcome)).find("testsuite")  # noqa: S314  # it was written here
    assert suite is not None
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "2",
        "skipped": "1",
    }
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    failure = cases["notebooks/n.ipynb"].find("failure")
    assert failure is not None
    assert failure.get("message") == "outputs: 2 differ"
    assert "Losses" in (failure.text or "")
    assert cases["notebooks/m.ipynb"].find("skipped") is not None


def test_junit_is_free_of_colours_and_of_what_xml_cannot_hold(outcome: Outcome) -> None:
    text = junit(outcome)
    assert "\x1b" not in text
    assert "[31m" not in text
    assert "\x00" not in text


def test_github_is_pointed_at_the_lines_of_the_cells(project: Project, outcome: Outcome) -> None:
    flow, first, second, waiting = github_annotations(project, outcome, project.root)
    lines = (project.root / "notebooks" / "n.ipynb").read_text(encoding="utf-8").splitlines()
    for command, source in ((first, "import x"), (second, "plot()")):
        properties = dict(pair.split("=") for pair in command.split("::")[1].removeprefix("error ").split(","))
        assert properties["file"] == "notebooks/n.ipynb"
        assert source in lines[int(properties["line"]) - 1]
    assert "title: 'Loss' -> 'Losses'" in second
    assert "50%25" in flow
    assert all("\n" not in command for command in (flow, first, second, waiting))


def test_the_html_report_shows_old_and_new_side_by_side(outcome: Outcome) -> None:
    page = html_report(outcome, outcome.executed.parent, coverage="TOTAL 92%")
    reader = Reader(page.replace("<!DOCTYPE html>", "").replace('<meta charset="utf-8">', "").replace(
        '<meta name="viewport" content="width=device-width">', ""))  # fmt: skip
    words = " ".join(reader.words)
    for expected in (
        "score 0.5",
        "score 0.6",
        "axes[0].title:",
        "it wants a run of BadFlow",
        "TOTAL 92%",
        "difference",
    ):
        assert expected in words
    assert page.count("data:image/png;base64,") == 4
    assert 'href=".kit/n.ipynb"' in page


def test_the_html_report_escapes_what_it_shows_and_needs_nothing_beside_it(outcome: Outcome) -> None:
    page = html_report(outcome, outcome.executed.parent)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_reports_are_written_where_they_are_asked_for(
    project: Project, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    html, xml = tmp_path / "out" / "r.html", tmp_path / "out" / "r.xml"
    assert len(write_reports(project, outcome, html, xml)) == 2
    assert html.is_file()
    assert xml.is_file()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.root))
    assert len([line for line in write_reports(project, outcome, None, None) if line.startswith("::error ")]) == 4


def test_a_notebook_that_fails_is_compared_as_far_as_it_came(project: Project) -> None:
    path = project.root / "notebooks" / "n.ipynb"
    path.parent.mkdir()
    before = executed("score 0.5\n", "Loss")
    nbformat.write(before, path)
    save(reference_path(path), make_reference(before, before, Rules()))
    failed = executed("score 0.6\n", "Losses")
    failed.cells[1].outputs = [new_output("error", ename="KeyError", evalue="'a'", traceback=["no"])]
    copy = project.root / "copy.ipynb"
    nbformat.write(failed, copy)
    result = Executed(1.0, "cell [2]: KeyError: 'a'", "plot()\n\nTraceback", failed, 1)
    verdict = judge(Notebook(path, "notebooks/n.ipynb"), copy, result, Rules())
    assert verdict.detail == "cell [2]: KeyError: 'a'"
    assert verdict.report.startswith("plot()\n\nTraceback")
    assert "Before that, outputs: 1 differs:" in verdict.report
    assert "line 1: 'score 0.5': 0.5 -> 0.6" in verdict.report
    outcome = Outcome((verdict,), copy.parent)
    assert len(list(github_annotations(project, outcome, project.root))) == 2
    page = html_report(outcome, copy.parent)
    assert "plot()\n\nTraceback\n" in page
    assert "score 0.6" in page


def test_a_terminal_shows_what_runs_what_waits_and_what_ended(outcome: Outcome) -> None:
    names = [verdict.name for verdict in outcome.verdicts]
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True)
    table = LiveTable(console)
    table.planned(names)
    table.began(names[0])
    table.tell(outcome.verdicts[0])
    table.began(names[1])
    with console.capture() as captured:
        console.print(table.table())
    shown = [re.sub(r"\x1b\[[0-9;]*m", "", line).split() for line in captured.get().splitlines()]
    assert [line[1:3] for line in shown[:2]] == [["passed", "GoodFlow"], ["running", "BadFlow"]]
    assert [line[:2] for line in shown[2:4]] == [["○", "notebooks/n.ipynb"], ["○", "notebooks/m.ipynb"]]
    assert shown[4] == ["1", "passed,", "3", "to", "go"]


def test_a_low_terminal_shows_what_matters_now() -> None:
    console = Console(file=io.StringIO(), width=80, height=10, force_terminal=True)
    table = LiveTable(console)
    names = [f"n{number}.ipynb" for number in range(200)]
    table.planned(names)
    for name in names[:150]:
        table.began(name)
        table.tell(Verdict(name, "notebook", "failed" if name == "n7.ipynb" else "passed", 1.0))
    table.began("n150.ipynb")
    with console.capture() as captured:
        console.print(table.table())
    lines = captured.get().splitlines()
    assert len(lines) <= 8
    assert any("n7.ipynb" in line for line in lines)
    assert any("n150.ipynb" in line for line in lines)


def test_a_report_of_many_shows_the_failed_ones_first(outcome: Outcome) -> None:
    passed = [Verdict(f"n{number}.ipynb", "notebook", "passed", 1.0) for number in range(200)]
    page = html_report(Outcome((*passed, *outcome.verdicts), outcome.executed), outcome.executed.parent)
    assert page.index("notebooks/n.ipynb") < page.index("201 more that passed") < page.index("n0.ipynb")


def test_only_the_lines_next_to_a_difference_are_shown(project: Project) -> None:
    old = Recorded("stdout", [f"line {number}" for number in range(100)])
    new = Recorded("stdout", ["line -5" if number == 50 else f"line {number}" for number in range(100)])
    cell = CellComparison(0, "a", 1, "x", "differs", (OutputComparison(1, "differs", ("m",), old, new),))
    verdict = NotebookVerdict(
        "n", "notebook", "failed", 1.0, comparison=NotebookComparison(project.root / "r.json", (cell,))
    )
    page = html_report(Outcome((verdict,), project.root), project.root)
    assert "… 47 lines the same" in page
    assert ">line 3<" not in page
    assert ">line 47<" in page


def test_folders_are_named_from_the_working_folder_where_they_lie_in_it(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    console = Console(file=io.StringIO(), width=100)
    Report(console).close(replace(outcome, executed=tmp_path / ".kit/test", datastore=Path("/elsewhere")))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-2:] == [
        "executed notebooks: .kit/test",
        "datastore of the runs: /elsewhere",
    ]
