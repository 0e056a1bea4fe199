"""Unit tests of the example flows' steps: one step in the test's own process, on inputs that the test makes up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_start_makes_a_grid_to_search(mf_step: Callable[..., Any]) -> None:
    result = mf_step("TrainFlow/start", {"test_mode": True}, inputs={})
    assert len(result.artifacts["grid"]) > 1
    assert result.next_steps == ("fit",)


def test_start_fails_fast_on_a_limit_that_makes_no_sense(mf_step: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="limit"):
        mf_step("TrainFlow/start", {"limit": -1}, inputs={})


def test_join_keeps_the_best_candidate_by_its_score(mf_step: Callable[..., Any]) -> None:
    split = mf_step("TrainFlow/start", {"limit": 200}, inputs={}).artifacts["split"]
    settings = [{"svc__C": 10, "svc__gamma": 0.01}, {"svc__C": 0.001, "svc__gamma": 0.01}]
    fitted = [mf_step("TrainFlow/fit", inputs={"split": split}, foreach=params).artifacts for params in settings]
    names = ("split", "params", "score", "model")
    result = mf_step("TrainFlow/join", inputs=[{name: task[name] for name in names} for task in fitted])
    assert result.artifacts["params"] == settings[0]
    report = mf_step("TrainFlow/evaluate", inputs={**result.artifacts, "split": split})
    assert "2 rows: setting, validation score" in repr(report.cards)  # Metaflow drops the rows that are not lists
