"""pytest's `mf_step`: a unit test of a step in three lines. pytest finds it by itself where kit is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kit.model import StepResult

__all__ = ["mf_step"]


@pytest.fixture
def mf_step(request: pytest.FixtureRequest) -> Callable[..., StepResult]:
    """Run one step of a flow in the test's own process, on inputs that the test gives or that a run recorded.

    The flow is found from the folder of the test file, whatever the working directory is.

    Returns:
        What `kit.run_step` is, with its arguments: `mf_step("TrainFlow/fit", inputs={"rows": [1, 2]})`.
    """
    from kit import session

    def run(pathspec: str, overrides: dict[str, Any] | None = None, **options: Any) -> StepResult:
        __tracebackhide__ = True
        with session.inside(request.path.parent):
            return session.run_step(pathspec, overrides, **options)

    return run
