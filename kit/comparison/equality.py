"""Whether two artifacts are equal: by the hash of their pickles, else by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from typing import Any

from kit import internals

__all__ = ["equal", "serialized"]

MAX_DEPTH = 60
STACK_IN_MESSAGE = "\nStack when the timeout was raised:"  # of @timeout (metaflow.plugins.timeout_decorator)
PANDAS_PARTS = ("index", "columns", "name", "names", "dtype", "dtypes")  # of these, `equals` sees the values alone


def serialized(value: Any) -> tuple[bytes, dict[str, Any]]:
    """Serialize a value as Metaflow's datastore does.

    Returns:
        The bytes, whose SHA-1 is the artifact's address, and what the datastore records beside them.

    Raises:
        Exception: What the serializer raises for a value that cannot be pickled.
    """
    for serializer in internals.SerializerStore.get_ordered_serializers():
        if serializer.can_serialize(value):
            blobs, metadata = serializer.serialize(value, format=internals.SerializationFormat.STORAGE)
            info = {
                "size": metadata.size,
                "type": metadata.obj_type,
                "encoding": metadata.encoding,
                "serializer_info": metadata.serializer_info,
            }
            return blobs[0].value, info
    raise TypeError(f"no serializer takes a {type(value).__name__}")


def equal(a: Any, b: Any) -> bool:
    """Say whether two values are equal, where NaN equals NaN and containers are compared item by item.

    Arrays are compared by shape, dtype, mask and content, frames and series with their indices, names and dtypes; an
    object whose class does not define equality, by its state. What cannot be compared is not equal.
    """
    try:
        return _equal(a, b, 0, {})
    except Exception:  # the values' own code runs, and may raise what it likes
        return False


# Pairs that are being compared, or have been: a pair that differs ends the whole comparison, so they count as equal.
# By their ids, which stay theirs as long as they are kept here.
_Seen = dict[tuple[int, int], tuple[Any, Any]]


def _equal(a: Any, b: Any, depth: int, seen: _Seen) -> bool:
    if a is b:
        return True
    if type(a) is not type(b) or depth > MAX_DEPTH:
        return False
    if isinstance(a, float):
        return bool(a == b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return _equal(a.real, b.real, depth, seen) and _equal(a.imag, b.imag, depth, seen)
    if isinstance(a, (str, bytes, int, type)):
        return bool(a == b)
    if (id(a), id(b)) in seen:
        return True
    seen[id(a), id(b)] = a, b
    module = type(a).__module__.split(".")[0]
    if module == "numpy":
        return _equal_numpy(a, b, depth, seen)
    if module == "pandas" and hasattr(a, "equals"):
        return _equal_pandas(a, b, depth, seen)
    if type(a) is dict:
        return a.keys() == b.keys() and all(_equal(a[key], b[key], depth + 1, seen) for key in a)
    if isinstance(a, Set):
        # NaN, which no set finds again, is what is not equal to itself.
        return len(a) == len(b) and bool({x for x in a if x == x} == {x for x in b if x == x})
    if type(a) in (list, tuple):
        return len(a) == len(b) and all(_equal(x, y, depth + 1, seen) for x, y in zip(a, b, strict=True))
    return _equal_objects(a, b, depth, seen)


def _equal_numpy(a: Any, b: Any, depth: int, seen: _Seen) -> bool:
    import numpy

    np: Any = numpy  # its types do not know masks and records well enough
    if not isinstance(a, (np.ndarray, np.generic)):
        return _equal_objects(a, b, depth, seen)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.names is not None:  # field by field: what lies between them means nothing
        return all(_equal(a[name], b[name], depth + 1, seen) for name in a.dtype.names)
    if isinstance(a, np.ma.MaskedArray):
        masks = bool(np.array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b)))
        return masks and _equal(np.asarray(a.compressed()), np.asarray(b.compressed()), depth + 1, seen)
    if a.dtype == object:
        return _equal(a.ravel().tolist(), b.ravel().tolist(), depth + 1, seen)
    if a.dtype.kind not in "fcmM":
        return bool(np.array_equal(a, b))
    differs = np.asarray(a != b)  # numpy's own `equal_nan` copies both arrays
    if differs.any():
        differs &= np.asarray((a == a) | (b == b))
    return not differs.any()


def _equal_pandas(a: Any, b: Any, depth: int, seen: _Seen) -> bool:
    for part in PANDAS_PARTS:
        if not _equal(getattr(a, part, None), getattr(b, part, None), depth + 1, seen):
            return False
    if _agree(a.equals, b):
        return True
    if a.ndim == 2:
        return all(_equal(a.iloc[:, i], b.iloc[:, i], depth + 1, seen) for i in range(a.shape[1]))
    return a.dtype == object and _equal(list(a), list(b), depth + 1, seen)


def _equal_exceptions(a: Any, b: Any, depth: int, seen: _Seen) -> bool:
    """Compare by type and message: a traceback names the frames of whatever ran the step."""
    if isinstance(a, internals.MetaflowExceptionWrapper):
        return bool(a.type == b.type and _message(a.exception) == _message(b.exception))
    if str(a) != str(b) and _message(str(a)) == _message(str(b)):
        return True
    return _equal(list(a.args), list(b.args), depth + 1, seen) and _equal(vars(a), vars(b), depth + 1, seen)


def _message(text: str) -> str:
    return text.partition(STACK_IN_MESSAGE)[0]


def _equal_objects(a: Any, b: Any, depth: int, seen: _Seen) -> bool:
    if isinstance(a, BaseException):
        return _equal_exceptions(a, b, depth, seen)
    if _defines_equality(type(a)) and _agree(a.__eq__, b):
        return True
    try:
        ours, theirs = a.__reduce_ex__(4), b.__reduce_ex__(4)
    except Exception:  # an object that cannot be pickled has no state to compare
        return False
    if isinstance(ours, str) or isinstance(theirs, str):
        return bool(ours == theirs)
    return _equal(_parts(ours), _parts(theirs), depth + 1, seen)


def _defines_equality(cls: type[Any]) -> bool:
    """Whether a class says itself when two of its objects are equal: what it inherits from dict or list does not."""
    return any("__eq__" in vars(base) for base in cls.__mro__ if base.__module__ not in ("builtins", "collections"))


def _agree(compare: Callable[[Any], Any], other: Any) -> bool:
    """Whether an object's own comparison calls another one equal; with arrays inside it may raise instead."""
    try:
        answer = compare(other)
        return answer is not NotImplemented and bool(answer)
    except Exception:
        return False


def _parts(reduced: tuple[Any, ...]) -> list[Any]:
    """Make the parts of a reduction comparable: its items, which are iterators, become a list and a dict."""
    made, arguments, state, items, pairs, *rest = (*reduced, None, None, None)[: max(5, len(reduced))]
    return [made, arguments, state, list(items or ()), dict(pairs or ()), *rest]
