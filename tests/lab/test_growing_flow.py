"""A flow that grows cell by cell in a real JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from test_notebooks import PATIENCE, SCREENSHOTS, THEME, LabPage

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

CELLS = (
    "%load_ext kit\nfrom sklearn.datasets import load_digits\nfrom sklearn.neighbors import KNeighborsClassifier",
    "def half(*arrays):\n    return [each[: len(each) // 2] for each in arrays]\n\n\n"
    "def rest(*arrays):\n    return [each[len(each) // 2 :] for each in arrays]",
    "%%mf_step start\nself.images, self.digits = load_digits(return_X_y=True)\nself.neighbours = [1, 3, 9]",
    "%%mf_step fit --foreach neighbours\n"
    "self.model = KNeighborsClassifier(self.input).fit(*half(self.images, self.digits))",
    "%%mf_step evaluate\nself.score = self.model.score(*rest(self.images, self.digits))",
    "%%mf_step choose --join\nbest = max(inputs, key=lambda each: each.score)\n"
    "self.model, self.score = best.model, best.score\n"
    "self.merge_artifacts(inputs, include=['images', 'digits'])",
    "%%mf_step explain\nguesses = self.model.predict(self.images)\nself.wrong = (guesses != self.digits).nonzero()[0]",
    "%%mf_step report\nprint(f'{self.score:.1%} of the digits are read, {len(self.wrongs)} are not')",
    "def half(*arrays):\n    return [each[:500] for each in arrays]",
    "%mf_flow --name DigitsFlow",
)


@pytest.fixture
def notebook(browser: Any, lab: str, example: Path) -> Iterator[LabPage]:
    """A notebook whose last step fails, and whose helper is changed below the steps that use it."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), example / "notebooks" / "grow.ipynb"
    )
    page = browser.new_page(viewport={"width": 1180, "height": 1060})
    yield LabPage(page, lab, "notebooks/grow.ipynb")
    page.close()


def run_cells(notebook: LabPage, number: int) -> None:
    """Run cells from the first one on, each once the one before it has ended: a cell that fails stops no other."""
    for place in range(number):
        cell = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(place)
        cell.locator(".cm-content").click()
        notebook.command("notebook:run-cell")
        notebook.page.wait_for_function(
            "place => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-Notebook .jp-CodeCell')[place]"
            ".querySelector('.jp-InputPrompt').innerText)",
            arg=place,
            timeout=PATIENCE,
        )


def test_steps_are_defined_fail_and_are_shown_as_a_graph(notebook: LabPage) -> None:
    run_cells(notebook, len(CELLS))
    outputs = [
        each.inner_text() for each in notebook.page.locator(".jp-Notebook .jp-CodeCell .jp-Cell-outputArea").all()
    ]
    said = "\n".join(outputs)
    assert "NotebookFlow/fit" in said
    assert "3 tasks" in said
    assert "Flow NotebookFlow has no attribute 'wrongs'" in said
    assert "6 steps in this notebook" in outputs[-1]
    picture = notebook.page.locator(".jp-OutputArea-output img").last
    assert picture.evaluate("image => image.naturalWidth") > 0
    for words in ("choose", "half changed", "stale", "failed"):
        assert words in str(picture.get_attribute("alt"))
    for theme in ("Light", "Dark") if SCREENSHOTS else ():
        notebook.page.evaluate(THEME, f"JupyterLab {theme}")
        notebook.shoot(f"write_{theme.lower()}_1.png", "def half")
        notebook.shoot(f"write_{theme.lower()}_2.png", "%%mf_step report")
        notebook.shoot(f"write_{theme.lower()}_3.png", "%mf_flow --name")
