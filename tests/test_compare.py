"""Whether two artifacts are equal: by Metaflow's own address, else by value."""

import collections
import copy
import dataclasses
import decimal
import enum
import functools
import hashlib
import math
import pickle
import re
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kit.comparison.equality import equal, serialized

NAN = float("nan")


class Plain:
    """No equality of its own: as different as its state."""

    def __init__(self, **state):
        self.__dict__.update(state)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


class Raises:
    """Equality that raises, as an array's truth does."""

    __hash__ = None

    def __init__(self, a):
        self.a = a

    def __eq__(self, other):
        raise ValueError("the truth value is ambiguous")


class RaisesButHashable(Raises):
    def __hash__(self):
        return 1


@dataclasses.dataclass
class Fit:
    weights: np.ndarray
    name: str = "fit"


@dataclasses.dataclass(frozen=True)
class Score:
    value: float


class Unpicklable:
    def __reduce_ex__(self, protocol):
        raise TypeError("not to be pickled")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Named(dict):
    """A dict with something beside its items."""


def named(name, **items):
    made = Named(items)
    made.name = name
    return made


def ring(length, value=0):
    """Build a list that contains itself at the end of a chain."""
    first = [value]
    last = first
    for i in range(length):
        last.append([i])
        last = last[-1]
    last.append(first)
    return first


def structured(values, dtype="i4,f8,O"):
    return np.array(values, dtype=dtype)


def padded(fill):
    """Build a structured array with bytes between its fields, which mean nothing."""
    made = np.frombuffer(bytearray([fill] * 32), dtype=np.dtype("i1,f8", align=True))
    made["f0"], made["f1"] = 1, 2.5
    return made


def masked(values, mask):
    return np.ma.array(values, mask=mask)


def frame(**options):
    return pd.DataFrame({"a": [1, 2], "b": [0.5, NAN], "c": ["x", None]}, **options)


EQUAL = {
    "int": lambda: 3,
    "large int": lambda: 10**40,
    "nan": lambda: NAN * 1.0,
    "infinity": lambda: math.inf,
    "complex nan": lambda: complex(NAN, 1.0),
    "numpy float nan": lambda: np.float64(NAN),
    "numpy float32 nan": lambda: np.float32(NAN),
    "numpy complex nan": lambda: np.complex128(complex(1, NAN)),
    "numpy string": lambda: np.str_("a"),
    "not a time": lambda: np.datetime64("NaT"),
    "str": lambda: "größe" * 2,
    "bytearray": lambda: bytearray(b"abc"),
    "decimal": lambda: decimal.Decimal("1.5"),
    "datetime": lambda: datetime(2024, 1, 2),
    "range": lambda: range(3),
    "pattern": lambda: re.compile("a+"),
    "enum": lambda: Colour.RED,
    "type": lambda: Plain,
    "function": lambda: ring,
    "partial": lambda: functools.partial(ring, 3, value=[NAN]),
    "list with nan": lambda: [1, [NAN, (NAN, "x")]],
    "dict with nan": lambda: {"a": NAN, "b": {"c": [NAN]}},
    "set with nan": lambda: {NAN * 1.0, 2.0},
    "default dict": lambda: collections.defaultdict(list, a=[NAN]),
    "ordered dict": lambda: collections.OrderedDict(a=[NAN]),
    "counter": lambda: collections.Counter("abca"),
    "deque of arrays": lambda: collections.deque([np.arange(3), NAN]),
    "named dict": lambda: named("one", a=[NAN]),
    "cycle": lambda: ring(3),
    "long chain": lambda: ring(45),
    "array": lambda: np.arange(6.0).reshape(2, 3),
    "array with nan": lambda: np.array([1, NAN]),
    "empty array": lambda: np.empty((0, 3)),
    "strings": lambda: np.array(["a", "b"]),
    "times with nat": lambda: np.array(["2024-01-01", "NaT"], dtype="datetime64[s]"),
    "object array": lambda: np.array([[1, "a"], [NAN, None]], dtype=object),
    "ragged array": lambda: np.array([np.arange(2), np.arange(3)], dtype=object),
    "structured array": lambda: structured([(1, NAN, [np.arange(2)]), (2, 0.5, "x")]),
    "structured scalar": lambda: structured([(1, NAN, [np.arange(2)])])[0],
    "nested structure": lambda: np.zeros(2, dtype=[("a", [("b", "f8", 3), ("c", "O")])]),
    "masked array": lambda: masked([1.0, NAN, 3.0], [False, False, True]),
    "masked constant": lambda: np.ma.masked,
    "dtype": lambda: np.dtype("i4,f8"),
    "random generator": lambda: np.random.default_rng(3),
    "frame": frame,
    "frame of arrays": lambda: pd.DataFrame({"a": [np.arange(2), np.arange(3)]}),
    "frame of objects": lambda: pd.DataFrame({"a": [Plain(x=1), Fit(np.arange(2))]}),
    "series": lambda: pd.Series([1, NAN], name="s", index=["a", "b"]),
    "index": lambda: pd.Index([1, 2], name="i"),
    "levels": lambda: pd.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["x", "y"]),
    "categories": lambda: pd.Series(["a", "b", None], dtype="category"),
    "times with zone": lambda: pd.Series(pd.date_range("2024-01-01", periods=2, tz="UTC")),
    "timestamp": lambda: pd.Timestamp("2024-01-01", tz="UTC"),
    "no time": lambda: [pd.NaT, pd.NA],
    "plain object": lambda: Plain(a=1, b=[NAN, np.arange(3)]),
    "slotted object": lambda: Slotted(1, np.arange(3)),
    "equality that raises": lambda: Raises(np.arange(3)),
    "data class of arrays": lambda: Fit(np.arange(3)),
    "data class with nan": lambda: Score(NAN * 1.0),
    "exception": lambda: ValueError("a", 1),
}


