"""What a matplotlib figure draws, as plain data: it runs in the kernel, when a figure is shown.

Pixels differ from one version of matplotlib to the next more than some real edits do; what is drawn does not. Nothing
here imports matplotlib: it reads the objects that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

__all__ = ["figure_data"]

FULL = 2000  # values of an array that are kept; of a longer one, its blocks are summed up
BLOCKS = 64
DIGITS = 10
MANY = 200  # paths and colours that are kept
PLAIN_LOCATORS = ("AutoLocator", "AutoDateLocator", "LogLocator", "RadialLocator", "ThetaLocator", "NullLocator")
# Classes that were split or renamed between versions, and draw the same.
SAME_KIND = {
    "FillBetweenPolyCollection": "PolyCollection",
    "PolyQuadMesh": "PolyCollection",
    "TriContourSet": "ContourSet",
    "QuadContourSet": "ContourSet",
}

Data = dict[str, Any]


def figure_data(figure: Any) -> Data:
    """Read what a figure draws.

    Args:
        figure: A matplotlib.figure.Figure.

    Returns:
        Data that JSON can hold: the figure's size in inches and titles, and its axes with their lines, rectangles,
        patches, collections, images, texts, legend, limits and ticks, in data coordinates.
    """
    data: Data = {"size": _numbers(figure.get_size_inches())}
    data["title"] = _text_of(getattr(figure, "_suptitle", None))
    data["texts"] = [_text(text) for text in figure.texts if text is not getattr(figure, "_suptitle", None)]
    data["legends"] = [_legend(legend) for legend in figure.legends]
    data["images"] = [_image(image) for image in figure.images]
    data["subfigures"] = [_text_of(getattr(sub, "_suptitle", None)) for sub in getattr(figure, "subfigs", ())]
    data["axes"] = [_axes(axes) for axes in figure.axes if axes.get_visible()]
    return _without_empty(data)


def _axes(axes: Any) -> Data:
    if axes.get_label() == "<colorbar>":  # its inside follows what it explains
        labels = {"colorbar": [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]}
        return labels | {"limits": _numbers([*axes.get_xlim(), *axes.get_ylim()])}
    data: Data = {"kind": "" if axes.name == "rectilinear" else axes.name, "place": _place(axes)}
    data["title"] = " | ".join(filter(None, (axes.get_title(loc=where) for where in ("left", "center", "right"))))
    for name in ("x", "y", "z"):
        if hasattr(axes, f"get_{name}lim"):
            data |= _axis(axes, name)
            if axes.name == "3d" and getattr(axes, f"get_autoscale{name}_on")():
                del data[f"{name}lim"]  # it follows from what is drawn, by margins that versions differ in
    if axes.name == "3d":
        data["view"] = _numbers([axes.elev, axes.azim, getattr(axes, "roll", 0)])
    data["aspect"] = "" if axes.get_aspect() == "auto" or axes.name == "3d" else str(axes.get_aspect())
    data["hidden"] = not axes.axison
    data["background"] = _colours([axes.get_facecolor()]).replace("#ffffffff", "")
    data["lines"] = [_line(line) for line in _shown(axes.lines)]
    data |= _patches(_shown(axes.patches))
    data["collections"] = [_collection(collection) for collection in _shown(axes.collections)]
    data["images"] = [_image(image) for image in _shown(axes.images)]
    data["texts"] = [_text(text) for text in _shown(axes.texts) if text.get_text()]
    data["artists"] = [_text_in(artist) for artist in _shown(axes.artists)]
    data["tables"] = [_table(table) for table in axes.tables]
    data["legend"] = _legend(axes.get_legend())
    data["inside"] = [_axes(child) for child in axes.child_axes if child.get_visible()]
    return _without_empty(data)


def _axis(axes: Any, name: str) -> Data:
    axis = getattr(axes, f"{name}axis")
    scale = getattr(axes, f"get_{name}scale")()
    data: Data = {
        f"{name}label": axis.label.get_text(),
        f"{name}lim": _numbers(getattr(axes, f"get_{name}lim")()),
        f"{name}scale": "" if scale == "linear" else scale,
    }
    locator, formatter = type(axis.get_major_locator()).__name__, type(axis.get_major_formatter()).__name__
    if locator not in PLAIN_LOCATORS:  # ticks that nobody chose follow from the limits, and from matplotlib's version
        data[f"{name}ticks"] = _numbers(axis.get_majorticklocs())
    chosen = locator not in PLAIN_LOCATORS or not formatter.startswith(("Scalar", "Log"))
    if axis.get_visible() and chosen:
        labels = axis.get_majorticklabels()
        data[f"{name}ticklabels"] = [label.get_text() for label in labels]
        data[f"{name}tickrotation"] = _number(labels[0].get_rotation()) if labels else 0
    ticks = axis.get_tick_params() if hasattr(axis, "get_tick_params") and axes.name == "rectilinear" else {}
    data[f"{name}grid"] = bool(ticks.get("gridOn", ticks.get("grid_on", False)))
    return data


def _line(line: Any) -> Data:
    data: Data = {}
    if hasattr(line, "get_data_3d"):
        data |= {name: _array(values) for name, values in zip("xyz", line.get_data_3d(), strict=True)}
    else:
        data |= {"x": _array(line.get_xdata(orig=False)), "y": _array(line.get_ydata(orig=False))}
    marker = line.get_marker()
    drawn = {"style": line.get_linestyle(), "width": _number(line.get_linewidth())}
    data |= {"colour": _colours([line.get_color()]), "alpha": line.get_alpha()} | drawn
    if marker not in ("None", None, "", " "):
        data |= {"marker": str(marker), "markersize": _number(line.get_markersize())}
        data["markercolour"] = _colours([line.get_markerfacecolor()])
    data["steps"] = "" if line.get_drawstyle() == "default" else line.get_drawstyle()
    return _without_empty(data)


def _patches(patches: Sequence[Any]) -> Data:
    """Read patches; bars, of which there are many, as one table."""
    boxes = [_box(patch) for patch in patches]
    data: Data = {"patches": [_patch(patch) for patch, box in zip(patches, boxes, strict=True) if box is None]}
    bars = [(patch, *box) for patch, box in zip(patches, boxes, strict=True) if box is not None]
    if bars:
        data["bars"] = _without_empty(
            {
                "x": _array([x for _, x, _, _, _ in bars]),
                "y": _array([y for _, _, y, _, _ in bars]),
                "width": _array([width for _, _, _, width, _ in bars]),
                "height": _array([height for _, _, _, _, height in bars]),
                "colours": _colours([bar.get_facecolor() for bar, *_ in bars]),
                "edges": _colours([bar.get_edgecolor() for bar, *_ in bars]),
                "hatches": "".join(dict.fromkeys(bar.get_hatch() or "" for bar, *_ in bars)),
            }
        )
    return data


def _box(patch: Any) -> tuple[float, float, float, float] | None:
    """Give x, y, width and height of a rectangle; some versions draw one, as that of axvspan, as a polygon."""
    kind = type(patch).__name__
    if kind == "Rectangle" and not patch.get_angle():
        return patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()
    corners: list[list[float]] = patch.get_xy().tolist() if kind == "Polygon" else []
    if len(corners) != 5:
        return None
    (left, bottom), (right, top) = corners[0], corners[2]
    if corners != [[left, bottom], [left, top], [right, top], [right, bottom], [left, bottom]]:
        return None
    return left, bottom, right - left, top - bottom


def _patch(patch: Any) -> Data:
    kind = type(patch).__name__
    data: Data = {"kind": kind, "colour": _colours([patch.get_facecolor()]), "edge": _colours([patch.get_edgecolor()])}
    if kind in ("FancyArrowPatch", "ConnectionPatch"):  # their paths are in pixels
        ends = (patch.xy1, patch.xy2) if kind == "ConnectionPatch" else getattr(patch, "_posA_posB", None)
        data["ends"] = _array([end for point in ends for end in point]) if ends else None
    elif kind == "FancyBboxPatch":
        data["box"] = _numbers([patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()])
    elif kind == "Wedge":
        data["wedge"] = _numbers([*patch.center, patch.r, patch.theta1, patch.theta2, patch.width or 0])
    elif kind in ("Ellipse", "Circle", "Arc"):
        data["ellipse"] = _numbers([*patch.get_center(), patch.width, patch.height, patch.angle])
    else:
        vertices = patch.get_path().vertices
        affine = kind not in ("Polygon", "PathPatch", "StepPatch")  # those are in data coordinates already
        data["path"] = _array(patch.get_patch_transform().transform(vertices) if affine else vertices)
    data["hatch"] = patch.get_hatch()
    return _without_empty(data)


def _collection(collection: Any) -> Data:
    kind = type(collection).__name__
    data: Data = {"kind": SAME_KIND.get(kind, kind)}
    offsets = collection.get_offsets()
    moved = len(offsets) > 1 or (len(offsets) == 1 and any(float(value) for value in offsets[0]))
    solid = _solid(collection)
    if solid:
        data |= solid
    elif moved:
        data |= {"x": _array([point[0] for point in offsets]), "y": _array([point[1] for point in offsets])}
    if hasattr(collection, "get_coordinates"):  # a QuadMesh
        data["grid"] = _array(collection.get_coordinates())
    elif not solid:
        paths = collection.get_paths()
        data["paths"] = [_array(path.vertices) for path in paths[:MANY]] if paths else None
        data["more"] = max(0, len(paths) - MANY)
    if hasattr(collection, "levels"):
        data["levels"] = _array(collection.levels)
    if hasattr(collection, "U"):  # arrows and barbs
        data |= {"u": _array(collection.U), "v": _array(collection.V)}
        data.pop("paths", None)
    if hasattr(collection, "get_sizes"):
        data["sizes"] = _array(_collapsed(list(collection.get_sizes())))
    values = collection.get_array()
    if values is not None:
        data |= {"values": _array(values), **_mapping(collection)}
    else:
        data |= {"colours": _colours(collection.get_facecolor()), "edges": _colours(collection.get_edgecolor())}
    data["widths"] = _array(_collapsed([float(width) for width in collection.get_linewidth()]))
    data["alpha"] = collection.get_alpha() if not hasattr(collection.get_alpha(), "__len__") else None
    return _without_empty(data)


def _solid(collection: Any) -> Data:
    """Read a collection in three dimensions: matplotlib gives what it projects only under private names."""
    offsets = getattr(collection, "_offsets3d", None)
    if offsets is not None:
        return {name: _array(values) for name, values in zip("xyz", offsets, strict=True)}
    for name in ("_faces", "_vec", "_segments3d"):
        value = getattr(collection, name, None)
        if value is not None and type(collection).__name__.endswith("3DCollection"):
            return {"points": _array(_points(value, transposed=name == "_vec"))}
    return {}


def _points(value: Any, transposed: bool) -> list[float]:
    """Flatten corners to x, y, z after each other; older versions keep them transposed, with a fourth row."""
    import numpy

    if transposed:
        return list(numpy.asarray(value, dtype=float)[:3].T.ravel())
    flat: list[float] = []
    for part in value:
        flat += list(_filled(part)[..., :3].ravel())
    return flat


def _image(image: Any) -> Data:
    array = image.get_array()
    data: Data = {"shape": list(array.shape), "values": _array(array)}
    if len(array.shape) < 3:
        data |= _mapping(image)
    if hasattr(image, "get_extent"):
        data["extent"] = _numbers(image.get_extent())
    data["alpha"] = image.get_alpha() if isinstance(image.get_alpha(), float) else None
    return _without_empty(data)


def _mapping(mapped: Any) -> Data:
    limits = [value for value in mapped.get_clim() if value is not None]
    norm = type(mapped.norm).__name__
    return {"cmap": mapped.get_cmap().name, "clim": _numbers(limits), "norm": "" if norm == "Normalize" else norm}


def _text(text: Any) -> Data:
    data: Data = {"text": text.get_text(), "at": _array(text.get_position())}
    if hasattr(text, "xy"):  # an annotation's arrow
        data["to"] = _array(text.xy)
    return _without_empty(data | {"colour": _colours([text.get_color()]), "size": _number(text.get_fontsize())})


def _text_of(text: Any) -> str:
    return "" if text is None else str(text.get_text())


def _text_in(artist: Any) -> str:
    """Name an artist of a kind that nothing else is known of, with the texts in it."""
    texts = [child.get_text() for child in artist.findobj() if hasattr(child, "get_text")]
    return " ".join([type(artist).__name__, *filter(None, texts)])


def _legend(legend: Any) -> Data | None:
    if legend is None or not legend.get_visible():
        return None
    return {"title": legend.get_title().get_text(), "labels": [text.get_text() for text in legend.get_texts()]}


def _table(table: Any) -> list[list[str]]:
    cells = sorted(table.get_celld().items())
    return [[cell.get_text().get_text() for _, cell in row] for _, row in groupby(cells, key=lambda item: item[0][0])]


def _place(axes: Any) -> str:
    spec = axes.get_subplotspec()
    if spec is None:
        return ""
    rows, columns, first, last = spec.get_topmost_subplotspec().get_geometry()  # a colorbar divides its own
    return (
        ""
        if rows * columns == 1
        else f"{first + 1}-{last + 1} of {rows}x{columns}".replace(f"{first + 1}-{first + 1} ", f"{first + 1} ")
    )


def _shown(artists: Iterable[Any]) -> list[Any]:
    return [artist for artist in artists if artist.get_visible()]


def _without_empty(data: Data) -> Data:
    return {
        name: value
        for name, value in data.items()
        if value is not None and value is not False and value not in ("", [], {})
    }


# ---------------------------------------------------------------------------- values


def _colours(colours: Any) -> Any:
    """Write colours as #rrggbbaa: one where all are the same."""
    from matplotlib.colors import to_hex, to_rgba_array

    try:
        words = [to_hex(colour, keep_alpha=True) for colour in to_rgba_array(colours)]
    except (TypeError, ValueError):
        words = [str(colour) for colour in colours]
    words = _collapsed(words)
    return words[0] if len(words) == 1 else "" if not words else words[:MANY]


