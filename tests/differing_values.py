"""Pairs of values, and what is said of how they differ."""

import collections
import dataclasses
import datetime as dt
import decimal
import functools

import numpy as np
import pandas as pd
import scipy.sparse
from matplotlib.figure import Figure
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NAN = float("nan")
MANY = "\n".join(f"line {i}" for i in range(40))
GRID = np.arange(20.0).reshape(4, 5)
FRAME = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, NAN, 1.0], "c": ["x", "y", None]})
UTC = dt.timezone.utc


class Model:
    def __init__(self, **state):
        self.__dict__.update(state)


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a


class Tensor:
    """Turns into an array, as the tensors of other libraries do."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


@dataclasses.dataclass
class Fit:
    weights: object
    name: str = "fit"


Point = collections.namedtuple("Point", "x y")


def put(array, *cells):
    changed = array.copy()
    for place, value in cells:
        changed[place] = value
    return changed


def fitted(estimator):
    x = np.random.RandomState(0).rand(60, 4)
    return estimator.fit(x, (x[:, 0] > 0.5).astype(int))


def sparse(kind="csr", **cells):
    made = scipy.sparse.lil_matrix((100, 100))
    for place, value in {"0,0": 1.0, "5,7": 2.0, **cells}.items():
        made[tuple(map(int, place.split(",")))] = value
    return made.asformat(kind)


# Old, new, kind, summary, lines.
TOLD = {
    "float": (0.912, 0.934, "number", "0.912 → 0.934 (+0.022, +2.4 %)"),
    "int": (4, 3, "number", "4 → 3 (-1, -25 %)"),
    "from zero": (0, 5, "number", "0 → 5 (+5)"),
    "across zero": (-4.0, 2.0, "number", "-4.0 → 2.0 (+6, +150 %)"),
    "much more": (10, 12345, "number", "10 → 12345 (+12335, 1,234 times)"),
    "the last digit": (0.3, 0.1 + 0.2, "number", "0.3 → 0.30000000000000004 (+5.551e-17, +1.9e-14 %)"),
    "long floats": (1 / 3, 2 / 3, "number", "0.333333 → 0.666667 (+0.3333, +100 %)"),
    "nan": (NAN, 0.5, "number", "nan → 0.5"),
    "infinity": (1.0, float("inf"), "number", "1.0 → inf"),
    "bool": (True, False, "number", "True → False"),
    "complex": (1 + 2j, 2 + 2j, "number", "(1+2j) → (2+2j) (+1+0j)"),
    "decimal": (decimal.Decimal("1.5"), decimal.Decimal("3"), "number", "1.5 → 3 (+1.5, +100 %)"),
    "huge int": (10**5000, 10**5001, "number", "<an int of 16,610 bits> → <an int of 16,613 bits>"),
    "numpy float": (np.float32(0.1), np.float32(0.2), "number", "0.1 → 0.2 (+0.1, +100 %)"),
    "unsigned": (np.uint8(250), np.uint8(3), "number", "250 → 3 (-247, -99 %)"),
    "type of number": (1, 1.5, "type", "int → float: 1 → 1.5 (+0.5, +50 %)"),
    "type": (1, "a", "type", "int → str: 1 → 'a'"),
    "none": (None, GRID, "type", "NoneType → numpy.ndarray: None → ndarray (4, 5) float64"),
    "date": (dt.date(2024, 1, 2), dt.date(2024, 1, 4), "time", "2024-01-02 → 2024-01-04 (+2 days)"),
    "earlier": (
        dt.datetime(2024, 1, 2),
        dt.datetime(2024, 1, 1, 12),
        "time",
        "2024-01-02 00:00:00 → 2024-01-01 12:00:00 (-12:00:00)",
    ),
    "zones that do not mix": (
        dt.datetime(2024, 1, 2),
        dt.datetime(2024, 1, 2, tzinfo=UTC),
        "time",
        "2024-01-02 00:00:00 → 2024-01-02 00:00:00+00:00",
    ),
    "duration": (dt.timedelta(1), dt.timedelta(2), "time", "1 day, 0:00:00 → 2 days, 0:00:00 (+1 day)"),
    "numpy date": (
        np.datetime64("2024-01-02"),
        np.datetime64("2024-01-04"),
        "time",
        "2024-01-02 → 2024-01-04 (+2 days)",
    ),
    "short text": ("the brown fox", "the red fox", "text", "'the brown fox' → 'the red fox'"),
    "long text": (
        "a" * 500 + "brown" + "b" * 500,
        "a" * 500 + "red" + "b" * 500,
        "text",
        f"1,005 → 1,003 characters, from character 500 on: '…{'a' * 20}brown{'b' * 20}…' → '…{'a' * 20}red{'b' * 20}…'",
    ),
    "lines": (
        MANY,
        MANY.replace("line 12", "line twelve").replace("line 30\n", ""),
        "text",
        "40 → 39 lines: 1 line added, 2 lines removed",
        "@@ -13,2 +13,2 @@",
        "- line 12",
        "+ line twelve",
        "  line 13",
        "@@ -30,3 +30,2 @@",
        "  line 29",
        "- line 30",
        "  line 31",
    ),
    "lines in another order": (
        "\n".join(map(str, range(300))),
        "\n".join(map(str, reversed(range(300)))),
        "text",
        "300 lines: the same in another order",
        ...,
    ),
    "bytes": (b"abc" * 9, b"abcx" * 9, "bytes", "27 → 36 bytes, the first that differs is byte 3: 0x61 → 0x78"),
    "more bytes": (b"abc", b"abcd", "bytes", "3 → 4 bytes, the first 3 are the same"),
    "one cell": (
        GRID,
        put(GRID, ((2, 3), 99.0)),
        "array",
        "float64 (4, 5): 1 of 20 cells differs, [2, 3]: 13.0 → 99.0 (+86, +662 %)",
    ),
    "cells": (
        GRID,
        put(GRID, ((0, 0), NAN), ((1, 1), 3.0)),
        "array",
        "float64 (4, 5): 2 of 20 cells differ, by at most 3, 1 became NaN",
        "[0, 0]: 0.0 → nan",
        "[1, 1]: 6.0 → 3.0",
    ),
    "all cells": (GRID, GRID + 1, "array", "float64 (4, 5): all 20 cells differ, by at most 1", ...),
    "cells in another layout": (
        np.asfortranarray(GRID),
        np.asfortranarray(put(GRID, ((3, 0), 0.0))),
        "array",
        "float64 (4, 5): 1 of 20 cells differs, [3, 0]: 15.0 → 0.0 (-15, -100 %)",
    ),
    "whole numbers past a float": (
        np.array([2**63, 1], "u8"),
        np.array([2**63 + 1, 3], "u8"),
        "array",
        "uint64 (2,): all 2 cells differ, by at most 2",
        "[0]: 9223372036854775808 → 9223372036854775809",
        "[1]: 1 → 3",
    ),
    "rows": (GRID, GRID[:2], "array", "float64 (4, 5) → (2, 5): in the first 2 rows no cell differs"),
    "shape": (GRID, GRID.T, "array", "float64 (4, 5) → (5, 4)"),
    "dtype": (GRID, GRID.astype("f4"), "array", "float64 → float32, (4, 5): no cell differs"),
    "texts in an array": (
        np.array(["a", "b"]),
        np.array(["a", "c"]),
        "array",
        "<U1 (2,): 1 of 2 cells differs, [1]: 'b' → 'c'",
    ),
    "dates in an array": (
        np.array(["2024-01-01", "NaT"], "M8[D]"),
        np.array(["2024-01-05", "2024-01-05"], "M8[D]"),
        "array",
        "datetime64[D] (2,): all 2 cells differ, by at most 4 days, 1 was NaN",
        "[0]: 2024-01-01 → 2024-01-05",
        "[1]: NaT → 2024-01-05",
    ),
    "ragged": (
        np.array([np.arange(2), np.arange(3)], object),
        np.array([np.arange(2), np.arange(4)], object),
        "array",
        "object (2,): 1 of 2 cells differs, [1]: array([0, 1, 2]) → array([0, 1, 2, 3])",
    ),
    "fields": (
        np.array([(1, 2.0)], "i4,f8"),
        np.array([(1, 3.0)], "i4,f8"),
        "array",
        "records (1,): 1 of 2 fields differs",
        "['f1']: float64 (1,): 2.0 → 3.0 (+1, +50 %)",
    ),
    "mask": (
        np.ma.array([1, 2, 3], mask=[0, 1, 0]),
        np.ma.array([1, 2, 3], mask=[0, 1, 1]),
        "array",
        "int64 (3,): in the mask 1 of 3 cells differs",
        "[2]: False → True",
    ),
    "tensor": (Tensor([1, 2]), Tensor([1, 5]), "array", "int64 (2,): 1 of 2 cells differs, [1]: 2 → 5 (+3, +150 %)"),
    "sparse": (
        sparse(),
        sparse(**{"0,0": 4.0, "9,9": 1.0}),
        "array",
        "csr float64 (100, 100), 2 → 3 stored: 2 of 10,000 cells differ, by at most 3",
        "[0, 0]: 1.0 → 4.0",
        "[9, 9]: 0.0 → 1.0",
    ),
    "frame": (
        FRAME,
        FRAME.assign(a=[1, 7, 3], c=["x", "y", "z"]),
        "frame",
        "(3, 3): 2 cells in 2 of 3 columns differ",
        "['a']: 1 of 3 cells differs, by 5; [1]: 2 → 7",
        ...,
    ),
    "columns": (
        FRAME,
        FRAME.rename(columns={"a": "A"}),
        "frame",
        "(3, 3): 1 column added, 1 column removed",
        "- ['a']: column, int64",
        "+ ['A']: column, int64",
    ),
    "columns in another order": (FRAME, FRAME[["c", "a", "b"]], "frame", "(3, 3): columns in another order"),
    "dtype of a column": (
        FRAME,
        FRAME.astype({"a": float}),
        "frame",
        "(3, 3): 1 column of another dtype",
        "['a']: int64 → float64; no cell differs",
    ),
    "rows of a frame, by their labels": (
        FRAME,
        FRAME.assign(a=[1, 2, 9]).drop(index=[0]),
        "frame",
        "(3, 3) → (2, 3): index differs, 1 cell in 1 of 3 columns differs",
        "- index: 0",
        "['a']: 1 of 2 cells differs, by 6; [2]: 3 → 9",
    ),
    "index": (
        FRAME,
        FRAME.set_axis([1, 2, 9]),
        "frame",
        "(3, 3): index differs",
        "index: all 3 labels differ, by at most 7; first 0 → 1",
    ),
    "a label twice": (
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 3]], columns=["a", "a"]),
        "frame",
        "(1, 2): 1 cell in 1 of 2 columns differs",
        "['a'] (number 2 of that label): 1 of 1 cell differs, by 1; [0]: 2 → 3",
    ),
    "series": (FRAME.a, put(FRAME.a, (1, 7)), "frame", "int64 (3): 1 of 3 cells differs, by 5", "[1]: 2 → 7"),
    "name of a series": (
        FRAME.a,
        FRAME.a.rename("z"),
        "frame",
        "int64 (3): no cell differs, name differs",
        "name: 'a' → 'z'",
    ),
    "categories": (
        pd.Series(pd.Categorical(["u", "v"])),
        pd.Series(pd.Categorical(["u", "w"])),
        "frame",
        "categories ['u', 'v'] → ['u', 'w'], (2): 1 of 2 cells differs",
        "[1]: 'v' → 'w'",
    ),
    "numbers that may be missing": (
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series([1, 5, 8], dtype="Int64"),
        "frame",
        "Int64 (3): 2 of 3 cells differ, by at most 5, 1 was NaN",
        "[1]: <NA> → 5",
        "[2]: 3 → 8",
    ),
    "levels of an index": (
        FRAME.set_index(["a", "b"]),
        FRAME.assign(a=[1, 7, 3]).set_index(["a", "b"]),
        "frame",
        "(3, 1): index differs",
        "index level 0: 1 of 3 labels differs, by 5; first 2 → 7",
    ),
    "keys": (
        {"a": 1, "b": {"c": [1, 2, 3]}, "d": 4},
        {"a": 1, "b": {"c": [1, 2, 9]}, "e": 4},
        "mapping",
        "1 of 2 keys differs, 1 key added, 1 key removed",
        "['b']['c'][2]: 3 → 9 (+6, +200 %)",
        "- ['d']: 4",
        "+ ['e']: 4",
    ),
    "path": (
        {"a": Model(b=[0, 1])},
        {"a": Model(b=[0, 3])},
        "mapping",
        "1 of 1 key differs",
        "['a'].b[1]: 1 → 3 (+2, +200 %)",
    ),
    "keys of a counter": (
        collections.Counter("ab"),
        collections.Counter("abb"),
        "mapping",
        "1 of 2 keys differs",
        "['b']: 1 → 2 (+1, +100 %)",
    ),
    "items": ([1, 2, 3], [1, 5, 3], "sequence", "1 of 3 items differs", "[1]: 2 → 5 (+3, +150 %)"),
    "an item in front": ([1, 2, 3], [0, 1, 2, 3], "sequence", "length 3 → 4: 1 item added", "+ [0]: 0"),
    "items at the end": ([1, 2, 3], [1], "sequence", "length 3 → 1: 2 items removed", "- [1]: 2", "- [2]: 3"),
    "an array in a tuple": (
        (1, GRID),
        (1, GRID + 1),
        "sequence",
        "1 of 2 items differs",
        "[1]: float64 (4, 5): all 20 cells differ, by at most 1",
    ),
    "named tuple": (Point(1, 2), Point(1, 3), "sequence", "1 of 2 items differs", ".y: 2 → 3 (+1, +50 %)"),
    "set": ({1, 2, 3}, {2, 3, 4, 5}, "set", "3 → 4 items: 2 items added, 1 item removed", "- 1", "+ 4", "+ 5"),
    "object": (
        Model(w=3, b=1),
        Model(w=4, c=1),
        "object",
        "Model: 1 of 1 attribute differs, 1 attribute added, 1 attribute removed",
        ".w: 3 → 4 (+1, +33 %)",
        "- .b: 1",
        "+ .c: 1",
    ),
    "dataclass": (
        Fit([1], "x"),
        Fit([2], "x"),
        "object",
        "Fit: 1 of 2 attributes differs",
        ".weights[0]: 1 → 2 (+1, +100 %)",
    ),
    "slots": (Slotted(1), Slotted(2), "object", "Slotted: 1 of 1 attribute differs", ".a: 1 → 2 (+1, +100 %)"),
    "estimator": (
        fitted(LogisticRegression()),
        fitted(LogisticRegression(C=0.5)),
        "object",
        "LogisticRegression: 1 parameter, 3 fitted attributes differ",
        ".C: 1.0 → 0.5 (-0.5, -50 %)",
        ...,
    ),
    "pipeline": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), LogisticRegression(C=2.0)),
        "object",
        "Pipeline: 1 parameter differs",
        ".steps[1][1].C: 1.0 → 2.0 (+1, +100 %)",
    ),
    "forest": (
        fitted(RandomForestClassifier(9, random_state=0)),
        fitted(RandomForestClassifier(9, random_state=1)),
        "object",
        "RandomForestClassifier: 1 parameter, 1 fitted attribute differ",
        ".random_state: 0 → 1 (+1)",
        ...,
    ),
    "exception": (ValueError("a"), ValueError("b"), "object", "ValueError: a → b"),
    "type of exception": (ValueError("a"), TypeError("b"), "type", "ValueError: a → TypeError: b"),
    "class": (Fit, Model, "object", f"<class '{__name__}.Fit'> → <class '{__name__}.Model'>"),
    "partial": (functools.partial(max, 1), functools.partial(max, 2), "object", ...),
    "figure": (Figure((4, 3)), Figure((8, 3)), "object", "Figure, 4 x 3 in → 8 x 3 in, 0 axes"),
    "image": (Image.new("L", (4, 3)), Image.new("RGB", (4, 3)), "object", "Image, 4 x 3 pixels, L → RGB"),
}
