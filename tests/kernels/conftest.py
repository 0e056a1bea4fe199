"""What executes cells for a test of kernels."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_bench import Bench, alive, wait_until

from kit.kernels import forkserver


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give what executes cells; no process of it is left when the test is over."""
    folder = tmp_path / "work"
    folder.mkdir()
    own = Bench(folder, uuid.uuid4().hex)
    try:
        yield own
    finally:
        forkserver.close_all()
    wait_until(lambda: not alive(own.marker))