@pytest.mark.parametrize("build", EQUAL.values(), ids=EQUAL.keys())
def test_values_built_alike_are_equal_and_stay_so_when_pickled(build):
    assert equal(build(), build()) is True
    assert equal(build(), pickle.loads(pickle.dumps(build()))) is True


DIFFERENT = {
    "values": (1, 2),
    "types": (1, 1.0),
    "bool and int": (True, 1),
    "nan and none": (NAN, None),
    "nan and number": (NAN, 1.0),
    "complex parts": (complex(NAN, 1), complex(NAN, 2)),
    "list and tuple": ([1], (1,)),
    "length": ([1], [1, 1]),
    "order": ([1, 2], [2, 1]),
    "depth": ([1, [2, [3]]], [1, [2, [4]]]),
    "keys": ({"a": 1}, {"b": 1}),
    "dict values": ({"a": [NAN]}, {"a": [1.0]}),
    "sets": ({1, 2}, {1, 3}),
    "number of nans": ({NAN * 1.0, NAN * 2.0}, {NAN * 1.0, 2.0}),
    "default": (collections.defaultdict(list), collections.defaultdict(set)),
    "what a dict has beside its items": (named("one", a=1), named("two", a=1)),
    "cycles": (ring(3), ring(4)),
    "values in cycles": (ring(3, 1), ring(3, 2)),
    "enum members": (Colour.RED, Colour.BLUE),
    "classes": (Plain, Slotted),
    "functions": (ring, masked),
    "patterns": (re.compile("a"), re.compile("b")),
    "partials": (functools.partial(ring, 3), functools.partial(ring, 4)),
    "array values": (np.array([1, 2]), np.array([1, 3])),
    "array dtypes": (np.array([1], "i4"), np.array([1], "i8")),
    "byte order": (np.array([1], "<i4"), np.array([1], ">i4")),
    "array shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "scalar and array": (np.float64(1), np.array(1.0)),
    "nan places": (np.array([1, NAN]), np.array([NAN, 1])),
    "object arrays": (np.array([1, "a"], object), np.array([1, "b"], object)),
    "structured values": (structured([(1, 1, [1])]), structured([(1, 1, [2])])),
    "structured names": (np.zeros(1, [("a", "f8")]), np.zeros(1, [("b", "f8")])),
    "masks": (masked([1, 2], [True, False]), masked([1, 2], [False, True])),
    "masked and not": (masked([1, 2], [True, False]), masked([1, 2], False)),
    "matrix and array": (np.asmatrix([1]), np.array([[1]])),
    "frame values": (frame(), frame().replace(1, 2)),
    "frame index": (frame(), frame(index=[1, 2])),
    "frame index dtype": (frame(index=[1, 2]), frame(index=[1.0, 2.0])),
    "frame dtypes": (frame(), frame().astype({"a": "float64"})),
    "index name": (frame(), frame(index=pd.Index([0, 1], name="i"))),
    "columns name": (frame(), frame().rename_axis(columns="c")),
    "column order": (frame(), frame()[["b", "a", "c"]]),
    "level names": (
        pd.MultiIndex.from_product([[1], [2]], names=["x", "y"]),
        pd.MultiIndex.from_product([[1], [2]], names=["x", "z"]),
    ),
    "series name": (pd.Series([1], name="a"), pd.Series([1], name="b")),
    "series index name": (pd.Series([1]), pd.Series([1]).rename_axis("i")),
    "categories": (
        pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b"])),
        pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "c"])),
    ),
    "order of categories": (
        pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b"], ordered=True)),
        pd.Series(["a"], dtype=pd.CategoricalDtype(["b", "a"], ordered=True)),
    ),
    "time zones": (pd.Series(pd.to_datetime(["2024"])), pd.Series(pd.to_datetime(["2024"])).dt.tz_localize("UTC")),
    "arrays in frames": (pd.DataFrame({"a": [np.arange(2)]}), pd.DataFrame({"a": [np.arange(3)]})),
    "frame and series": (pd.DataFrame({"a": [1]}), pd.Series([1], name="a")),
    "plain state": (Plain(a=1), Plain(a=2)),
    "plain attributes": (Plain(a=1), Plain(a=1, b=2)),
    "slotted state": (Slotted(1, 2), Slotted(1, 3)),
    "equality that raises": (Raises(1), Raises(2)),
    "set of those": ({RaisesButHashable(1)}, {RaisesButHashable(2)}),
    "arrays in data classes": (Fit(np.arange(3)), Fit(np.arange(4))),
    "exceptions": (ValueError("a"), ValueError("b")),
    "what cannot be pickled": (Unpicklable(), Unpicklable()),
}


