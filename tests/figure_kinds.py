"""Figures of many kinds, each as it is and after a small real edit: run it to write what they draw, as JSON.

Under another version of matplotlib: `python tests/figure_kinds.py > figures.json`, kit's checkout on PYTHONPATH.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np

X = np.linspace(0, 6, 500)


def values(size: Any = 60) -> Any:
    return np.random.default_rng(7).normal(size=size)


def line(ax: Any, edit: bool) -> None:
    y = np.sin(X)
    y[250] += 0.01 * edit
    ax.plot(X, y, label="sine")


def line_style(ax: Any, edit: bool) -> None:
    ax.plot(X, np.cos(X), ls="--" if edit else "-", marker="o")


def line_colour(ax: Any, edit: bool) -> None:
    ax.plot(X, X**2, color="tab:red" if edit else "tab:blue")


def many_points(ax: Any, edit: bool) -> None:
    y = values(20_000).cumsum()
    y[777] += 5.0 * edit
    ax.plot(y)


def log_line(ax: Any, edit: bool) -> None:
    ax.plot(X + 1, np.exp(X))
    ax.set_yscale("linear" if edit else "log")


def bars(ax: Any, edit: bool) -> None:
    ax.bar(["a", "b", "c"], [3, 5, 2.02 if edit else 2])


def bar_names(ax: Any, edit: bool) -> None:
    ax.barh(["a", "b", "d" if edit else "c"], [3, 5, 2])


def histogram(ax: Any, edit: bool) -> None:
    ax.hist(values(1000), bins=31 if edit else 30)


def step_histogram(ax: Any, edit: bool) -> None:
    ax.hist(values(1000) + 0.3 * edit, bins=20, histtype="step")


def scatter(ax: Any, edit: bool) -> None:
    y = values()
    y[3] += 0.05 * edit
    ax.scatter(values() * 2, y, c=values(), s=20, cmap="viridis")


def scatter_sizes(ax: Any, edit: bool) -> None:
    ax.scatter(values(), values(), s=np.abs(values()) * (42 if edit else 40))


def heatmap(ax: Any, edit: bool) -> None:
    data = values((20, 20))
    data[3, 4] += 0.1 * edit
    shown = ax.imshow(data, cmap="magma")
    ax.figure.colorbar(shown, label="value")


def big_image(ax: Any, edit: bool) -> None:
    data = np.outer(np.sin(np.linspace(0, 3, 300)), np.cos(np.linspace(0, 5, 400)))
    data[100:110, 200:210] += 0.2 * edit
    ax.imshow(data)


def colour_map(ax: Any, edit: bool) -> None:
    ax.imshow(values((9, 9)), cmap="plasma" if edit else "viridis")


def rgb_image(ax: Any, edit: bool) -> None:
    data = np.zeros((30, 30, 3))
    data[5:9, 5:9] = (1, 0.5 if edit else 0.45, 0)
    ax.imshow(data)


def mesh(ax: Any, edit: bool) -> None:
    ax.pcolormesh(np.arange(8), np.arange(6), np.abs(values((5, 7))), vmax=2.1 if edit else 2)


def contour(ax: Any, edit: bool) -> None:
    x, y = np.meshgrid(np.linspace(-2, 2, 40), np.linspace(-2, 2, 40))
    ax.contour(x, y, np.exp(-(x**2) - y**2), levels=[0.2, 0.5, 0.82 if edit else 0.8])


def filled_contour(ax: Any, edit: bool) -> None:
    x, y = np.meshgrid(np.linspace(-2, 2, 40), np.linspace(-2, 2, 40))
    ax.contourf(x, y, x * y + 0.05 * edit, levels=6)


def polygon(ax: Any, edit: bool) -> None:
    ax.fill([0, 1, 1.02 if edit else 1, 0], [0, 0, 1, 1], color="grey")


def band(ax: Any, edit: bool) -> None:
    ax.fill_between(X, np.sin(X) - 0.1, np.sin(X) + (0.12 if edit else 0.1), alpha=0.3)


def error_bars(ax: Any, edit: bool) -> None:
    ax.errorbar([1, 2, 3], [4, 5, 6], yerr=[0.1, 0.25 if edit else 0.2, 0.3], capsize=3)


def box_plot(ax: Any, edit: bool) -> None:
    ax.boxplot([values(), values() * (2.1 if edit else 2)])


def violin(ax: Any, edit: bool) -> None:
    ax.violinplot([values(), values() + 0.1 * edit])


def pie(ax: Any, edit: bool) -> None:
    ax.pie([3, 4.1 if edit else 4, 5], labels=["a", "b", "c"])


def stems(ax: Any, edit: bool) -> None:
    ax.stem([1, 2, 3], [1, 2.1 if edit else 2, 3])


def stairs(ax: Any, edit: bool) -> None:
    ax.stairs([1, 2, 3.1 if edit else 3], [0, 1, 2, 3])


def stack(ax: Any, edit: bool) -> None:
    ax.stackplot([1, 2, 3], [1, 2, 3], [2, 2.1 if edit else 2, 2])


def hexagons(ax: Any, edit: bool) -> None:
    ax.hexbin(values(400), values(400)[::-1], gridsize=11 if edit else 10)


def arrows(ax: Any, edit: bool) -> None:
    ax.quiver([0, 1], [0, 1], [1, 1], [0, 0.1 if edit else 0])


def annotation(ax: Any, edit: bool) -> None:
    ax.annotate("peak", xy=(0.5, 0.5), xytext=(0.8, 0.81 if edit else 0.8), arrowprops={"arrowstyle": "->"})


def text(ax: Any, edit: bool) -> None:
    ax.text(0.5, 0.5, "R² = 0.92" if edit else "R² = 0.91")


def title(ax: Any, edit: bool) -> None:
    ax.set_title("Loss of the model" if edit else "Loss")


def label(ax: Any, edit: bool) -> None:
    ax.set_xlabel("time [min]" if edit else "time [s]")


def legend(ax: Any, edit: bool) -> None:
    ax.plot([0, 1], label="train")
    ax.plot([1, 0], label="valid" if edit else "test")
    ax.legend()


def limits(ax: Any, edit: bool) -> None:
    ax.plot([0, 1])
    ax.set_xlim(0, 1.2 if edit else 1.1)


def ticks(ax: Any, edit: bool) -> None:
    ax.plot([0, 3])
    ax.set_xticks([0, 1, 3] if edit else [0, 1, 2])


def tick_labels(ax: Any, edit: bool) -> None:
    ax.plot([0, 3])
    ax.set_xticks([0, 1], ["low", "top" if edit else "high"])


def guides(ax: Any, edit: bool) -> None:
    ax.plot([0, 3])
    ax.axhline(1.6 if edit else 1.5)
    ax.axvspan(0.2, 0.4)


def grid(ax: Any, edit: bool) -> None:
    ax.plot([0, 3])
    ax.grid(edit)


def dates(ax: Any, edit: bool) -> None:
    days = np.datetime64("2024-01-01") + np.arange(30)
    ax.plot(days + np.timedelta64(int(edit), "D"), np.arange(30))


def table(ax: Any, edit: bool) -> None:
    ax.table([["1", "2"], ["3", "5" if edit else "4"]], loc="center")


def circles(ax: Any, edit: bool) -> None:
    ax.add_patch(plt.Circle((0.5, 0.5), 0.21 if edit else 0.2))


def surface(ax: Any, edit: bool) -> None:
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    ax.plot_surface(x, y, x * y + (x == 2) * (y == 2) * 0.3 * edit)


def line_3d(ax: Any, edit: bool) -> None:
    ax.plot(np.cos(X), np.sin(X), X * (1.01 if edit else 1))


def scatter_3d(ax: Any, edit: bool) -> None:
    ax.scatter([1, 2, 3], [1, 2, 3], [1, 2, 3.1 if edit else 3])


def view_3d(ax: Any, edit: bool) -> None:
    ax.plot([0, 1], [0, 1], [0, 1])
    ax.view_init(31 if edit else 30, 40)


def wire_3d(ax: Any, edit: bool) -> None:
    x, y = np.meshgrid(np.arange(4.0), np.arange(4.0))
    ax.plot_wireframe(x, y, x + y * (1.1 if edit else 1))


def polar(ax: Any, edit: bool) -> None:
    ax.plot(X, X * (1.01 if edit else 1))


def events(ax: Any, edit: bool) -> None:
    ax.eventplot([[1, 2, 3], [2, 4, 5.1 if edit else 5]])


def second_axis(ax: Any, edit: bool) -> None:
    ax.plot([1, 2])
    ax.secondary_xaxis("top", functions=(lambda x: x * 2, lambda x: x / 2)).set_xlabel("b" if edit else "a")


def frame(ax: Any, edit: bool) -> None:
    ax.spines["top"].set_visible(not edit)


def drawing_order(ax: Any, edit: bool) -> None:
    ax.plot([1, 2], color="red", lw=9, zorder=3 if edit else 1)
    ax.plot([2, 1], color="blue", lw=9)


def turned_ticks(ax: Any, edit: bool) -> None:
    ax.tick_params(axis="x", rotation=45 if edit else 0)


def minor_ticks(ax: Any, edit: bool) -> None:
    if edit:
        ax.minorticks_on()


def base_of_logarithm(ax: Any, edit: bool) -> None:
    ax.plot([1, 10, 100])
    ax.set_yscale("log", base=2 if edit else 10)


def place_of_legend(ax: Any, edit: bool) -> None:
    ax.plot([1, 2], label="a")
    ax.legend(loc="lower left" if edit else "upper left")


def size_of_title(ax: Any, edit: bool) -> None:
    ax.set_title("x", fontsize=30 if edit else 12)


def background_of_figure(ax: Any, edit: bool) -> None:
    ax.figure.set_facecolor("lightblue" if edit else "white")


def boundaries_of_colours(ax: Any, edit: bool) -> None:
    bounds = [0, 0.3, 0.6, 1] if edit else [0, 0.5, 0.8, 1]
    ax.imshow(values((5, 5)), norm=mpl.colors.BoundaryNorm(bounds, 256))


def every_fifth_marker(ax: Any, edit: bool) -> None:
    ax.plot(range(20), marker="o", markevery=5 if edit else 1)


def smoothed_image(ax: Any, edit: bool) -> None:
    ax.imshow(values((5, 5)), interpolation="bilinear" if edit else "nearest")


def pie_with_shares(ax: Any, edit: bool) -> None:
    ax.pie([3, 2, 1], labels=list("abc"), autopct="%1.1f%%", explode=(0, 0.1 * edit, 0))


KINDS: dict[str, Callable[[Any, bool], None]] = {
    name: kind
    for name, kind in list(globals().items())
    if getattr(kind, "__module__", "") == __name__ and name not in ("values", "Any", "Callable")
}


def draw(name: str, edit: bool = False) -> Any:
    """Draw a figure of a kind; close it when it is read."""
    projection = "polar" if name == "polar" else "3d" if "3d" in name or name == "surface" else None
    figure = plt.figure()
    KINDS[name](figure.add_subplot(projection=projection), edit)
    return figure


if __name__ == "__main__":
    import sys

    from kit.regression.outputs.fingerprint import figure_data

    found = {}
    for name in KINDS:
        for edit in (False, True):
            figure = draw(name, edit)
            found[f"{name} edited" if edit else name] = figure_data(figure)
            plt.close(figure)
    json.dump({"matplotlib": mpl.__version__, "figures": found}, sys.stdout)
