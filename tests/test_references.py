"""References of notebooks: compared with, made of two executions, kept as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kit.errors import NotebookError
from kit.regression.lines import cell_lines
from kit.regression.outputs.capture import FIGURE_MIME
from kit.regression.outputs.rules import Rules
from kit.regression.reference import compare, make_reference
from kit.regression.reference_file import load, reference_path, save

RULES = Rules()
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def cell(name: str, *outputs: Any, source: str = "", tags: tuple[str, ...] = ()) -> Any:
    node = new_code_cell(source or f"show_{name}()", outputs=list(outputs), metadata={"tags": list(tags)})
    node["id"] = name
    return node


def printed(text: str) -> Any:
    return new_output("stream", text=text)


def figure(y: float) -> Any:
    data = {"size": [6.4, 4.8], "axes": [{"lines": [{"x": [0, 1], "y": [1, y]}]}]}
    return new_output("display_data", {FIGURE_MIME: data, "image/png": PIXEL, "text/plain": "<Figure>"})


def notebook(*cells: Any) -> Any:
    return new_notebook(cells=[new_markdown_cell("# A notebook", id="title"), *cells])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return reference_path(tmp_path / "debug.ipynb")


def keep(path: Path, executed: Any, again: Any = None, rules: Rules = RULES) -> None:
    save(path, make_reference(executed, again or executed, rules, load(path)))


def test_without_a_reference_nothing_differs(path: Path) -> None:
    comparison = compare(notebook(cell("a", printed("1"))), path, RULES)
    assert (comparison.status, comparison.summary) == ("no reference", "no reference")


def test_the_same_notebook_is_the_same(path: Path) -> None:
    executed = notebook(cell("a", printed("1")), cell("b", figure(2.0)), cell("c"))
    keep(path, executed)
    comparison = compare(executed, path, RULES)
    assert (comparison.status, comparison.summary) == ("same", "outputs: 2 same")


def test_what_differs_is_told_by_cell_and_line_of_the_file(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1")), cell("b", figure(2.0))))
    executed = notebook(cell("a", printed("1")), cell("b", figure(2.5), source="import x\nplot()"))
    text = nbformat.writes(executed)
    comparison = compare(executed, path, RULES, text)
    (differing,) = comparison.differing
    assert (comparison.status, comparison.summary) == ("differs", "outputs: 1 same, 1 differs")
    assert differing.index == 2
    assert '"import x\\n"' in text.splitlines()[differing.line - 1]
    assert list(differing.lines) == ["axes[0].lines[0].y: 1 of 2 values differ, [1]: 2 -> 2.5"]


def test_outputs_that_come_and_go_are_told(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1")), cell("b"), cell("c", printed("3"))))
    comparison = compare(notebook(cell("a"), cell("b", printed("2"))), path, RULES)
    assert [list(each.lines) for each in comparison.differing] == [
        ["there is no such output now: stdout: 1"],
        ["new output: stdout: 2"],
        ["the cell is gone, and with it 1 output"],
    ]


def test_a_new_cell_has_no_reference_and_does_not_differ(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1"))))
    comparison = compare(notebook(cell("new", printed("0")), cell("a", printed("1"))), path, RULES)
    assert (comparison.status, comparison.summary) == ("same", "outputs: 1 same, 1 without reference")


def test_cells_whose_ids_did_not_last_are_known_by_their_source(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1"), source="x"), cell("b", printed("2"), source="y")))
    executed = notebook(cell("q", printed("1"), source="x"), cell("r", printed("3"), source="y"))
    assert [list(each.lines) for each in compare(executed, path, RULES).differing] == [["line 1: 2 -> 3"]]


def test_cells_that_papermill_puts_in_are_not_the_notebooks(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1"))))
    injected = cell("p", source="run = 'F/12'", tags=("injected-parameters",))
    executed = notebook(injected, cell("a", printed("2")))
    (differing,) = compare(executed, path, RULES).differing
    assert differing.index == 1


def test_what_differs_between_two_executions_is_masked(path: Path) -> None:
    one = notebook(cell("a", printed("seed 17\nscore 0.5")), cell("b", figure(2.0)), cell("c", printed("x")), cell("d"))
    two = notebook(cell("a", printed("seed 99\nscore 0.5")), cell("b", figure(2.5)), cell("c"), cell("d"))
    keep(path, one, two)
    three = notebook(
        cell("a", printed("seed 3\nscore 0.5")), cell("b", figure(9.0)), cell("c", printed("y")), cell("d")
    )
    assert compare(three, path, RULES).status == "same"
    wrong = notebook(cell("a", printed("seed 3\nscore 0.6")), cell("b", figure(9.0)), cell("c"), cell("d"))
    assert [each.id for each in compare(wrong, path, RULES).differing] == ["a"]
    keep(path, three, three)
    assert compare(wrong, path, RULES).differing[0].id == "a", "a mask stays when an update finds no difference"
    assert compare(one, path, RULES).status == "same"


def test_an_update_leaves_what_is_the_same_as_it_was(path: Path) -> None:
    keep(path, notebook(cell("a", printed("0.333333333")), cell("b", printed("1"))))
    before = path.read_text(encoding="utf-8")
    keep(path, notebook(cell("a", printed("0.333333334")), cell("b", printed("1"))))
    assert path.read_text(encoding="utf-8") == before
    keep(path, notebook(cell("a", printed("0.333333334")), cell("b", printed("2"))))
    assert "0.333333333" in path.read_text(encoding="utf-8")


def test_an_ignored_cell_is_neither_kept_nor_compared(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1"), tags=("kit-ignore",))))
    assert json.loads(path.read_text(encoding="utf-8"))["cells"] == []
    (compared,) = compare(notebook(cell("a", printed("2"), tags=("kit-ignore",))), path, RULES).cells
    assert compared.status == "ignored"


def test_a_tag_that_came_after_the_reference_counts(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1"), figure(2.0))))
    assert (
        compare(notebook(cell("a", printed("1"), figure(3.0), tags=("kit-only=text",))), path, RULES).status == "same"
    )


def test_references_hold_text_and_files_of_pictures(path: Path) -> None:
    keep(path, notebook(cell("a", figure(2.0)), cell("b", printed("one\ntwo"))))
    text = path.read_text(encoding="utf-8")
    assert PIXEL[:20] not in text
    assert '"one"' in text
    (picture,) = path.with_suffix("").iterdir()
    assert picture.name == "a-1.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    keep(path, notebook(cell("b", printed("one\ntwo"))))
    assert not path.with_suffix("").exists(), "a picture that is no longer needed goes"


def test_numbers_of_a_figure_are_written_in_full_lines(path: Path) -> None:
    data = {"axes": [{"lines": [{"y": [i * i / 7 for i in range(300)]}]}]}
    keep(path, notebook(cell("a", new_output("display_data", {FIGURE_MIME: data, "text/plain": ""}))))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 100
    assert max(map(len, lines)) <= 130
    assert compare(notebook(cell("a", new_output("display_data", {FIGURE_MIME: data}))), path, RULES).status == "same"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kit": 1, "cells": [{}]}', '{"kit": 99, "cells": []}'])
def test_a_reference_that_cannot_be_read_is_refused(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NotebookError) as caught:
        compare(notebook(), path, RULES)
    assert "--update" in caught.value.hint


def test_other_versions_are_told_where_something_differs(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1"))))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"python": "', '"python": "2.7, not '), encoding="utf-8")
    (note,) = compare(notebook(cell("a", printed("2"))), path, RULES).notes
    assert note.startswith("the reference was made with python 2.7")
    assert compare(notebook(cell("a", printed("1"))), path, RULES).notes == ()


def test_the_lines_of_cells_are_those_of_the_file() -> None:
    text = nbformat.writes(notebook(cell("a", printed("x"), source='s = "{\\"cells\\": [1]}"\ny\nz'), cell("b")))
    title, first, second = cell_lines(text)
    lines = text.splitlines()
    assert '"# A notebook"' in lines[title.line() - 1]
    assert '"y\\n"' in lines[first.line(2) - 1]
    assert '"show_b()"' in lines[second.line(99) - 1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": [', '{"cells": {}}', '{"a": 1}', "null"])
def test_a_text_that_is_no_notebook_has_no_lines(text: str) -> None:
    assert cell_lines(text) == ()


def test_an_edited_cell_of_a_notebook_with_new_ids_is_known_by_its_neighbours(path: Path) -> None:
    keep(path, notebook(cell("a", printed("1")), cell("b", printed("2"), source="score(1)"), cell("c", printed("3"))))
    rewritten = notebook(
        cell("x", printed("1"), source="show_a()"),
        cell("y", printed("5"), source="something_else()"),
        cell("z", printed("3"), source="show_c()"),
    )
    comparison = compare(rewritten, path, RULES)
    assert [list(each.lines) for each in comparison.differing] == [["line 1: 2 -> 5"]]


def test_a_cell_that_came_before_an_edited_one_does_not_take_its_place(path: Path) -> None:
    keep(path, notebook(cell("a", printed("2"), source="score = fit(rows)")))
    rewritten = notebook(
        cell("x", printed("hello"), source="greet()"), cell("y", printed("3"), source="score = fit(rows, 1)")
    )
    comparison = compare(rewritten, path, RULES)
    assert [list(each.lines) for each in comparison.differing] == [["line 1: 2 -> 3"]]
    assert comparison.summary == "outputs: 1 differs, 1 without reference"
