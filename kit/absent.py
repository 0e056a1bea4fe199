"""Stand-ins for packages that a flow file imports and this interpreter lacks, while the file is read and not run.

Which packages a step pins, and how steps follow each other, is to be known before those packages are there. What is
imported from a stand-in can be called, decorate, and be a base class; it computes nothing.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from kit.blame import is_users

__all__ = ["missing_module", "standing_in"]


class Absent:
    """Stands for whatever an absent module would hold under a name.

    Args:
        name: Its dotted name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name}, which is not installed here>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self._name}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        decorates = len(args) == 1 and not options and callable(args[0]) and not isinstance(args[0], Absent)
        return args[0] if decorates else Absent(f"{self._name}()")

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[type[Any], ...]:
        return (type("AbsentBase", (_AbsentBase,), {"_absent": self._name}),)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __float__(self) -> float:
        return 0.0

    def __int__(self) -> int:
        return 0

    def __instancecheck__(self, _value: Any) -> bool:
        return False

    def __subclasscheck__(self, _value: Any) -> bool:
        return False

    def _more(self, *_: Any) -> Any:
        return Absent(self._name)

    def _no(self, _other: Any) -> bool:
        return False

    __getitem__ = __neg__ = __pos__ = __abs__ = __invert__ = _more
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = _more
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = _more
    __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = __lshift__ = __rshift__ = _more
    __lt__ = __le__ = __gt__ = __ge__ = _no


class _AbsentBase:
    """The base of a class that derives from something absent; none of its pickles is an object of it."""

    _absent = ""

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def __init_subclass__(cls, **_options: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        raise ModuleNotFoundError(f"No module named {self._absent.partition('.')[0]!r}")


class _AbsentModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return "0"
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")


class _Finder:
    """Gives stand-ins for some modules and all below them: to importlib, both finder and loader."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = tuple(names)

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: Any = None) -> ModuleSpec | None:
        stands_in = any(name == one or name.startswith(f"{one}.") for one in self._names)
        return ModuleSpec(name, self, is_package=True) if stands_in else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _AbsentModule(spec.name)
        vars(module)["__all__"] = []
        return module

    def exec_module(self, _module: ModuleType) -> None:
        pass


@contextmanager
def standing_in(names: Collection[str]) -> Iterator[None]:
    """Let stand-ins be imported for modules that are not here; afterwards nothing that has seen one stays imported.

    Args:
        names: The modules.
    """
    before, finder = set(sys.modules), _Finder(names)
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before if names else ():
            module = sys.modules[name]
            if isinstance(module, _AbsentModule) or is_users(getattr(module, "__file__", None) or "<"):
                del sys.modules[name]


def missing_module(error: BaseException | None) -> str | None:
    """Name the module that was not found, as far up as it is missing; None where that is not what went wrong."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    top = error.name.partition(".")[0]
    there = top in sys.modules or importlib.util.find_spec(top) is not None
    return error.name if there else top
