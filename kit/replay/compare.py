"""Whether two artifacts are equal: by the hash of their pickles, else by value."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from kit import internals

__all__ = ["equal", "sha"]

MAX_DEPTH = 60


def sha(value: Any) -> str:
    """Hash a value as Metaflow's datastore addresses it: the SHA-1 of what its serializer writes.

    Raises:
        Exception: What the serializer raises for a value that cannot be pickled.
    """
    for serializer in internals.SerializerStore.get_ordered_serializers():
        if serializer.can_serialize(value):
            blobs, _ = serializer.serialize(value, format=internals.SerializationFormat.STORAGE)
            return hashlib.sha1(blobs[0].value, usedforsecurity=False).hexdigest()
    raise TypeError(f"no serializer takes a {type(value).__name__}")


def equal(a: Any, b: Any) -> bool:
    """Say whether two values are equal, where NaN equals NaN and containers are compared item by item.

    Arrays are compared by shape, dtype and content, frames and series with their index and dtypes; an object whose
    class does not define equality, by its state.
    """
    return _equal(a, b, 0, set())


def _equal(a: Any, b: Any, depth: int, seen: set[tuple[int, int]]) -> bool:
    if a is b:
        return True
    if type(a) is not type(b) or depth > MAX_DEPTH:
        return False
    pair = (id(a), id(b))
    if pair in seen:  # a cycle: these two are being compared further up
        return True
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, (str, bytes, int, complex, type(None), type)):
        return bool(a == b)
    module = type(a).__module__.split(".")[0]
    seen = seen | {pair}
    if module == "numpy":
        return _equal_numpy(a, b, depth, seen)
    if module == "pandas" and hasattr(a, "equals"):
        return _equal_pandas(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[key], b[key], depth + 1, seen) for key in a)
    if isinstance(a, Set):
        return bool(a == b)
    if isinstance(a, (list, tuple)) and isinstance(b, Sequence):
        return len(a) == len(b) and all(_equal(x, y, depth + 1, seen) for x, y in zip(a, b, strict=True))
    return _equal_objects(a, b, depth, seen)


def _equal_numpy(a: Any, b: Any, depth: int, seen: set[tuple[int, int]]) -> bool:
    import numpy as np

    if not isinstance(a, (np.ndarray, np.generic)):
        return _equal_objects(a, b, depth, seen)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype == object:
        return _equal(a.ravel().tolist(), b.ravel().tolist(), depth + 1, seen)
    if a.dtype.names:
        return bool(np.asarray(a).tobytes() == np.asarray(b).tobytes())
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fcmM"))


def _equal_pandas(a: Any, b: Any) -> bool:
    same_dtypes = str(getattr(a, "dtypes", "")) == str(getattr(b, "dtypes", ""))
    same_names = getattr(a, "name", None) == getattr(b, "name", None)
    return bool(a.equals(b)) and same_dtypes and same_names


def _equal_objects(a: Any, b: Any, depth: int, seen: set[tuple[int, int]]) -> bool:
    if "__eq__" in {name for cls in type(a).__mro__[:-1] for name in vars(cls)}:
        try:
            if bool(a == b):
                return True
        except Exception:  # noqa: S110  # arrays inside: their truth is ambiguous, their state is not
            pass
    try:
        ours, theirs = a.__reduce_ex__(4), b.__reduce_ex__(4)
    except Exception:  # an object that cannot be pickled has no state to compare
        return False
    if isinstance(ours, str) or isinstance(theirs, str):
        return bool(ours == theirs)
    return _equal(_listed(ours), _listed(theirs), depth + 1, seen)


def _listed(reduced: tuple[Any, ...]) -> list[Any]:
    """Make the parts of a reduction comparable: its iterators become lists."""
    return [list(part) if hasattr(part, "__next__") else part for part in reduced]
