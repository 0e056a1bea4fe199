"""What a step uses of its notebook, by content: a step whose helper function, constant or module changed is stale.

Functions and classes of the notebook and of the project's modules count by their code, with all that they use in turn;
libraries by name; plain values by what they hold; any other object by the pickle that it had when it was first seen, so
that a generator of random numbers that a step draws from does not make the step stale.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import pickle
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from kit.source import indented

__all__ = ["Uses"]

LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type(...), range, slice)
CACHED = type(functools.lru_cache(lambda: None))
MANY = 1000  # elements of a container that are looked at one by one
MANY_ALL = 20_000  # of all containers of a value
LARGE = 50_000_000  # bytes of a value that are looked at; a larger one counts by which object it is


class _TooLargeError(Exception):
    pass


@dataclass
class Uses:
    """Fingerprints of what steps use.

    Args:
        module: The notebook's module.
        root: The project's root: modules that lie in it are its own.
    """

    module: ModuleType
    root: Path
    _known: dict[int, tuple[Callable[[], Any], str]] = field(default_factory=dict)

    def of(self, body: str, arguments: str = "self") -> dict[str, str]:
        """Give a digest for each name that a step's body takes from its notebook: of `common.double`, that of this.

        Args:
            body: The step's statements.
            arguments: The arguments of the step.
        """
        code = compile(f"def step({arguments}):\n{indented(body, 4)}\n    pass\n", "<step>", "exec")
        names = vars(self.module)
        found = {}
        for path in sorted(_global_paths(code)):
            if path[0] in names:
                named, value = _reached(path, names)
                found[".".join(named)] = _Digest(self).of(value)
        return found

    def is_own(self, module: str | None) -> bool:
        """Whether a module is the notebook or one of the project's."""
        if module in ("__main__", self.module.__name__):
            return True
        file = getattr(sys.modules.get(module or ""), "__file__", None)
        if not file or self.root not in Path(file).parents:
            return False
        inside = Path(file).relative_to(self.root).parts
        return not any(part == "site-packages" or part.startswith(".") for part in inside)

    def remembered(self, value: Any, made: Callable[[], str]) -> str:
        """Give the digest that a very object had when it was first seen."""
        there = self._known.get(id(value))
        if there is not None and there[0]() is value:
            return there[1]
        digest = made()
        try:
            self._known[id(value)] = weakref.ref(value), digest
        except TypeError:  # it cannot be referred to weakly
            self._known[id(value)] = (lambda: value), digest
        return digest


