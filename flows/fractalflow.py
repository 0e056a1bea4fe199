"""Draw a fractal with packages that the rest of the project cannot have.

The pins of `plot` need Python 3.9, so that step wants an environment of its own: kit builds it with uv
(`python fractalflow.py --environment=pypi-uv run`), Metaflow with micromamba (`--environment=pypi`). Where the
packages at hand serve, kit's `--environment=unpinned` sets the pins aside. The other steps, and this file, do without
those packages.
"""

from metaflow import FlowSpec, Parameter, card, current, pypi, step
from metaflow.cards import Image

import myfractal


class FractalFlow(FlowSpec):
    """Draw the Markus-Lyapunov fractal.

    Artifacts that others read: `size` (the arguments of `make_fractal`) and `png` (the picture), at the end.
    """

    test_mode = Parameter("test_mode", type=bool, default=False, help="a small picture, of few iterations")

    @step
    def start(self):  # kit: ignore[fail-fast]  # there is nothing to check
        """Choose the size."""
        self.size = myfractal.SMALL_SIZE if self.test_mode else myfractal.FULL_SIZE
        self.next(self.plot)

    @pypi(python="3.9.13", packages={"pyfracgen": "0.0.11", "matplotlib": "3.8.0"})
    @card(type="blank")
    @step
    def plot(self):
        """Draw it, and keep the picture as PNG: a Figure can be read only by the matplotlib that made it."""
        figure = myfractal.make_fractal(**self.size)
        self.png = myfractal.png(figure)
        current.card.append(Image.from_matplotlib(figure))
        self.next(self.end)

    @step
    def end(self):
        """Say what came out."""
        print(f"a picture of {len(self.png) / 1000:.0f} kB")


if __name__ == "__main__":
    FractalFlow()