@pytest.mark.parametrize(("a", "b"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_values_that_differ_are_not_equal_either_way_round(a, b):
    assert equal(a, b) is False
    assert equal(b, a) is False


def test_the_order_of_dicts_and_sets_does_not_count():
    assert equal({"a": 1, "b": [2]}, {"b": [2], "a": 1})
    assert equal({str(i) for i in range(100)}, {str(i) for i in reversed(range(100))})


def test_bytes_between_the_fields_of_a_structure_do_not_count():
    assert bytes(padded(1).data) != bytes(padded(2).data)
    assert equal(padded(1), padded(2))


def test_a_value_equals_itself_even_if_it_cannot_be_compared():
    odd = Unpicklable()
    assert equal(odd, odd)


@pytest.mark.parametrize(
    "model",
    [
        lambda seed: LogisticRegression(C=1.0 + seed),
        lambda seed: make_pipeline(StandardScaler(), LogisticRegression(C=1.0 + seed)),
        lambda seed: RandomForestClassifier(5, random_state=seed),
        lambda seed: KNeighborsClassifier(3 + seed),
    ],
    ids=["linear", "pipeline", "forest", "neighbours"],
)
def test_models_fitted_alike_are_equal_and_fitted_otherwise_are_not(model):
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = (x[:, 0] > 0).astype(int)
    assert equal(model(0).fit(x, y), pickle.loads(pickle.dumps(model(0).fit(x, y))))
    assert not equal(model(0).fit(x, y), model(1).fit(x, y))
    assert not equal(model(0).fit(x, y), model(0).fit(x + 0.1, 1 - y))


# ------------------------------------------------------------------ speed: a guard against hanging, not a benchmark


@pytest.mark.timeout(20)
def test_large_values_are_compared():
    large = {"array": np.random.default_rng(0).normal(size=2_000_000), "rows": [(i, float(i)) for i in range(50_000)]}
    assert equal(large, copy.deepcopy(large))


@pytest.mark.timeout(20)
def test_what_is_shared_is_compared_once():
    def lattice():
        node = [0]
        for _ in range(50):
            node = [node, node]
        return node

    assert equal(lattice(), lattice())


# ------------------------------------------------------------------ the address


@pytest.mark.parametrize(
    "value",
    [None, 3, "a", {"b": 1, "a": [2]}, np.arange(3), frame(), Plain(a=1), Fit(np.arange(2))],
    ids=lambda value: type(value).__name__,
)
def test_the_hash_is_metaflows_own_address_of_the_value(tmp_path, value):
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins.datastores.local_storage import LocalStorage

    flow_store = FlowDataStore("TrainFlow", None, storage_impl=LocalStorage, ds_root=str(tmp_path))
    task_store = flow_store.get_task_datastore("1", "start", "1", attempt=0, mode="w")
    task_store.init_task()
    task_store.save_artifacts([("value", value)])
    stored = task_store._objects["value"]
    assert hashlib.sha1(serialized(value)[0]).hexdigest() == stored  # noqa: S324
    ((_, blob),) = flow_store.load_data([stored])
    assert hashlib.sha1(blob, usedforsecurity=False).hexdigest() == stored


def test_what_cannot_be_pickled_has_no_hash():
    with pytest.raises(Exception, match="pickle"):
        serialized(lambda: None)
