"""What differs between two artifacts, in a line and a few more: true, bounded, and never an error."""

import dataclasses
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from differing_values import GRID, TOLD, Fit, Model

from kit.comparison.difference import difference, differences


@pytest.mark.parametrize("case", TOLD.values(), ids=TOLD.keys())
def test_a_difference_says(case):
    old, new, kind, summary, *lines = case
    found = difference(old, new)
    assert found.kind == kind
    assert summary is ... or found.summary == summary
    if lines[-1:] == [...]:
        assert found.lines[: len(lines) - 1] == tuple(lines[:-1])
    else:
        assert found.lines == tuple(lines)


@pytest.mark.parametrize("case", TOLD.values(), ids=TOLD.keys())
def test_a_difference_is_found_the_other_way_round_and_inside_of_something(case):
    assert difference(case[1], case[0]).summary
    inside = difference({"x": [case[0]]}, {"x": [case[1]]})
    assert inside.kind == "mapping"
    assert all("['x'][0]" in line or line.startswith("…") for line in inside.lines)


def test_two_values_that_do_not_differ_are_not_said_to():
    assert "no difference found" in difference([1], [1]).summary


def test_a_class_that_was_defined_anew_is_told_from_the_recorded_one():
    again = dataclasses.make_dataclass("Fit", ["weights", "name"])
    again.__module__, again.__qualname__ = Fit.__module__, Fit.__qualname__
    found = difference(Fit(1), again(2, "fit"))
    assert "another class of that name" in found.summary


# ------------------------------------------------------------------ hostile values


class ReprRaises(Model):
    def __repr__(self):
        raise ValueError


class ReprExits(Model):
    __slots__ = ()

    def __repr__(self):
        raise SystemExit(3)


class LongRepr:
    def __repr__(self):
        return "m\n" * 5_000_000

    def __reduce_ex__(self, protocol):
        raise TypeError


class EqualityRaises:
    __hash__ = None

    def __eq__(self, other):
        raise ValueError


class BadKey:
    def __hash__(self):
        return 1

    def __eq__(self, other):
        raise ValueError


class AttributesRaise:
    def __getattribute__(self, name):
        raise RuntimeError(name)


class SaysYesToAll:
    def __getattr__(self, name):
        return SaysYesToAll()


class Lies:
    __class__ = np.ndarray


class UnwritableError(Exception):
    def __str__(self):
        raise ValueError


def ring(value):
    made = [value]
    made.append(made)
    return made


def deep(value):
    for i in range(3000):
        value = [value, i]
    return value


HOSTILE = {
    "repr raises": (ReprRaises(a=1), ReprRaises(a=2)),
    "repr exits": (ReprExits(a=ReprExits()), ReprExits(b=ReprExits())),
    "repr is long": (LongRepr(), LongRepr()),
    "equality raises": (EqualityRaises(), EqualityRaises()),
    "keys raise": ({BadKey(): 1}, {BadKey(): 2}),
    "attributes raise": (AttributesRaise(), AttributesRaise()),
    "any attribute": (SaysYesToAll(), SaysYesToAll()),
    "lies": (Lies(), Lies()),
    "ring": (ring(1), ring(2)),
    "deep": (deep(0), deep(1)),
    "exception": (UnwritableError(1), UnwritableError(2)),
    "codes of terminals": ("\x1b[31m" * 99, "\x1b[32m\u202e" * 99),
    "surrogates": ("a\udc80", "b\udc80"),
    "long keys": ({"k" * 10_000: 1}, {"k" * 10_000: 2}),
    "long lines": ("x\n" + "a" * 10_000 + "b", "x\n" + "a" * 10_000 + "c"),
    "many lines": ("a\n" * 10_000, "b\n" * 10_000),
    "many of two lines": ("a\nb\n" * 50_000, "b\nb\na\n" * 30_000),
    "many keys": (dict.fromkeys(range(9999), 1), dict.fromkeys(range(9999), 2)),
    "many attributes": (Model(**{f"a{i}": i for i in range(999)}), Model(**{f"a{i}": -i for i in range(999)})),
    "many columns": (pd.DataFrame(np.zeros((2, 99))), pd.DataFrame(np.ones((2, 99)))),
    "empty": (np.zeros((0, 3)), np.zeros((0, 4))),
    "no columns": (pd.DataFrame(), pd.DataFrame(index=[1])),
}


@pytest.mark.parametrize("other", [None, "itself"])
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_value_does_the_difference_is_short_and_can_be_shown(name, other):
    old, new = HOSTILE[name] if other == "itself" else (HOSTILE[name][0], None)
    found = difference(old, new)
    assert found.summary
    assert len(found.lines) <= 12
    for line in (found.summary, *found.lines):
        assert len(line) <= 160
        assert line.isprintable()


def test_what_is_left_out_is_counted():
    assert difference([0] * 30, [1] * 30).lines[-1] == "… and 19 more"
    assert difference(set(), set(range(30))).lines[-1] == "… and 19 more"
    assert difference(GRID, GRID + 1).lines[-1] == "… and 15 more"


def test_what_differs_in_a_long_line_is_what_is_shown_of_it():
    removed, added = difference(*HOSTILE["long lines"]).lines[1:]
    assert removed.endswith("ab")
    assert added.endswith("ac")


# ------------------------------------------------------------------ large values


def test_large_arrays_are_compared_without_copying_them():
    old = np.zeros(8_000_000)
    new = old + 1
    tracemalloc.start()
    assert difference(old, new).summary == "float64 (8000000,): all 8,000,000 cells differ, by at most 1"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < old.nbytes / 2


class Slow:
    """Takes its time to be compared."""

    def __eq__(self, other):
        time.sleep(0.05)
        return True

    __hash__ = None


def test_what_there_is_no_time_for_is_said_not_to_be_compared():
    found = difference([Slow() for _ in range(1000)], [Slow() for _ in range(1000)])
    assert found.summary.startswith("the first ")
    assert found.summary.endswith(" of 1,000 items are equal")


# ------------------------------------------------------------------ many artifacts


def test_differences_are_computed_when_they_are_asked_for_and_once():
    asked = []
    found = differences(["y", "x"], lambda name: asked.append(name) or 1, lambda name: 2)
    assert list(found) == ["x", "y"]
    assert asked == []
    assert found["x"].summary == found["x"].summary == "1 → 2 (+1, +100 %)"
    assert asked == ["x"]


def test_an_artifact_that_cannot_be_read_is_said_to_be_so():
    def gone(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    found = differences(["x"], gone, lambda name: 2)
    assert found["x"].summary == "the recorded value cannot be read: ModuleNotFoundError: No module named 'x'"


def test_comparing_plain_values_imports_no_library():
    code = (
        "import sys\nfrom kit.comparison.difference import difference\nbefore = set(sys.modules)\n"
        "difference({'a': [1, 'x', {2}]}, {'a': [2, 'y', {3}]})\n"
        "print(*{'numpy', 'pandas', 'sklearn', 'PIL', 'matplotlib'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