class _Digest:
    """One digest, of a value and all that belongs to it."""

    def __init__(self, uses: Uses) -> None:
        self._uses, self._hash = uses, hashlib.sha1(usedforsecurity=False)
        self._seen: dict[int, tuple[int, Any]] = {}

    def of(self, value: Any) -> str:
        try:
            self._feed(value)
        except Exception:  # whatever the value's own code raises, and a value too deep to be walked
            return type(value).__qualname__
        return self._hash.hexdigest()

    def _say(self, *words: object) -> None:
        self._hash.update(repr(words).encode())

    def _feed(self, value: Any) -> None:
        if isinstance(value, PLAIN):
            self._say(type(value).__name__, value)
            return
        if id(value) in self._seen:
            self._say("again", self._seen[id(value)][0])
            return
        self._seen[id(value)] = len(self._seen), value  # kept, so that no other object gets its id
        if isinstance(value, (list, tuple, set, frozenset, dict)) and (len(value) > MANY or len(self._seen) > MANY_ALL):
            self._say(type(value).__name__, self._uses.remembered(value, lambda: _pickled(value)))
        elif isinstance(value, (list, tuple, set, frozenset)):
            self._say(type(value).__name__, len(value))
            for each in value if isinstance(value, (list, tuple)) else sorted(value, key=repr):
                self._feed(each)
        elif isinstance(value, dict):
            self._say(type(value).__name__, len(value))
            for key, each in value.items():
                self._feed(key)
                self._feed(each)
        else:
            self._feed_other(value)

    def _feed_other(self, value: Any) -> None:
        if isinstance(value, ModuleType):
            self._module(value)
        elif isinstance(value, (FunctionType, type)) and not self._uses.is_own(value.__module__):
            self._say("from", value.__module__, value.__qualname__)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, CodeType):
            self._code(value)
        elif isinstance(value, (staticmethod, classmethod, MethodType)):
            self._say(type(value).__name__)
            self._feed(value.__func__)
        elif isinstance(value, property):
            self._feed([value.fget, value.fset, value.fdel])
        elif isinstance(value, functools.partial):
            self._feed(["partial", value.func, value.args, value.keywords])
        elif isinstance(value, CellType):
            self._cell(value)
        elif isinstance(value, CACHED):
            self._feed(value.__wrapped__)
        elif isinstance(value, BuiltinFunctionType):
            self._say("builtin", value.__module__, value.__qualname__)
        elif type(value).__module__.partition(".")[0] == "metaflow":
            self._say(type(value).__qualname__)  # `current` says something else in each task
        else:
            self._feed(type(value))
            self._say(self._uses.remembered(value, lambda: _pickled(value)))

    def _module(self, module: ModuleType) -> None:
        self._say("module", module.__name__)
        if self._uses.is_own(module.__name__) and module.__name__ != "__main__":
            for name, each in sorted(vars(module).items()):
                if not name.startswith("__") and self._uses.is_own(getattr(each, "__module__", module.__name__)):
                    self._say(name)
                    self._feed(each)

    def _function(self, function: FunctionType) -> None:
        self._say("function", function.__qualname__)
        self._code(function.__code__)
        self._feed([function.__defaults__, function.__kwdefaults__, list(function.__closure__ or ())])
        names = function.__globals__
        for path in sorted(_global_paths(function.__code__)):
            if path[0] in names:
                named, value = _reached(path, names)
                self._say("uses", *named)
                self._feed(value)

    def _class(self, cls: type) -> None:
        self._say("class", cls.__qualname__)
        self._feed(cls.__bases__)
        for name, each in vars(cls).items():
            made = name.startswith(("_abc_", "__")) and not isinstance(each, (FunctionType, staticmethod, classmethod))
            if not made:
                self._say(name)
                self._feed(each)
        self._say(str(vars(cls).get("__annotations__", "")))

    def _code(self, code: CodeType) -> None:
        """Take what a function does, wherever it stands."""
        self._say(code.co_code, code.co_names, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant)
            else:
                self._feed(constant)

    def _cell(self, cell: CellType) -> None:
        try:
            self._feed(cell.cell_contents)
        except ValueError:
            self._say("empty")


class _Sink:
    """Takes a pickle, and hashes it."""

    def __init__(self) -> None:
        self.hash, self._length = hashlib.sha1(usedforsecurity=False), 0

    def write(self, data: Any) -> int:
        self._length += len(data)
        if self._length > LARGE:
            raise _TooLargeError
        self.hash.update(data)
        return len(data)

    def take(self, buffer: pickle.PickleBuffer) -> bool:
        """Take an array's bytes, which are not copied for it."""
        self.write(buffer.raw())
        return False


def _pickled(value: Any) -> str:
    """Digest a value's pickle."""
    sink = _Sink()
    try:
        pickle.Pickler(sink, protocol=5, buffer_callback=sink.take).dump(value)
    except _TooLargeError:
        return f"{type(value).__qualname__} {id(value)}"
    except Exception:  # whatever the value's own code raises: of what has no pickle, its type has to do
        return type(value).__qualname__
    return sink.hash.hexdigest()


@functools.lru_cache(maxsize=4096)
def _global_paths(code: CodeType) -> frozenset[tuple[str, ...]]:
    """Give the globals that a piece of code reads, each with the attributes that it reads of it at once."""
    return frozenset(_paths(code))


def _paths(code: CodeType) -> Iterator[tuple[str, ...]]:
    path: tuple[str, ...] = ()
    for each in dis.get_instructions(code):
        if path and each.opname in ATTRIBUTES:
            path = (*path, str(each.argval))
            continue
        if each.opname in ("CACHE", "PUSH_NULL", "PRECALL"):
            continue
        if path:
            yield path
        path = (str(each.argval),) if each.opname in LOADS else ()
    if path:
        yield path
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _paths(constant)


def _reached(path: tuple[str, ...], names: Mapping[str, Any]) -> tuple[tuple[str, ...], Any]:
    """Follow attributes for as long as they are those of modules: `common.double(x)` uses common.double."""
    value, named = names[path[0]], path[:1]
    for name in path[1:]:
        if not isinstance(value, ModuleType) or not hasattr(value, name):
            break
        value, named = getattr(value, name), (*named, name)
    return named, value