def _collapsed(values: list[Any]) -> list[Any]:
    return values[:1] if values and all(value == values[0] for value in values) else values


def _number(value: Any) -> Any:
    """Round a number to what JSON and a reader can do with."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    if math.isnan(number):
        return None
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    number = float(f"{number:.{DIGITS}g}")
    return int(number) if number.is_integer() and abs(number) < 10**DIGITS else number


def _numbers(values: Any) -> list[Any]:
    return [_number(value) for value in values]


def _array(values: Any) -> Any:
    """Give an array's values in full, as even steps, or block by block where there are many."""
    import numpy

    array = numpy.asarray(values)
    if array.dtype.kind in "OUSmM":
        words = [str(value) for value in array.ravel()]
        return words if len(words) <= FULL else {"count": len(words), "first": words[:MANY]}
    flat = _filled(values).ravel()
    if flat.size >= BLOCKS / 4 and numpy.isfinite(flat).all() and flat[0] != flat[-1]:
        even = numpy.linspace(flat[0], flat[-1], flat.size)
        if numpy.allclose(flat, even, rtol=0, atol=1e-9 * float(numpy.ptp(flat))):
            return {"from": _number(flat[0]), "to": _number(flat[-1]), "count": int(flat.size)}
    if flat.size <= FULL:
        return _numbers(flat)
    return {"count": int(flat.size), **_blocks(flat)}


def _filled(values: Any) -> Any:
    """Give an array of floats, nan where it is masked."""
    import numpy

    array = numpy.array(values, dtype=float)
    mask = getattr(values, "mask", False)
    array[numpy.broadcast_to(mask, array.shape)] = math.nan
    return array


def _blocks(flat: Any) -> Data:
    """Sum a long array up, block by block: the mean, the extremes, and a slope that knows the order of the values."""
    import numpy

    sums: Data = {"mean": [], "min": [], "max": [], "slope": [], "missing": int((~numpy.isfinite(flat)).sum())}
    for block in numpy.array_split(flat, BLOCKS):
        block = numpy.where(numpy.isfinite(block), block, 0.0)
        weights = numpy.linspace(-1, 1, block.size)
        of_block = (block.mean(), block.min(), block.max(), (block * weights).mean())
        for name, value in zip(("mean", "min", "max", "slope"), of_block, strict=True):
            sums[name].append(_number(value))
    return sums
