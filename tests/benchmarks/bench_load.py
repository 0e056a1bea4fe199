"""`%load_ext kit` in a fresh kernel, against the loading of IPython's own autoreload there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness import Result, Sample, say
from kernel_client import Kernel
from projects import LINEAR
from support import write_files

REPOSITORY = Path(__file__).parents[2]
ROUNDS = 7
LOAD = """
import time
started = time.perf_counter_ns()
get_ipython().run_line_magic("load_ext", {extension!r})
print("took", (time.perf_counter_ns() - started) / 1e6)
"""


def results(root: Path, quick: bool) -> Iterator[Result]:
    """Time the loading in the example project, in one of many files, and without kit's byte code."""
    many = {f"flows/flow{i}.py": LINEAR.replace("LinearFlow", f"Flow{i}") for i in range(60)}
    write_files(root / "many", {**many, "pyproject.toml": "[tool.kit]\n"})
    example = root / "example"
    shutil.copytree(REPOSITORY / "flows", example / "flows", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (example / "pyproject.toml").write_text("[tool.kit]\n")
    warm, bare = root / "byte-code", root / "byte-code-without-kit"
    say("starting kernels ...")
    with_code = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(warm)}
    for extension in ("kit", "autoreload"):
        _load(example, extension, with_code)  # this one writes the byte code
    shutil.copytree(warm, bare)
    shutil.rmtree(bare / (REPOSITORY / "kit").relative_to("/"), ignore_errors=True)
    without = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(bare)}
    sides = {
        "the example project": (example, "kit", with_code),
        "60 flow files": (root / "many", "kit", with_code),
        "the example project, no byte code of kit": (example, "kit", without),
        "%load_ext autoreload": (example, "autoreload", with_code),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(2 if quick else ROUNDS):
        for name, (folder, extension, environ) in sides.items():
            times[name].append(_load(folder, extension, environ))
    *own, peer = (Sample(name, tuple(taken)) for name, taken in times.items())
    for sample in own:
        yield Result(f"%load_ext kit: {sample.name}", (Sample("%load_ext kit", sample.milliseconds), peer))


def _load(folder: Path, extension: str, environ: dict[str, str]) -> float:
    kernel = Kernel(folder, {"USERNAME": os.environ["USERNAME"], **environ})
    try:
        return float(kernel.check(LOAD.format(extension=extension)).stdout.split("took")[1])
    finally:
        kernel.close()
