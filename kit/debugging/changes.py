"""What has changed of a flow's code between then and now."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from kit.debugging.model import Change
from kit.debugging.source import Definition, Source, imported, is_step, parsed

__all__ = ["changes", "gone_since", "most_like"]

SHORT = 40  # lines of a diff that is shown without a click
LIKE = 0.6  # of 1: from here on, a step may be another one under a new name


def changes(then: Source, now: Source, before: Definition | None, today: Definition | None) -> Iterator[Change]:
    """List what differs, the step first.

    Args:
        then: The flow's source as it was.
        now: The flow's source as it is.
        before: The step as it was; None where it is not known.
        today: The step as it is, also under another name; None where there is none.
    """
    if before is not None and today is not None and before.code != today.code:
        was, is_now = before.function.name, today.function.name
        name = f"The step {was}" + ("" if was == is_now else f", and {is_now}, which is most like it today")
        yield Change(name, _diff(before.code, today.code, f"{was}, {then.origin}", f"{is_now}, today"), folded=False)
    moved = {then.file: now.file} if _has_moved(then, now) else {}
    for path in dict.fromkeys((*then.files, *(each for each in now.files if each not in moved.values()))):
        there = moved.get(path, path)
        old, new = then.read(path), now.read(there)
        if old != new and (new is not None or path in moved):
            lines = _diff(old or "", new or "", f"{path}, {then.origin}", f"{there}, today")
            yield Change(there, lines, folded=len(lines) > SHORT or (before is not None and path == before.path))


def gone_since(then: Source, now: Source) -> tuple[str, ...]:
    """Name the files that a flow was made of and that there are no more."""
    return tuple(path for path in then.files if now.read(path) is None and not (path == then.file and now.files))


def uses_others(before: Definition, today: Definition, then: Source, now: Source) -> bool:
    """Whether a step, or anything that it may use of its flow, is another one today: other steps' bodies are not.

    Args:
        before: The step as it was.
        today: The step as it is.
        then: The flow's source as it was.
        now: The flow's source as it is.
    """
    if before.code != today.code:
        return True
    own = {path: (then.read(path), now.read(path)) for path in then.files if path not in (before.path, then.file)}
    own |= {before.path: (before.text, today.text), then.file: (then.files[then.file], now.files.get(now.file))}
    return any(_outside_steps(old) != _outside_steps(new) for old, new in own.values())


def imports_others(one: Definition, then: Source, now: Source) -> bool:
    """Whether a step imports in its body what is another module today; takes what `uses_others` takes."""
    files = then.reach(imported(one.path, one.function))
    return any(now.read(path) != text for path, text in files.items())


def _outside_steps(text: str | None) -> str | None:
    """Write what a file holds but for its steps."""
    if text is None:
        return None
    tree = parsed(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [one for one in node.body if not (isinstance(one, ast.FunctionDef) and is_step(one))]
    return ast.dump(tree)


def most_like(before: Definition, then: Source, now: Source) -> Definition | None:
    """Find the step of today that one of then may have become under another name; None where none is like it.

    Args:
        before: The step as it was.
        then: The flow's source as it was.
        now: The flow's source as it is.
    """
    names = {one.function.name for one in then.functions()}
    others = [one for one in now.functions() if one.function.name not in names and is_step(one.function)]
    likeness = {one.function.name: _likeness(before, one) for one in others}
    best = max(others, key=lambda one: likeness[one.function.name], default=None)
    return best if best is not None and likeness[best.function.name] >= LIKE else None


def _likeness(one: Definition, other: Definition) -> float:
    return difflib.SequenceMatcher(None, one.code.split("\n"), other.code.split("\n"), autojunk=False).ratio()


def _has_moved(then: Source, now: Source) -> bool:
    """Whether the flow is defined by a file of another name today."""
    return then.file != now.file and now.read(then.file) is None and bool(now.files)


def _diff(old: str, new: str, old_name: str, new_name: str) -> tuple[str, ...]:
    return tuple(difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""))
