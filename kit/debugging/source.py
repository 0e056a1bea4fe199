"""A flow's source at one time, and what it says, read with `ast`: nothing of it is imported."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

__all__ = ["Definition", "Source", "imported", "is_step", "parsed"]

NOT_THE_USERS = frozenset({"kit", "metaflow", "metaflow_extensions"})


@dataclass(frozen=True)
class Definition:
    """Where a step is defined.

    Args:
        path: The file, from the flow file's folder.
        text: What the file holds.
        function: The `def`, as `ast` read it there.
    """

    path: str
    text: str
    function: ast.FunctionDef

    @property
    def code(self) -> str:
        """The lines of the step, its decorators included."""
        first = min([self.function.lineno, *(one.lineno for one in self.function.decorator_list)])
        return "\n".join(self.text.split("\n")[first - 1 : self.function.end_lineno]) + "\n"


@dataclass(frozen=True)
class Source:
    """The files of a flow at one time.

    Args:
        flow: The name of the flow.
        file: The file that defines it, from its own folder.
        read: Gives what a file holds, by its path from that folder; None where there is no such file.
        origin: Where this source comes from, in words.
        note: What there is to say about it; "" for nothing.
        home: Today's folder of the flow file, or where it was.
        key: What names this content; "" where nothing does.
        everything: Gives all files of that folder, data beside modules too: their paths, and what they hold.
    """

    flow: str
    file: str
    read: Callable[[str], str | None]
    origin: str
    note: str = ""
    home: Path = Path()
    key: str = ""
    everything: Callable[[], Iterable[tuple[str, bytes]]] = tuple

    @cached_property
    def files(self) -> dict[str, str]:
        """The flow file and the modules that it imports, directly or through others, by path."""
        return self.reach([self.file])

    def reach(self, paths: Iterable[str]) -> dict[str, str]:
        """Give files, and those of the modules that they import, directly or through others, by path.

        Args:
            paths: Their paths; those of which there is no file are passed over.
        """
        found: dict[str, str] = {}
        pending = list(paths)
        while pending:
            path = pending.pop(0)
            text = None if path in found else self.read(path)
            if text is not None:
                found[path] = text
                pending += imported(path, parsed(text))
        return found

    def step(self, name: str) -> Definition | None:
        """Find the `def` of a step, in the flow's class or in one that it inherits from; None where there is none."""
        return next((one for one in self.functions() if one.function.name == name), None)

    def functions(self) -> Iterator[Definition]:
        """Give the functions of the flow's class, and of those that it inherits from after them."""
        pending, seen = [(self.file, self.flow)], set()
        while pending:
            path, cls = pending.pop(0)
            for where in (path, *self.files):
                node = _class(self.files.get(where, ""), cls)
                if node is not None and (where, cls) not in seen:
                    break
            else:
                continue
            seen.add((where, cls))
            text = self.files[where]
            yield from (Definition(where, text, one) for one in node.body if isinstance(one, ast.FunctionDef))
            pending += [(where, base) for base in map(_last_name, node.bases) if base]


def parsed(text: str) -> ast.Module:
    """Parse a file; one that does not parse has nothing in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an invalid escape in the user's file
            return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def is_step(function: ast.FunctionDef) -> bool:
    """Whether `@step` stands above a function."""
    return any(ast.unparse(each).rpartition(".")[2] == "step" for each in function.decorator_list)


def _class(text: str, name: str) -> ast.ClassDef | None:
    found = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.ClassDef) and node.name == name]
    return found[-1] if found else None


def _last_name(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def imported(path: str, tree: ast.AST) -> Iterator[str]:
    """List the paths that modules which are imported may have, if they are files of the same folder.

    Args:
        path: The file that imports them.
        tree: What of it is looked at.
    """
    folder = PurePosixPath(path).parent
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _paths(PurePosixPath(), alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            home = folder
            for _ in range(node.level - 1):
                home = home.parent
            parts = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _paths(home if node.level else PurePosixPath(), [*parts, alias.name])


def _paths(home: PurePosixPath, parts: list[str]) -> Iterator[str]:
    if not home.parts and parts[0] in NOT_THE_USERS:
        return
    for count in range(1, len(parts) + 1):
        module = home.joinpath(*parts[:count])
        yield f"{module}.py"
        yield f"{module}/__init__.py"
