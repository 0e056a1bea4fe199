"""What a step may change of numpy, torch, matplotlib and random, and how it is put back."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["KEEPERS"]

Undo = Callable[[], object]


def random_states() -> Undo:
    """Seed as a new process is seeded, so that what is not seeded differs at each replay, as it does at each run.

    The notebook's own random numbers go on as if there had been no replay.
    """
    state = random.getstate()
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is None:
        return lambda: random.setstate(state)
    numpy_state = numpy_random.get_state()
    numpy_random.seed(random.getrandbits(32))  # ten times as fast as from the system's own

    def put_back() -> None:
        random.setstate(state)
        numpy_random.set_state(numpy_state)

    return put_back


def torch_random_state() -> Undo:
    """Seed torch too, and keep the notebook's own random numbers."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "default_generator"):  # not there, or half imported
        return lambda: None
    state = torch.default_generator.get_state()
    torch.default_generator.seed()
    return lambda: torch.default_generator.set_state(state)


def numpy_settings() -> Undo:
    """Keep how numpy treats floating-point errors and prints arrays."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return lambda: None
    errors, options = numpy.geterr(), numpy.get_printoptions()

    def put_back() -> None:
        numpy.seterr(**errors)
        if numpy.get_printoptions() != options:
            numpy.set_printoptions(**options)

    return put_back


def matplotlib_settings() -> Undo:
    """Keep matplotlib's style and, above all, its backend: `matplotlib.use("Agg")` would blind the notebook."""
    before = sys.modules.get("matplotlib")
    settings = dict.copy(before.rcParams) if before is not None else {}

    def put_back() -> None:
        matplotlib: Any = sys.modules.get("matplotlib")
        if matplotlib is None:
            return
        now = matplotlib.rcParams
        backend = settings.get("backend") if before is not None else os.environ.get("MPLBACKEND")
        if isinstance(backend, str) and dict.get(now, "backend") != backend:
            matplotlib.use(backend)
        if before is not None:
            changed = {name: value for name, value in settings.items() if dict.get(now, name) is not value}
            dict.update(now, {name: value for name, value in changed.items() if name != "backend"})

    return put_back


KEEPERS: tuple[Callable[[], Undo], ...] = (random_states, torch_random_state, numpy_settings, matplotlib_settings)
