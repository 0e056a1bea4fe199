"""The fractal of FractalFlow, small."""

import ast
import importlib
import io
import math
import subprocess
import sys
from pathlib import Path

import pytest

FLOWS = Path(__file__).parents[1] / "flows"

# nptyping, which pyfracgen needs, uses names that numpy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:`np:DeprecationWarning")


@pytest.fixture(scope="module")
def myfractal():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FLOWS))
        yield importlib.import_module("myfractal")
        del sys.modules["myfractal"]


@pytest.fixture(scope="module")
def figure(myfractal):
    return myfractal.make_fractal(**myfractal.SMALL_SIZE)


def lyapunov_exponent(a, b, n_init, n_iter):
    """The definition: the mean of log |r (1 - 2 x)| along the orbit of x -> r x (1 - x)."""
    x, total = 0.5, 0.0
    for step in range(n_init + n_iter):
        rate = a if step % 12 < 6 else b
        x = rate * x * (1 - x)
        if step >= n_init:
            total += math.log(abs(rate * (1 - 2 * x)))
    return total / n_iter


@pytest.mark.parametrize(("row", "column"), [(0, 0), (5, 150), (110, 3), (30, 40), (60, 80), (90, 100)])
def test_pixel_is_the_exponent_of_its_growth_rates(figure, row, column):
    a, b = 2.5 + column * 0.9 / 160, 3.4 + row * 0.6 / 120
    exponent = lyapunov_exponent(a, b, 50, 50)
    negative, positive = (image.get_array() for image in figure.axes[0].images)
    drawn, blank = (negative, positive) if exponent < 0 else (positive, negative)
    assert drawn[row, column] == pytest.approx(exponent)
    assert blank.mask[row, column]


def test_first_row_is_at_the_bottom(figure):
    assert all(image.origin == "lower" for image in figure.axes[0].images)
    assert not figure.axes[0].yaxis_inverted()


def test_order_and_chaos_have_the_shades_of_bone_reversed(figure):
    images = figure.axes[0].images
    assert [image.get_cmap().name for image in images] == ["bone", "bone_r"]
    assert [image.norm.gamma for image in images] == [8, 1]


def test_size_is_given_in_inches_and_dots(figure):
    assert figure.get_size_inches().tolist() == [4, 3]
    assert figure.dpi == 40


def test_full_size_is_the_default(myfractal):
    assert myfractal.make_fractal.__kwdefaults__ == myfractal.FULL_SIZE


def test_png_has_a_pixel_for_every_exponent(myfractal, figure):
    from matplotlib.image import imread

    assert imread(io.BytesIO(myfractal.png(figure))).shape == (120, 160, 4)


def test_same_size_gives_the_same_picture(myfractal, figure):
    again = myfractal.make_fractal(**myfractal.SMALL_SIZE)
    assert myfractal.png(again) == myfractal.png(figure)


def test_figure_is_left_to_the_caller_alone(myfractal):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    myfractal.make_fractal(width=1, height=1, dpi=10, n_init=1, n_iter=1)
    assert pyplot.get_fignums() == before


def test_steps_without_pyfracgen_can_import_it():
    script = "import myfractal, sys; print({'pyfracgen', 'matplotlib', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", script], cwd=FLOWS, text=True).strip() == "set()"


@pytest.mark.parametrize("name", ["myfractal.py", "fractalflow.py"])
def test_python_of_the_step_can_read_it(name):
    ast.parse((FLOWS / name).read_text(), feature_version=(3, 9))
