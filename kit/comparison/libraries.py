"""Which comparison is for which of the libraries' own types: nothing is imported to ask what a value is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from kit.comparison.cells import array_difference, compare_cells, sparse_difference
from kit.comparison.found import Found
from kit.comparison.frames import frame_difference, index_difference, series_difference
from kit.comparison.plain import moment_difference

__all__ = ["comparison_for"]

Comparison = Callable[[Any, Any, float], "Found | None"]


def comparison_for(cls: type) -> Comparison | None:
    """Give what compares two values of a library's type, or of one that comes from it; None for any other type."""
    for base in cls.__mro__:
        comparison = BY_NAME.get((base.__module__.split(".")[0], base.__name__))
        if comparison is not None:
            return comparison
    if hasattr(cls, "tocsr"):
        return sparse_difference
    return _arrays if hasattr(cls, "__array__") and "numpy" in sys.modules else None


def _arrays(old: Any, new: Any, until: float) -> Found | None:
    """Compare tensors and the like as the arrays that they turn into; None where these are no help."""
    import numpy as np

    x, y = (np.asarray(value.detach().cpu() if hasattr(value, "detach") else value) for value in (old, new))
    if x.dtype == object or (x.shape == y.shape and not compare_cells(x, y, until).differing):
        return None
    return array_difference(x, y, until)


def _figures(old: Any, new: Any, until: float) -> Found:
    sizes = [f"{w:g} x {h:g} in" for w, h in (figure.get_size_inches() for figure in (old, new))]
    return _drawn("Figure", *zip(sizes, (f"{len(figure.axes)} axes" for figure in (old, new)), strict=True))


def _images(old: Any, new: Any, until: float) -> Found:
    return _drawn("Image", *([f"{image.width} x {image.height} pixels", image.mode] for image in (old, new)))


def _drawn(name: str, old: Sequence[str], new: Sequence[str]) -> Found:
    words = ", ".join(a if a == b else f"{a} → {b}" for a, b in zip(old, new, strict=True))
    return Found("object", f"{name}, {words}" + ("" if old != new else ": what is drawn differs"))


def _extension_arrays(old: Any, new: Any, until: float) -> Found:
    import pandas  # type: ignore[import-untyped]

    return series_difference(pandas.Series(old), pandas.Series(new), until)


BY_NAME: dict[tuple[str, str], Comparison] = {
    ("numpy", "ndarray"): array_difference,
    ("numpy", "datetime64"): lambda old, new, _: moment_difference(old, new),
    ("numpy", "timedelta64"): lambda old, new, _: moment_difference(old, new),
    ("pandas", "DataFrame"): frame_difference,
    ("pandas", "Series"): series_difference,
    ("pandas", "Index"): index_difference,
    ("pandas", "ExtensionArray"): _extension_arrays,
    ("matplotlib", "Figure"): _figures,
    ("PIL", "Image"): _images,
}
