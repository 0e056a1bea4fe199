"""Steps on inputs that are made up here: no run is needed. The fixture `mf_step` comes with kit."""

import pytest

import common


def test_start_in_test_mode_takes_little_data(mf_step):
    result = mf_step("TrainFlow/start", {"test_mode": True}, inputs={})
    assert len(result.artifacts["train"]) < common.TEST_MODE_DAYS


def test_start_fails_fast(mf_step):
    with pytest.raises(common.ConfigurationError):
        mf_step("TrainFlow/start", {"days": 3}, inputs={})


def test_join_goes_on_with_the_model_of_the_least_error(mf_step):
    days = common.load_days(60, seed=0)
    tasks = [{"model": common.fit(days, penalty), "score": score} for penalty, score in ((1.0, 30.0), (2.0, 20.0))]
    result = mf_step("TrainFlow/join", inputs=tasks)
    assert result.artifacts["model"].penalty == 2.0
    assert result.artifacts["scores"] == [(20.0, 2.0), (30.0, 1.0)]
