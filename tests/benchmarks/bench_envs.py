"""An environment of a step: built with a cold and a warm cache, and reused, beside `python -m venv` and pip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from harness import Result, interleaved

from kit import envs

PINS = {"numpy": "1.26.4", "requests": ">=2.21.0"}


def results(root: Path, quick: bool) -> Iterator[Result]:
    """Measure a build with each kind of cache, then the reuse."""
    numbers, rounds = count(), 1 if quick else 3
    spec = envs.spec_of(None, PINS)

    def kit_build(cache: str) -> None:
        os.environ.update(KIT_CACHE=str(root / f"envs-{next(numbers)}"), UV_CACHE_DIR=cache, PIP_CACHE_DIR=cache)
        envs.build(spec, say=lambda _line: None)

    def pip_build(cache: str) -> None:
        folder = root / f"venv-{next(numbers)}"
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--cache-dir", cache, *spec.requirements]
        subprocess.run(pip, check=True)

    def cold() -> str:
        return str(root / f"cache-{next(numbers)}")

    kit_warm, pip_warm = cold(), cold()
    kit_build(kit_warm)
    pip_build(pip_warm)
    sides = {"kit": (lambda: kit_build(cold()), 1), "venv and pip": (lambda: pip_build(cold()), 1)}
    yield Result("an environment of two pins, cold cache", interleaved(sides, rounds))
    sides = {"kit": (lambda: kit_build(kit_warm), 1), "venv and pip": (lambda: pip_build(pip_warm), 1)}
    yield Result("an environment of two pins, warm cache", interleaved(sides, rounds))
    sides = {"kit, reused": (lambda: envs.build(spec), 50), "venv and pip": (lambda: pip_build(pip_warm), 1)}
    yield Result("the same environment again", interleaved(sides, rounds))
