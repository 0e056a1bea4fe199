"""What matplotlib figures draw, compared: 62 kinds of figures, each with a real edit (see figure_kinds.py)."""

from __future__ import annotations

import json
from typing import Any

import figure_kinds
import matplotlib.pyplot as plt
import numpy as np
import pytest

from kit.regression.outputs.figures import compare_data, mask_data
from kit.regression.outputs.fingerprint import figure_data
from kit.regression.outputs.rules import Rules

RULES = Rules()


def described(figure: Any) -> Any:
    """Give what a figure draws, as it comes out of a notebook's file."""
    data = json.loads(json.dumps(figure_data(figure), allow_nan=False))
    plt.close(figure)
    return data


def drawn(y: Any, **options: Any) -> Any:
    figure, ax = plt.subplots()
    ax.plot(y, **options)
    return described(figure)


@pytest.mark.parametrize("kind", figure_kinds.KINDS)
def test_a_real_edit_is_seen_and_the_same_figure_is_the_same(kind: str) -> None:
    plain, again, edited = (described(figure_kinds.draw(kind, edit)) for edit in (False, False, True))
    assert compare_data(plain, again, RULES) == ()
    assert compare_data(plain, edited, RULES)


def test_the_message_names_the_part_and_the_value() -> None:
    y = np.sin(np.linspace(0, 6, 500))
    edited = y.copy()
    edited[250] = 0.5
    assert compare_data(drawn(y), drawn(edited), RULES) == (
        "axes[0].lines[0].y: 1 of 500 values differ, [250]: 0.135166 -> 0.5",
    )


def test_another_colour_of_one_line_is_named() -> None:
    messages = compare_data(drawn([1, 2], color="tab:blue"), drawn([1, 2], color="tab:red"), RULES)
    assert messages == ("axes[0].lines[0].colour: #1f77b4 -> #d62728",)


def test_noise_of_floating_point_is_no_difference() -> None:
    y = np.sin(np.linspace(0, 6, 500))
    assert compare_data(drawn(y), drawn(y * (1 + 1e-12) + 1e-15), RULES) == ()


def test_a_small_change_beside_a_large_offset_is_seen() -> None:
    y = 1e6 + np.linspace(0, 1, 20) ** 2
    edited = y.copy()
    edited[3] += 0.01
    assert compare_data(drawn(y), drawn(edited), RULES)


def test_values_that_are_missing_are_compared_too() -> None:
    assert compare_data(drawn([1, np.nan, 3]), drawn([1, np.nan, 3]), RULES) == ()
    assert compare_data(drawn([1, np.nan, 3]), drawn([1, 2, 3]), RULES)


def test_a_tolerance_lets_values_differ() -> None:
    loose = Rules(rtol=0.1, integers=True)
    assert compare_data(drawn([1, 2, 3]), drawn([1, 2.05, 3]), loose) == ()
    assert compare_data(drawn([1, 2, 3]), drawn([1, 2.5, 3]), loose)


def test_what_differs_by_itself_is_masked_and_no_more() -> None:
    one, other = drawn([1, 2, 3], label="a"), drawn([1, 2.5, 3], label="a")
    masked = mask_data(one, other, RULES)
    assert compare_data(masked, drawn([1, 2.9, 3]), RULES) == ()
    assert compare_data(masked, drawn([1, 2.9, 3], color="red"), RULES)


def test_the_data_of_a_long_series_stays_small() -> None:
    assert len(json.dumps(drawn(np.random.default_rng(0).normal(size=100_000)))) < 10_000


def test_texts_are_the_same_in_whatever_order_a_version_draws_them() -> None:
    figure, ax = plt.subplots()
    ax.pie([3, 2, 1], labels=list("abc"), autopct="%d")
    data = described(figure)
    other = json.loads(json.dumps(data))
    other["axes"][0]["texts"].reverse()
    assert compare_data(data, other, RULES) == ()
    other["axes"][0]["texts"][0]["text"] = "d"
    assert compare_data(data, other, RULES)


def test_an_artist_that_cannot_be_read_leaves_the_others_compared() -> None:
    class Strange(plt.Line2D):
        def get_marker(self) -> Any:
            raise TypeError("of a library's own")

    def with_title(title: str) -> Any:
        figure, ax = plt.subplots()
        ax.add_line(Strange([0, 1], [0, 1]))
        ax.set_title(title)
        return described(figure)

    (message,) = compare_data(with_title("a"), with_title("b"), RULES)
    assert message == "axes[0].title: 'a' -> 'b'"
