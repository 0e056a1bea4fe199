"""The logic of the flows, without any flow."""

import pytest

import common


def test_the_same_seed_makes_the_same_days():
    first, second = common.load_days(50, seed=3), common.load_days(50, seed=3)
    assert (first.rentals == second.rentals).all()


def test_a_split_leaves_no_day_out_and_none_twice():
    days = common.load_days(101, seed=0)
    assert sum(len(part) for part in common.split(days)) == 101


def test_a_model_is_better_than_the_mean():
    train, validation, _ = common.split(common.load_days(300, seed=0))
    assert common.error(common.fit(train, 0.01), validation) < validation.rentals.std()


def test_a_penalty_makes_the_coefficients_smaller():
    days = common.load_days(100, seed=0)
    loose, tight = (abs(common.fit(days, penalty).coefficients[1:]).sum() for penalty in (0.01, 1000))
    assert tight < loose


@pytest.mark.parametrize(("days", "seed"), [(1, 0), (100, -1)])
def test_a_parameter_that_is_out_of_range_is_refused(days, seed):
    with pytest.raises(common.ConfigurationError):
        common.check_configuration(days, seed)
