"""Tab: in the terminal's own completer and in a kernel, with runs that are many, slow or not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flows_for_tests import FOREACH
from kernel_client import Kernel
from support import run_flow, write_files

pytestmark = [pytest.mark.flow, pytest.mark.kernel]

TERMINAL = """
import json, sys, time
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.terminal.ptutils import IPythonPTCompleter
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

shell = TerminalInteractiveShell.instance()
shell.run_line_magic("load_ext", "kit")
completer, found = IPythonPTCompleter(shell=shell), {}
for line, wanted in json.loads(sys.argv[1]).items():
    for _ in range(100):
        offered = completer.get_completions(Document(line), CompleteEvent())
        found[line] = [(each.text, each.display_meta_text.replace("\\xa0", " ")) for each in offered]
        if wanted in dict(found[line]):
            break
        time.sleep(0.1)
print("FOUND", json.dumps(found))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, an older copy of it, and a flow whose file is gone."""
    root = tmp_path_factory.mktemp("completion") / "project"
    write_files(root, {"flows/loops.py": FOREACH, "pyproject.toml": "[tool.kit]\n"})
    run_flow(root / "flows" / "loops.py", "--max-workers", "2", cwd=root)
    store = root / ".metaflow" / "ForeachFlow"
    run = new_run(root)
    shutil.copytree(store / run, store / "17")
    for file in (store / "17").rglob("_meta/*.json"):
        file.write_text(file.read_text().replace(run, "17"))
    record = store / "17" / "_meta" / "_self.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "ts_epoch": 1_600_000_000_000}))
    return root


def new_run(root: Path) -> str:
    return next(path.name for path in (root / ".metaflow" / "ForeachFlow").glob("1[0-9]*[0-9]") if path.name != "17")


def test_the_terminal_offers_what_follows_with_a_word_about_it(recorded: Path) -> None:
    new = new_run(recorded)
    wanted = {
        "%mf_artifacts For": "ForeachFlow",
        "%mf_artifacts ForeachFlow/": f"ForeachFlow/{new}",
        f"x = %mf_artifacts ForeachFlow/{new}/in": f"ForeachFlow/{new}/inner",
        f"%mf_artifacts ForeachFlow/{new}/inner/": "",
        "%mf_artifacts ForeachFlow/inner[depths=5,": "ForeachFlow/inner[depths=5,widths=b]",
        "%mf_artifacts ForeachFlow/inner na": "name_of_task",
        "%mf_artifacts ForeachFlow --ga": "--gather",
        "%mf_artifacts ForeachFlow/17 --diff ForeachFlow/": "ForeachFlow/17",
        "%mf_run_step ForeachFlow/outer --to ": "inner_join",
        "%mf_run_step ForeachFlow/inner --foreach ": "b",
        "%mf_run_step ForeachFlow/inner --set de": "depth=",
        "%mf_artifacts ForeachFlow/inner --as n=": "n=name_of_task",
        "%mf_install_deps --flow ForeachFlow --step ": "outer_join",
        "%mf_artifacts NoFlow/": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", TERMINAL, json.dumps({line: text for line, text in wanted.items() if text})],
        cwd=recorded, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.rpartition("FOUND")[2])
    assert not [(line, found[line]) for line, text in wanted.items() if text and text not in dict(found[line])]
    runs = [text for text, _ in found["%mf_artifacts ForeachFlow/"] if text.rpartition("/")[2].isdigit()]
    assert runs == [f"ForeachFlow/{new}", "ForeachFlow/17"]  # the newest first
    labels = dict(found["%mf_artifacts ForeachFlow/"])
    assert labels["ForeachFlow/17"] == "on 2020-09-13"
    assert labels[f"ForeachFlow/{new}"] in ("just now", *(f"{minutes} min ago" for minutes in range(1, 60)))
    assert labels["ForeachFlow/inner"] == "step"


def test_a_kernel_says_the_age_of_runs_and_completes_what_a_variable_holds(
    recorded: Path, start_kernel: Callable[..., Kernel]
) -> None:
    kernel = start_kernel(recorded)
    kernel.check("%load_ext kit\ntrain_run, other, _hidden = 'ForeachFlow/17', 'no flow', 'ForeachFlow'")
    kernel.offered("a = 1\nx = %mf_artifacts {train_run}/", "{train_run}/inner")
    kernel.offered("%mf_artifacts $train_run/inner[depths=3", "$train_run/inner[depths=3,widths=a]")
    assert kernel.offered("%mf_artifacts {", "{train_run}") == ["{train_run}"]
    kernel.offered("%mf_artifacts ForeachFlow/", "ForeachFlow/17")
    assert {"ForeachFlow/17": "on 2020-09-13"}.items() <= kernel.labels("%mf_artifacts ForeachFlow/").items()


def test_a_datastore_that_hangs_does_not_hold_the_completer(
    recorded: Path, start_kernel: Callable[..., Kernel]
) -> None:
    file = min((recorded / ".metaflow" / "ForeachFlow" / "17" / "inner").glob("*/0.data.json"))
    content = file.read_bytes()
    file.unlink()
    os.mkfifo(file)  # whoever reads it waits
    kernel = start_kernel(recorded)
    kernel.check("%load_ext kit")
    for _ in range(10):
        assert kernel.complete("%mf_artifacts ForeachFlow/17/inner/") == []
        assert kernel.complete("%mf_artifacts ForeachFlow/17/inner ") == []
    kernel.offered("%mf_artifacts ForeachFlow/", "ForeachFlow/17")
    assert "succeeded" in kernel.check("%mf_artifacts").text  # threads that wait hold up nothing else
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_NONBLOCK), "wb") as writer:  # fails where nobody waits
        writer.write(content)
    file.unlink()
    file.write_bytes(content)
    kernel.offered("%mf_artifacts ForeachFlow/17/inner ", "name_of_task")
