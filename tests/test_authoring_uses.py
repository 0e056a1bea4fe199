"""What a step uses of its notebook, by content: what changes it, and what does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kit.authoring.uses import Uses

HEAD = """
import enum, functools, logging, math, random, threading
from dataclasses import dataclass
import own_module
K = 3
GRID = {"a": [1, 2]}
rng = random.Random(3)
lock = threading.Lock()
log = logging.getLogger("x")

def helped(x):
    return x + K

def helper(x, by=2):
    "Words."
    return [helped(each) * by for each in [x]]

@functools.lru_cache
def cached(x):
    return helped(x)

def made(n):
    def inner(x):
        return x + n
    return inner

adder = made(1)
bound = functools.partial(helped, 3)

class Base:
    def go(self):
        return helped(1)

@dataclass
class Model(Base):
    weight: int = 1
    @property
    def double(self):
        return self.weight * 2

class Colour(enum.Enum):
    RED = 1

model = Model(2)
ring = []
ring.append(ring)
"""


def execute(cell: str, module: ModuleType) -> None:
    """Execute a cell in a notebook's module."""
    exec(cell, vars(module))  # noqa: S102  # the test's own text


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[ModuleType]:
    """Give a notebook's module, with a module of the project's beside it."""
    module, own = ModuleType("__main__"), ModuleType("own_module")
    own.__file__ = str(tmp_path / "own_module.py")
    execute("def used(x):\n    return x\ndef other(): pass\n", own)
    before = sys.modules["__main__"]
    sys.modules.update({"__main__": module, "own_module": own})
    execute(HEAD, module)
    yield module
    sys.modules["__main__"] = before
    del sys.modules["own_module"]


@pytest.mark.parametrize(
    ("body", "cell"),
    [
        ("self.x = K", "K = 4"),
        ("self.x = helper(1)", "def helper(x, by=2):\n    return x\n"),
        ("self.x = helper(1)", "def helped(x):\n    return x - K\n"),
        ("self.x = helper(1)", "K = 4"),
        ("self.x = helper(1)", HEAD.replace("by=2", "by=3")),
        ("self.x = cached(1)", HEAD.replace("x + K", "x - K")),
        ("self.x = adder(1)", "adder = made(2)"),
        ("self.x = bound()", HEAD.replace("x + K", "x - K")),
        ("self.x = Model().double", HEAD.replace("weight * 2", "weight * 3")),
        ("self.x = Model().go()", "K = 4"),
        ("self.x = model", "model = Model(3)"),
        ("self.x = model.double", HEAD.replace("weight * 2", "weight * 3")),
        ("self.x = Colour.RED", HEAD.replace("RED = 1", "RED = 2")),
        ("self.x = GRID", 'GRID["a"].append(3)'),
        ("self.x = [f for f in [helper]]", "K = 4"),
        ("def inside():\n    return helper(1)\nself.x = inside()", "K = 4"),
        ("self.x = math.sqrt(2)", "import cmath as math"),
        ("self.x = K", "del K"),
        ("self.x = own_module.used(1)", "def used(x):\n    return -x\nown_module.used.__code__ = used.__code__"),
        ("self.x = vars(own_module)", "def used(x):\n    return -x\nown_module.used.__code__ = used.__code__"),
    ],
)
def test_what_a_step_uses_counts_by_content(notebook: ModuleType, tmp_path: Path, body: str, cell: str) -> None:
    uses = Uses(notebook, tmp_path)
    before = uses.of(body)
    execute(HEAD, notebook)
    assert uses.of(body) == before, "the same cell, executed again, changes nothing"
    execute(cell, notebook)
    assert uses.of(body) != before


@pytest.mark.parametrize(
    ("body", "cell"),
    [
        ("self.x = rng.random()", "rng.random()"),
        ("self.x = helper(1)", "UNUSED = 1\ndef unused(): pass"),
        ("self.x = helper(1)", "# a comment\n\n" + HEAD),
        ("self.x = own_module.used(1)", "own_module.other = 3"),
        ("with lock:\n    log.info('x')", HEAD),
        ("self.x = ring", HEAD),
        ("self.K = self.helper = 1", "K = 4"),
        ("K = 1\nself.x = K", "K = 4"),
        ("self.x = nowhere", "K = 4"),
    ],
)
def test_what_a_step_does_not_use_does_not_count(notebook: ModuleType, tmp_path: Path, body: str, cell: str) -> None:
    uses = Uses(notebook, tmp_path)
    before = uses.of(body)
    execute(cell, notebook)
    assert uses.of(body) == before


def test_the_names_are_those_that_people_write(notebook: ModuleType, tmp_path: Path) -> None:
    uses = Uses(notebook, tmp_path)
    assert set(uses.of("self.x = own_module.used(helper(math.pi))")) == {"helper", "math.pi", "own_module.used"}


def test_a_value_that_cannot_be_looked_at_does_no_harm(notebook: ModuleType, tmp_path: Path) -> None:
    execute(
        "class Odd:\n    def __reduce__(self): raise OSError\n    def __getattr__(self, name): 1 / 0\n"
        "odd = Odd()\ndeep = []\nfor _ in range(100_000):\n    deep = [deep]",
        notebook,
    )
    uses = Uses(notebook, tmp_path)
    assert uses.of("self.x = odd, deep") == uses.of("self.x = odd, deep")
