"""`kit test` on twelve small notebooks against other runners of notebooks, and how it grows with their number."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from harness import Result, interleaved, say, timed
from nbformat.v4 import new_code_cell, new_notebook
from support import write_files

SMALL, LARGE = 12, (12, 50, 200)
ROUNDS, QUICK_ROUNDS = 3, 1
SPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
CELLS = (
    "import numpy as np\nimport matplotlib.pyplot as plt",
    "rng = np.random.default_rng(seed)\nx = rng.normal(size=n)\nprint(x.shape)\nx.mean()",
    "fig, ax = plt.subplots()\nax.plot(np.cumsum(x))\nax.set_title(f'walk {seed}')\nplt.show()",
    "from IPython.display import HTML\nHTML('<table><tr><td>%.4f</td></tr></table>' % x.std())",
)
SERIAL = "import glob, papermill\nfor name in sorted(glob.glob('notebooks/*.ipynb')):\n"
SERIAL += "    papermill.execute_notebook(name, 'executed.ipynb', cwd='notebooks', progress_bar=False)"


def results(root: Path, quick: bool) -> Iterator[Result]:
    """Time each runner on the same notebooks in turns, each as its users call it; then kit on more of them."""
    project(root / "small", SMALL)
    sides = {name: (run, 1) for name, run in runners(root / "small").items()}
    say("every runner once, which writes the byte code ...")
    for run, _ in sides.values():
        run()
    own, *peers = interleaved(sides, QUICK_ROUNDS if quick else ROUNDS)
    for peer in peers:
        yield Result(f"{SMALL} notebooks: kit test -n 2 and {peer.name}", (own, peer))
    yield Result("kit test as notebooks become more", facts=tuple(growth(root, LARGE[:2] if quick else LARGE)))


def growth(root: Path, numbers: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Time kit on more and more notebooks; gives seconds for all and for each."""
    for number in numbers:
        folder = root / f"of-{number}"
        project(folder, number)
        seconds = min(timed(runners(folder)["kit test -n 2"]) for _ in range(2)) / 1000
        yield f"{number} notebooks", f"{seconds:.2f} s, {seconds / number:.3f} s each"


def project(root: Path, number: int) -> None:
    """Write a project with notebooks that differ in their seed alone."""
    write_files(root, {"pyproject.toml": "[tool.kit]\n", "flows/common.py": "", "notebooks/.keep": ""})
    for seed in range(number):
        first = new_code_cell(f"n = 1000\nseed = {seed}", metadata={"tags": ["parameters"]})
        node = new_notebook(cells=[first, *map(new_code_cell, CELLS)], metadata={"kernelspec": SPEC})
        nbformat.write(node, root / "notebooks" / f"nb_{seed:03d}.ipynb")


def runners(root: Path) -> dict[str, Callable[[], object]]:
    """Give the runners by name, kit first."""
    names = sorted(str(path.relative_to(root)) for path in (root / "notebooks").glob("*.ipynb"))

    def call(*words: str) -> None:
        done = subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")

    def papermill_one_by_one() -> None:
        for name in names:
            call("-m", "papermill", name, "executed.ipynb", "--cwd", "notebooks", "--no-progress-bar")

    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:kit", "-c", os.devnull, f"--rootdir={root}")
    return {
        "kit test -n 2": lambda: call("-m", "kit", "test", "-n", "2"),
        "papermill, its command for each": papermill_one_by_one,
        "papermill, its function in one process": lambda: call("-c", SERIAL),
        "nbmake": lambda: call(*pytest, "--nbmake", "notebooks"),
        "nbmake -n 2": lambda: call(*pytest, "--nbmake", "-n", "2", "notebooks"),
        "nbval": lambda: call(*pytest, "--nbval-lax", "notebooks"),
    }
