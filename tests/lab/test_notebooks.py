"""The debug notebook in a real JupyterLab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support import LAB_TOKEN

import kit

pytestmark = [pytest.mark.lab, pytest.mark.flow, pytest.mark.kernel]

PATIENCE = 120_000  # milliseconds
IDLE = """() => {
    const widget = window.jupyterapp && window.jupyterapp.shell.currentWidget;
    const session = widget && widget.sessionContext && widget.sessionContext.session;
    return session && session.kernel && session.kernel.status === 'idle';
}"""
THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
SCREENSHOTS = os.environ.get("KIT_SCREENSHOTS")  # a folder, where they are wanted


class LabPage:
    """A notebook open in JupyterLab."""

    def __init__(self, page: Any, lab: str, notebook: str) -> None:
        self.page = page
        self.page.goto(f"{lab}/lab/tree/{notebook}?token={LAB_TOKEN}&reset", wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE)
        self.page.wait_for_function(IDLE, timeout=PATIENCE)

    def command(self, name: str) -> None:
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def run_all(self) -> None:
        """Run every cell and wait for the last one."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.wait_for_function(IDLE, timeout=PATIENCE)

    def type_in_new_cell(self, text: str) -> None:
        self.command("notebook:insert-cell-below")
        self.page.locator(".jp-Notebook .jp-Cell.jp-mod-active .cm-content").click()
        self.page.keyboard.type(text)

    def texts(self, selector: str) -> list[str]:
        return list(self.page.locator(selector).all_inner_texts())

    def shoot(self, name: str, cell: str) -> None:
        """Take a picture of the page, scrolled to a cell that holds a text."""
        if SCREENSHOTS:
            self.page.locator(".jp-Notebook .jp-Cell", has_text=cell).first.evaluate(
                "element => element.scrollIntoView({ block: 'start' })"
            )
            self.page.wait_for_timeout(1500)
            self.page.screenshot(path=str(Path(SCREENSHOTS, name)))


@pytest.fixture
def notebook(browser: Any, lab: str) -> Any:
    """`debug_train.ipynb`, open."""
    page = browser.new_page(viewport={"width": 1180, "height": 860})
    yield LabPage(page, lab, "notebooks/debug_train.ipynb")
    page.close()


def test_debug_notebook_runs_to_its_end_without_an_error(notebook: LabPage) -> None:
    notebook.run_all()
    assert notebook.texts(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']") == []
    assert notebook.texts(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']") == []
    outputs = "\n".join(notebook.texts(".jp-OutputArea-output"))
    for word in ("common is bound", "TrainFlow/", "succeeded", "evaluate", "replayed in", "same", "changed"):
        assert word in outputs
    assert notebook.page.locator(".jp-OutputArea-output details").count() >= 5
    assert notebook.page.locator(".jp-OutputArea-output img").count() >= 1
    notebook.shoot("lab_light.png", "The steps of the run")
    notebook.shoot("lab_replay.png", "A step runs again in this kernel")
    notebook.shoot("lab_downstream.png", "And the steps after it?")
    notebook.page.evaluate(THEME, "JupyterLab Dark")
    notebook.page.wait_for_timeout(1500 if SCREENSHOTS else 0)
    notebook.shoot("lab_dark.png", "The steps of the run")
    notebook.shoot("lab_downstream_dark.png", "And the steps after it?")


def test_step_of_the_listing_folds_and_unfolds(notebook: LabPage) -> None:
    notebook.run_all()
    details = notebook.page.locator(".jp-OutputArea-output details", has_text="start").first
    before = details.get_attribute("open")
    details.locator("summary").click()
    assert details.get_attribute("open") != before


def test_tab_offers_the_steps_of_a_flow(notebook: LabPage) -> None:
    notebook.run_all()
    notebook.type_in_new_cell("%mf_run_step TrainFlow/ev")
    notebook.page.keyboard.press("Tab")
    notebook.page.wait_for_function(
        """() => document.querySelector('.jp-Completer-item')
            || document.querySelector('.jp-mod-active .cm-content').innerText.includes('TrainFlow/evaluate')""",
        timeout=PATIENCE,
    )
    offered = " ".join(notebook.texts(".jp-Completer-item, .jp-mod-active .cm-content"))
    assert "TrainFlow/evaluate" in offered
    notebook.type_in_new_cell("x = %mf_artifacts TrainFlow/")
    notebook.page.keyboard.press("Tab")
    notebook.page.wait_for_selector(".jp-Completer-item", timeout=PATIENCE)
    offered = notebook.texts(".jp-Completer-item")
    assert [item for item in offered if "TrainFlow/1" in item and ("ago" in item or "now" in item)]


def test_a_notebook_that_is_not_trusted_shows_a_run_all_the_same(
    browser: Any, lab: str, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example)
    shown = kit.artifacts("TrainFlow").also("previews", "logs")
    output = nbformat.v4.new_output("display_data", {"text/html": shown._repr_html_(), "text/plain": repr(shown)})
    cell = nbformat.v4.new_code_cell("%mf_artifacts TrainFlow --preview --logs", outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), example / "notebooks" / "untrusted.ipynb")
    page = browser.new_page(viewport={"width": 1180, "height": 860})
    page.goto(f"{lab}/lab/tree/notebooks/untrusted.ipynb?token={LAB_TOKEN}&reset", wait_until="domcontentloaded")
    page.wait_for_selector(".jp-OutputArea-output details", timeout=PATIENCE)
    picture = page.locator(".jp-OutputArea-output img")
    assert picture.evaluate("image => image.naturalWidth") > 0
    assert "evaluate" in picture.get_attribute("alt")
    assert page.locator(".jp-OutputArea-output details").count() >= len(shown)
    assert page.locator(".jp-OutputArea-output [style]").count() > 0
    assert not page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.get(0).trusted")
    page.close()
