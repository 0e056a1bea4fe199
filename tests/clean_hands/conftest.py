"""A project with a run of HandsFlow."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hands_flow import HANDS
from support import run_flow, write_files

COMMON = '''
    import dataclasses
    import logging
    import os
    import sys
    import time

    handler_of_all = logging.StreamHandler()
    logging.getLogger("of.common").addHandler(handler_of_all)


    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        """An exception that does not let its attributes be set."""

        text: str


    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None

        def __init__(self, *args):
            if args:
                raise ImportError


    def handler(number, frame):
        pass


    def fail(x):
        raise ValueError(f"{x} is wrong")


    def leave():
        os._exit(9)


    def square(x):
        return x * x


    def speak_later(stream):
        time.sleep(0.3)
        print("late", file=stream)
'''


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run."""
    root = tmp_path_factory.mktemp("hands") / "project"
    write_files(root, {"flows/hands.py": HANDS, "flows/common.py": COMMON, "pyproject.toml": "[tool.kit]\n"})
    write_files(root, {"flows/broken.py": "x = (\n"})
    run_flow(root / "flows" / "hands.py", cwd=root)
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(recorded)
    monkeypatch.syspath_prepend(str(recorded / "flows"))
    yield
    sys.modules.pop("common", None)
    logging.getLogger("of.common").handlers.clear()
