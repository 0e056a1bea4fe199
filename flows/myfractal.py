"""The Markus-Lyapunov fractal of FractalFlow, drawn by pyfracgen.

For Python 3.9 with pyfracgen 0.0.11 and for later ones with 0.3.0, whose functions used here are the same.
pyfracgen is imported where it is used, since only the step that draws has it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEQUENCE = "AAAAAABBBBBB"  # the growth rate is a six times, then b six times, and so on
A_BOUND = (2.5, 3.4)  # horizontal
B_BOUND = (3.4, 4.0)  # vertical

FULL_SIZE = {"width": 4, "height": 3, "dpi": 300, "n_init": 2000, "n_iter": 2000}
SMALL_SIZE = {"width": 4, "height": 3, "dpi": 40, "n_init": 50, "n_iter": 50}


def make_fractal(
    *,
    width: int = 4,
    height: int = 3,
    dpi: int = 300,
    n_init: int = 2000,
    n_iter: int = 2000,
) -> Figure:
    """Draw the Lyapunov exponent of a logistic map whose growth rate alternates between a and b.

    White is the edge between order and chaos: to either side of it, the darker the more stable (the curves)
    or the more chaotic. Full size takes about half a minute. A small one takes as long as numba compiles,
    some seconds, the first time, and milliseconds from then on.

    Args:
        width, height: in whole inches.
        dpi: pixels an inch, whole.
        n_init: iterations before the exponent is measured, so that the orbit has settled.
        n_iter: iterations over which it is averaged.

    Returns:
        The Figure, of width * dpi by height * dpi pixels. a grows from 2.5 on the left to 3.4 on the right,
        b from 3.4 at the bottom to 4.0 at the top.

    Source:
        M. Markus and B. Hess, Lyapunov exponents of the logistic map with periodic forcing,
        Computers & Graphics 13 (1989) 553-558; its computation and colours are pyfracgen's.
    """
    import matplotlib
    import pyfracgen
    from matplotlib import pyplot

    exponents = pyfracgen.lyapunov(
        SEQUENCE, A_BOUND, B_BOUND, ninit=n_init, niter=n_iter, width=width, height=height, dpi=dpi
    )
    figure, _ = pyfracgen.images.markus_lyapunov_image(
        exponents, matplotlib.colormaps["bone"], matplotlib.colormaps["bone_r"], gammas=(8, 1)
    )
    pyplot.close(figure)  # pyfracgen opened it in pyplot: a notebook would show it twice
    return figure


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file, which any version of matplotlib, and none, can read."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
