"""What a matplotlib figure draws, as plain data: it runs in the kernel, when a figure is shown.

Pixels differ from one version of matplotlib to the next more than some real edits do; what is drawn does not. Nothing
here imports matplotlib: it reads the objects that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from kit.regression.outputs.values import MANY, Data, array, collapsed, colours, filled, number, numbers, without_empty

__all__ = ["figure_data"]

PLAIN_INTERPOLATION = ("antialiased", "auto", "nearest", None)  # the default under its names, and what it mostly is
ORDER = {"line": (2,), "patch": (1,), "collection": (1, 2)}  # zorder where nobody chose it
SIZES = {"title": 12.0, "label": 10.0}  # of fonts
PLAIN_LOCATORS = ("AutoLocator", "AutoDateLocator", "LogLocator", "RadialLocator", "ThetaLocator", "NullLocator")
# Classes that were split or renamed between versions, and draw the same.
SAME_KIND = {
    "FillBetweenPolyCollection": "PolyCollection",
    "PolyQuadMesh": "PolyCollection",
    "TriContourSet": "ContourSet",
    "QuadContourSet": "ContourSet",
}


def figure_data(figure: Any) -> Data:
    """Read what a figure draws.

    Args:
        figure: A matplotlib.figure.Figure.

    Returns:
        Data that JSON can hold: the figure's size in inches and titles, and its axes with their lines, rectangles,
        patches, collections, images, texts, legend, limits and ticks, in data coordinates.
    """
    data: Data = {"size": numbers(figure.get_size_inches())}
    data["title"] = _text_of(getattr(figure, "_suptitle", None))
    data["background"] = _background(figure)
    data["texts"] = [_text(text) for text in figure.texts if text is not getattr(figure, "_suptitle", None)]
    data["legends"] = [_legend(legend) for legend in figure.legends]
    data["images"] = [_image(image) for image in figure.images]
    data["subfigures"] = [_text_of(getattr(sub, "_suptitle", None)) for sub in getattr(figure, "subfigs", ())]
    data["axes"] = [_read(_axes, axes) for axes in figure.axes if axes.get_visible()]
    return without_empty(data)


def _read(read: Callable[[Any], Data], artist: Any) -> Data:
    """Read an artist; of one that a library made in a way of its own, its kind alone, and the figure stays readable."""
    try:
        return read(artist)
    except Exception:  # whatever it is: the others are compared all the same
        return {"kind": type(artist).__name__, "unread": True}


def _axes(axes: Any) -> Data:
    if axes.get_label() == "<colorbar>":  # its inside follows what it explains
        labels = {"colorbar": [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]}
        return labels | {"limits": numbers([*axes.get_xlim(), *axes.get_ylim()])}
    data: Data = {"kind": "" if axes.name == "rectilinear" else axes.name, "place": _place(axes)}
    data["title"] = _titles(axes)
    if hasattr(axes, "title") and data["title"]:
        data["titlesize"] = _unless(axes.title.get_fontsize(), SIZES["title"])
    for name in ("x", "y", "z"):
        if hasattr(axes, f"get_{name}lim"):
            data |= _axis(axes, name)
            if axes.name == "3d" and getattr(axes, f"get_autoscale{name}_on")():
                del data[f"{name}lim"]  # it follows from what is drawn, by margins that versions differ in
    if axes.name == "3d":
        data["view"] = numbers([axes.elev, axes.azim, getattr(axes, "roll", 0)])
    data["aspect"] = "" if axes.get_aspect() == "auto" or axes.name == "3d" else str(axes.get_aspect())
    data["hidden"] = not axes.axison
    if axes.name == "rectilinear":
        data["frameless"] = sorted(name for name, spine in axes.spines.items() if not spine.get_visible())
    data["background"] = _background(axes)
    data["lines"] = [_read(_line, line) for line in _shown(axes.lines)]
    data |= _patches(_shown(axes.patches))
    data["collections"] = [_read(_collection, collection) for collection in _shown(axes.collections)]
    data["images"] = [_read(_image, image) for image in _shown(axes.images)]
    data["texts"] = [_text(text) for text in _shown(axes.texts) if text.get_text()]
    data["artists"] = [_text_in(artist) for artist in _shown(axes.artists)]
    data["tables"] = [_table(table) for table in axes.tables]
    data["legend"] = _legend(axes.get_legend())
    data["inside"] = [_read(_axes, child) for child in axes.child_axes if child.get_visible()]
    return without_empty(data)


def _background(shown: Any) -> str:
    """Give the colour of the background; "" for white, and for none."""
    colour = str(colours([shown.get_facecolor()]))
    return "" if colour in ("#ffffffff", "#ffffff00") else colour


def _titles(axes: Any) -> str:
    if not hasattr(axes, "get_title"):  # a secondary axis
        return ""
    return " | ".join(filter(None, (axes.get_title(loc=where) for where in ("left", "center", "right"))))


def _unless(value: Any, usual: float) -> Any:
    """Give a number where it is not the usual one."""
    return None if value == usual else number(value)


def _axis(axes: Any, name: str) -> Data:
    axis = getattr(axes, f"{name}axis")
    scale = getattr(axes, f"get_{name}scale")()
    data: Data = {
        f"{name}label": axis.label.get_text(),
        f"{name}lim": numbers(getattr(axes, f"get_{name}lim")()),
        f"{name}scale": "" if scale == "linear" else scale,
    }
    locator, formatter = type(axis.get_major_locator()).__name__, type(axis.get_major_formatter()).__name__
    if locator not in PLAIN_LOCATORS:  # ticks that nobody chose follow from the limits, and from matplotlib's version
        data[f"{name}ticks"] = numbers(axis.get_majorticklocs())
    chosen = locator not in PLAIN_LOCATORS or not formatter.startswith(("Scalar", "Log"))
    if axis.get_visible() and chosen:
        labels = axis.get_majorticklabels()
        data[f"{name}ticklabels"] = [label.get_text() for label in labels]
    if axis.get_visible() and axes.name == "rectilinear":
        rotations = [number(label.get_rotation()) for label in axis.get_majorticklabels()[:1]]
        data[f"{name}tickrotation"] = next((each for each in rotations if each or chosen), None)
        minor = type(axis.get_minor_locator()).__name__
        data[f"{name}minorticks"] = "" if minor in ("NullLocator", *PLAIN_LOCATORS) else minor
    base = getattr(axis.get_transform(), "base", None) if scale == "log" else None
    data[f"{name}base"] = _unless(base, 10) if base else None
    data[f"{name}labelsize"] = _unless(axis.label.get_fontsize(), SIZES["label"]) if data[f"{name}label"] else None
    ticks = axis.get_tick_params() if hasattr(axis, "get_tick_params") and axes.name == "rectilinear" else {}
    data[f"{name}grid"] = bool(ticks.get("gridOn", ticks.get("grid_on", False)))
    return data


def _line(line: Any) -> Data:
    data: Data = {}
    if hasattr(line, "get_data_3d"):
        data |= {name: array(values) for name, values in zip("xyz", line.get_data_3d(), strict=True)}
    else:
        data |= {"x": array(line.get_xdata(orig=False)), "y": array(line.get_ydata(orig=False))}
    marker = line.get_marker()
    drawn = {"style": line.get_linestyle(), "width": number(line.get_linewidth())}
    data |= {"colour": colours([line.get_color()]), "alpha": line.get_alpha()} | drawn
    if marker not in ("None", None, "", " "):
        data |= {"marker": str(marker), "markersize": number(line.get_markersize())}
        data["markercolour"] = colours([line.get_markerfacecolor()])
    every = line.get_markevery()
    data["markevery"] = str(every) if every not in (None, 1) else ""
    data["zorder"] = _order(line, "line")
    data["steps"] = "" if line.get_drawstyle() == "default" else line.get_drawstyle()
    return without_empty(data)


def _patches(patches: Sequence[Any]) -> Data:
    """Read patches; bars, of which there are many, as one table."""
    boxes = [_box(patch) for patch in patches]
    data: Data = {"patches": [_read(_patch, patch) for patch, box in zip(patches, boxes, strict=True) if box is None]}
    bars = [(patch, *box) for patch, box in zip(patches, boxes, strict=True) if box is not None]
    if bars:
        data["bars"] = without_empty(
            {
                "x": array([x for _, x, _, _, _ in bars]),
                "y": array([y for _, _, y, _, _ in bars]),
                "width": array([width for _, _, _, width, _ in bars]),
                "height": array([height for _, _, _, _, height in bars]),
                "colours": colours([bar.get_facecolor() for bar, *_ in bars]),
                "edges": colours([bar.get_edgecolor() for bar, *_ in bars]),
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
    data: Data = {"kind": kind, "colour": colours([patch.get_facecolor()]), "edge": colours([patch.get_edgecolor()])}
    if kind in ("FancyArrowPatch", "ConnectionPatch"):  # their paths are in pixels
        ends = (patch.xy1, patch.xy2) if kind == "ConnectionPatch" else getattr(patch, "_posA_posB", None)
        data["ends"] = array([end for point in ends for end in point]) if ends else None
    elif kind == "FancyBboxPatch":
        data["box"] = numbers([patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()])
    elif kind == "Wedge":
        data["wedge"] = numbers([*patch.center, patch.r, patch.theta1, patch.theta2, patch.width or 0])
    elif kind in ("Ellipse", "Circle", "Arc"):
        data["ellipse"] = numbers([*patch.get_center(), patch.width, patch.height, patch.angle])
    else:
        vertices = patch.get_path().vertices
        affine = kind not in ("Polygon", "PathPatch", "StepPatch")  # those are in data coordinates already
        data["path"] = array(patch.get_patch_transform().transform(vertices) if affine else vertices)
    data["hatch"] = patch.get_hatch()
    data["zorder"] = _order(patch, "patch")
    return without_empty(data)


def _collection(collection: Any) -> Data:
    kind = type(collection).__name__
    data: Data = {"kind": SAME_KIND.get(kind, kind)}
    offsets = collection.get_offsets()
    moved = len(offsets) > 1 or (len(offsets) == 1 and any(float(value) for value in offsets[0]))
    solid = _solid(collection)
    if solid:
        data |= solid
    elif moved:
        data |= {"x": array([point[0] for point in offsets]), "y": array([point[1] for point in offsets])}
    if hasattr(collection, "get_coordinates"):  # a QuadMesh
        data["grid"] = array(collection.get_coordinates())
    elif not solid:
        paths = collection.get_paths()
        data["paths"] = [array(path.vertices) for path in paths[:MANY]] if paths else None
        data["more"] = max(0, len(paths) - MANY)
    if hasattr(collection, "levels"):
        data["levels"] = array(collection.levels)
    if hasattr(collection, "U"):  # arrows and barbs
        data |= {"u": array(collection.U), "v": array(collection.V)}
        data.pop("paths", None)
    if hasattr(collection, "get_sizes"):
        data["sizes"] = array(collapsed(list(collection.get_sizes())))
    values = collection.get_array()
    if values is not None:
        data |= {"values": array(values), **_mapping(collection)}
    else:
        data |= {"colours": colours(collection.get_facecolor()), "edges": colours(collection.get_edgecolor())}
    data["widths"] = array(collapsed([float(width) for width in _several(collection.get_linewidth())]))
    data["zorder"] = _order(collection, "collection")
    data["alpha"] = collection.get_alpha() if not hasattr(collection.get_alpha(), "__len__") else None
    return without_empty(data)


def _several(value: Any) -> Any:
    return value if hasattr(value, "__len__") else [value]


def _order(artist: Any, kind: str) -> Any:
    """Give the place in the order of drawing where somebody chose it."""
    order = artist.get_zorder()
    return None if order in ORDER[kind] else number(order)


def _solid(collection: Any) -> Data:
    """Read a collection in three dimensions: matplotlib gives what it projects only under private names."""
    offsets = getattr(collection, "_offsets3d", None)
    if offsets is not None:
        return {name: array(values) for name, values in zip("xyz", offsets, strict=True)}
    for name in ("_faces", "_vec", "_segments3d"):
        value = getattr(collection, name, None)
        if value is not None and type(collection).__name__.endswith("3DCollection"):
            return {"points": array(_points(value, transposed=name == "_vec"))}
    return {}


def _points(value: Any, transposed: bool) -> list[float]:
    """Flatten corners to x, y, z after each other; older versions keep them transposed, with a fourth row."""
    import numpy

    if transposed:
        return list(numpy.asarray(value, dtype=float)[:3].T.ravel())
    flat: list[float] = []
    for part in value:
        flat += list(filled(part)[..., :3].ravel())
    return flat


def _image(image: Any) -> Data:
    pixels = image.get_array()
    data: Data = {"shape": list(pixels.shape), "values": array(pixels)}
    if len(pixels.shape) < 3:
        data |= _mapping(image)
    smoothing = image.get_interpolation() if hasattr(image, "get_interpolation") else ""
    data["interpolation"] = "" if smoothing in PLAIN_INTERPOLATION else smoothing
    if hasattr(image, "get_extent"):
        data["extent"] = numbers(image.get_extent())
    data["alpha"] = image.get_alpha() if isinstance(image.get_alpha(), float) else None
    return without_empty(data)


def _mapping(mapped: Any) -> Data:
    import numpy

    limits = list(mapped.get_clim())
    values = filled(mapped.get_array())
    if None in limits and numpy.isfinite(values).any():  # it is set when the figure is drawn, which it may not be yet
        found = (float(numpy.nanmin(values)), float(numpy.nanmax(values)))
        limits = [its if limit is None else limit for limit, its in zip(limits, found, strict=True)]
    norm = type(mapped.norm).__name__
    data: Data = {"cmap": mapped.get_cmap().name, "clim": numbers([limit for limit in limits if limit is not None])}
    data["norm"] = "" if norm == "Normalize" else norm
    data["bounds"] = array(mapped.norm.boundaries) if hasattr(mapped.norm, "boundaries") else None
    return data


def _text(text: Any) -> Data:
    data: Data = {"text": text.get_text(), "at": array(text.get_position())}
    if hasattr(text, "xy"):  # an annotation's arrow
        data["to"] = array(text.xy)
    return without_empty(data | {"colour": colours([text.get_color()]), "size": number(text.get_fontsize())})


def _text_of(text: Any) -> str:
    return "" if text is None else str(text.get_text())


def _text_in(artist: Any) -> str:
    """Name an artist of a kind that nothing else is known of, with the texts in it."""
    texts = [child.get_text() for child in artist.findobj() if hasattr(child, "get_text")]
    return " ".join([type(artist).__name__, *filter(None, texts)])


def _legend(legend: Any) -> Data | None:
    if legend is None or not legend.get_visible():
        return None
    labels = [text.get_text() for text in legend.get_texts()]
    place = getattr(legend, "_loc", getattr(legend, "_loc_real", 0))  # a number or a point; 0 is the best place
    where = numbers(place) if hasattr(place, "__len__") else place
    return without_empty({"title": legend.get_title().get_text(), "place": where or None}) | {"labels": labels}


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
