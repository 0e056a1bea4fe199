"""A cell that is a step: what its line asks for, and which bodies a step of a flow can have."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kit.authoring.decorated import decorator_names, refuse_decorators
from kit.errors import ArgumentError

__all__ = ["END", "START", "StepCell", "assigned", "pins", "refuse_body"]

START, END = "start", "end"

# Names of FlowSpec's own, which neither a step nor an artifact can have.
RESERVED = frozenset(
    {"cmd", "foreach_stack", "index", "input", "merge_artifacts", "name", "next", "script_name", "step"}
)
PIN = re.compile(r"^([A-Za-z0-9][\w.\-]*)(\[[\w,\- ]+\])?\s*(==|>=|<=|~=|!=|>|<)\s*(\S+)$")


@dataclass(frozen=True)
class StepCell:
    """A step of a notebook's flow.

    Args:
        name: Its name.
        body: Its statements.
        after: The steps that lead to it, as its line says; empty for the step that was defined last before it.
        foreach: What it runs once for each item of: an artifact of the step before it, or a Python expression.
        join: Whether its line says that it is a join.
        pypi: What it pins, such as "pandas==2.2.3".
        decorators: Its other decorators, as Metaflow's `run --with` has them: "retry:times=3".
        cell: Which cell it is, for people.
        filename: What tracebacks call the cell.
        line: How many lines of the cell lie before the body.
    """

    name: str
    body: str = ""
    after: tuple[str, ...] = ()
    foreach: str = ""
    join: bool = False
    pypi: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    cell: str = ""
    filename: str = "<step>"
    line: int = 0

    def __post_init__(self) -> None:
        refuse_name(self.name)
        pins(self.pypi)
        refuse_decorators(self.name, self.decorators)
        if self.foreach and (self.join or len(self.after) > 1):
            raise ArgumentError(
                f"{self.name} cannot be a join and run for each item too.",
                "Join first, then let the next step go on with --foreach.",
            )
        if self.foreach:
            _expression(self.name, self.foreach)
        if self.name == START and (self.after or self.foreach or self.join):
            raise ArgumentError("start is the first step: nothing comes before it.", "Leave --after and the like out.")


def refuse_name(name: str) -> None:
    """Make sure that a step can have a name.

    Raises:
        ArgumentError: Metaflow or Python would not take it.
    """
    if not re.fullmatch(r"[a-z0-9_]+", name) or not name.isidentifier() or name.startswith("_"):
        raise ArgumentError(
            f"{name!r} cannot be the name of a step.",
            "Metaflow wants small letters, digits and underscores: fit_model.",
        )
    if keyword.iskeyword(name) or name in RESERVED:
        whose = "Python's" if keyword.iskeyword(name) else "Metaflow's"
        raise ArgumentError(f"{name} is a word of {whose} own.", f"Give the step another name, such as {name}_step.")


def pins(words: Sequence[str]) -> dict[str, str]:
    """Read what a step pins.

    Args:
        words: Such as "pandas==2.2.3".

    Returns:
        Versions by the names of packages, as Metaflow's @pypi takes them; "python" among them.

    Raises:
        ArgumentError: One of the words pins nothing.
    """
    found = {}
    for word in words:
        match = PIN.match(word)
        if match is None:
            raise ArgumentError(f"--pypi {word!r} is not name==version.", "Write it without spaces: pandas==2.2.3.")
        name, extras, operator, version = match.groups()
        found[f"{name}{extras or ''}"] = version if operator == "==" else f"{operator}{version}"
    return found


def _expression(step: str, text: str) -> None:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ArgumentError(
            f"--foreach {text} of {step} is not a Python expression: {error.msg}.",
            "Name an artifact of the step before it, or write an expression without spaces.",
        ) from None


def assigned(body: str) -> set[str]:
    """Name the artifacts that a body assigns: what it stores on `self`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(body))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value)
    }


def refuse_body(step: StepCell, steps: Mapping[str, StepCell]) -> None:
    """Make sure that a cell can be the body of a step, in the notebook and in a flow file.

    Args:
        step: The step; its body parses.
        steps: All steps of the flow.

    Raises:
        ArgumentError: It cannot; the message names the line.
    """
    for node in _own_nodes(ast.parse(step.body).body):
        where = f"{step.name}, line {getattr(node, 'lineno', 1) + step.line} of the cell"
        if isinstance(node, ast.Return):
            raise ArgumentError(
                f"{where}: a step does not return: it ends with self.next, which kit adds at its end.",
                "Put the rest under if/else instead.",
            )
        if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith)):
            raise ArgumentError(f"{where}: a step is no generator and no coroutine.", "Put that into a function.")
        if isinstance(node, ast.Attribute) and _is_self(node.value) and node.attr == "next":
            raise ArgumentError(
                f"{where}: the order of the steps is said by --after and --foreach of each.",
                "Leave self.next out; a switch (condition=) is not possible in cells: write it in the flow file.",
            )
    decorators = {name for each in steps.values() for name in decorator_names(each.decorators)}
    decorators |= {"pypi"} if any(each.pypi for each in steps.values()) else set()
    for name in sorted(decorators & steps.keys()):
        raise ArgumentError(
            f"{name} is a step of this flow and a decorator: in a file, the one would stand in the way of the other.",
            f"Give the step another name, such as {name}_step.",
        )
    for name in sorted(assigned(step.body)):
        if name in steps or name in RESERVED:
            is_step = name in steps
            what = "is a step of this flow" if is_step else "is a name of Metaflow's own"
            raise ArgumentError(
                f"{step.name} assigns self.{name}, and {name} {what}.",
                "A step and an artifact cannot have the same name: rename one of the two."
                if is_step
                else f"Give the artifact another name, such as {name}_.",
            )
    for other in steps.values():
        if other.name != step.name and step.name in assigned(other.body):
            raise ArgumentError(
                f"{other.name} assigns self.{step.name}, so {step.name} cannot be the name of a step.",
                f"Give the step another name, such as {step.name}_step.",
            )


def _own_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Give the nodes of a step's own code, without those of functions and classes inside it."""
    pending = list(body)
    while pending:
        node = pending.pop(0)
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.GeneratorExp)):
            pending = [*ast.iter_child_nodes(node), *pending]


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"
