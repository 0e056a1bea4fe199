"""A notebook's flow as a file that a person would have written."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from kit.authoring.carried import Carrier, Moved, Use
from kit.authoring.common import with_added
from kit.authoring.decorated import decorator_names, decorator_text
from kit.authoring.deferred import defer
from kit.authoring.imports import marked, sorted_imports, without_imports
from kit.authoring.names import used_by_body
from kit.authoring.shape import Shape
from kit.authoring.stepcell import StepCell, pins
from kit.errors import ArgumentError
from kit.source import indented

__all__ = ["Written", "format_source", "module_text", "step_body", "uses_of", "write_flow"]

RUFF_SECONDS = 60


@dataclass(frozen=True)
class Written:
    """A flow file's text.

    Args:
        text: The text.
        notes: What there is to say of it.
    """

    text: str
    notes: tuple[str, ...] = ()


def write_flow(name: str, shape: Shape, carrier: Carrier, doc: str, local: Iterable[str] = ()) -> Written:
    """Write a flow file.

    Args:
        name: The name of the flow.
        shape: Its steps, all of them.
        carrier: Gathers what they use of the notebook.
        doc: What the file and the class say of themselves.
        local: Names of modules that lie beside the file.

    Raises:
        ArgumentError: A step uses a name that only running the notebook gives.
    """
    known = carrier.parameter_names()
    bodies, uses = _bodies(shape, known), uses_of(shape, known)
    carried = carrier.carry(uses)
    typing: tuple[str, ...] = ()
    if any(each.pypi for each in shape.steps.values()):
        used = {each.who: (bodies[each.who], each.used) for each in uses}
        deferred = defer(carried.imports, carried.code, carried.parameters, used)
        bodies, typing = dict(deferred.bodies), deferred.typing
        notes = (*carried.notes, *_unpinned(shape, deferred.needs))
        carried = replace(carried, imports=deferred.top, code=deferred.code, notes=notes)
    bodies = {step: without_imports(body, carried.imports) for step, body in bodies.items()}
    if any(_binds(source, name) for source in carried.code):
        raise ArgumentError(f"{name} is a name of the notebook's too.", "Name the flow otherwise: %mf_flow --name.")
    decorators = {name for each in shape.steps.values() for name in decorator_names(each.decorators)}
    decorators |= {"pypi"} if any(each.pypi for each in shape.steps.values()) else set()
    own = ["FlowSpec", *sorted(decorators), "step"]
    imports = [*(f"from metaflow import {each}" for each in own), *carried.imports]
    imports += ["from typing import TYPE_CHECKING"] if typing else []
    parts = [f'"""{doc}"""' if doc else ""]
    futures = {*carried.futures, "annotations"} if typing else set(carried.futures)
    if futures:
        parts.append(f"from __future__ import {', '.join(sorted(futures))}")
    parts += [
        sorted_imports(imports, set(local)),
        "if TYPE_CHECKING:\n" + indented(sorted_imports(typing, set(local)), 4) if typing else "",
        _code(carried.code),
        _class(name, shape, bodies, carried.parameters, doc, known),
    ]
    parts.append(f'if __name__ == "__main__":\n    {name}()')
    head, tail = [part for part in parts[:-3] if part], [part for part in parts[-3:] if part]
    return Written(marked("\n\n".join(head) + "\n\n\n" + "\n\n\n".join(tail)), carried.notes)


def _bodies(shape: Shape, known: Sequence[str]) -> dict[str, str]:
    bodies = {each.name: step_body(shape, each, known) for each in shape.steps.values()}
    if any(ast.get_docstring(ast.parse(body)) for body in bodies.values()):  # then those that kit adds have one too
        added = [each.name for each in shape.steps.values() if not each.cell]
        bodies |= {step: f'"""{step.capitalize()} the flow."""\n{bodies[step]}' for step in added}
    return bodies


def uses_of(shape: Shape, known: Sequence[str]) -> list[Use]:
    """Give what each step uses.

    Args:
        shape: The flow.
        known: The names of its Parameters.
    """
    return [
        Use(step, body, used_by_body(body, _arguments(shape, step)), shape.steps[step].cell)
        for step, body in _bodies(shape, known).items()
    ]


def module_text(moved: Moved, text: str, local: Iterable[str]) -> str:
    """Add to the text of the project's common.py.

    Args:
        moved: What is added.
        text: The text.
        local: Names of modules that lie beside it.
    """
    return with_added(text, sorted_imports(moved.imports, set(local)), _code(moved.code))


def step_body(shape: Shape, step: StepCell, known: Iterable[str]) -> str:
    """Give a step's statements, with what begins the foreach after it, without its `self.next`.

    Args:
        shape: The flow.
        step: The step.
        known: The names of its Parameters.
    """
    body = step.body.strip("\n")
    each = shape.splits_foreach(step.name)
    if each is None:
        return body
    variable, is_new = shape.variable(each, known)
    if not is_new:
        return body
    items = each.foreach if _gives_list(each.foreach) else f"list({each.foreach})"
    return f"{body}\nself.{variable} = {items}".strip("\n")


def _gives_list(text: str) -> bool:
    node = ast.parse(text, mode="eval").body
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(node, ast.List) or (isinstance(called, ast.Name) and called.id in ("list", "sorted"))


def _arguments(shape: Shape, step: str) -> str:
    return "self, inputs" if shape.is_join(step) else "self"


def _class(
    name: str, shape: Shape, bodies: dict[str, str], parameters: Sequence[str], doc: str, known: Sequence[str]
) -> str:
    lines = [f"class {name}(FlowSpec):"]
    if doc:
        lines += [f'    """{doc}"""', ""]
    for source in parameters:
        lines += [indented(source, 4)]
    if parameters:
        lines += [""]
    for step in shape.steps.values():
        if step.pypi:
            lines.append(f"    @pypi({_pins(step)})")
        lines += [f"    @{decorator_text(each)}" for each in step.decorators]
        lines += ["    @step", f"    def {step.name}({_arguments(shape, step.name)}):"]
        body = indented(bodies[step.name], 8)
        going = _next(shape, step, known)
        if body.strip():
            lines.append(body)
        if going:
            lines.append(f"        {going}")
        elif not body.strip() or not ast.parse(bodies[step.name]).body:
            lines.append("        pass")
        lines.append("")
    return "\n".join(lines).rstrip()


def _unpinned(shape: Shape, needs: Mapping[str, str]) -> Iterator[str]:
    """Say which steps pin packages, but not one that the file needs before any step runs."""
    for module, wanted in needs.items():
        names = {canonicalize_name(each) for each in packages_distributions().get(module, [module])}
        without = [
            step.name
            for step in shape.steps.values()
            if step.pypi and not names & {canonicalize_name(each.partition("[")[0]) for each in pins(step.pypi)}
        ]
        if without:
            yield (
                f"The file imports {module} at its top, for {wanted}: where the pins of {' and '.join(without)} "
                f"do not bring it, that step does not start (--pypi {sorted(names)[0]}==...)."
            )


def _next(shape: Shape, step: StepCell, known: Sequence[str]) -> str:
    after = shape.after(step.name)
    if not after:
        return ""
    each = shape.splits_foreach(step.name)
    steps = ", ".join(f"self.{name}" for name in after)
    if each is None:
        return f"self.next({steps})"
    return f'self.next({steps}, foreach="{shape.variable(each, known)[0]}")'


def _pins(step: StepCell) -> str:
    found = pins(step.pypi)
    python = found.pop("python", None)
    parts = [f'python="{python}"'] if python else []
    if found:
        parts.append("packages={" + ", ".join(f'"{name}": "{version}"' for name, version in found.items()) + "}")
    return ", ".join(parts)


def _code(sources: Sequence[str]) -> str:
    """Put constants line below line, and functions and classes apart."""
    text = ""
    for before, source in zip(["", *sources], sources, strict=False):
        gap = "\n" * max(_gap(before), _gap(source))
        text += (gap if text else "") + source
    return text


def _gap(source: str) -> int:
    """Count the line ends around a statement: two empty lines around functions, one around what has several parts."""
    if re.search(r"(?m)^(@|(async )?def |class )", source):
        return 3
    return 2 if re.search(r"(?m)^(if|try)\b", source) else 1


def _binds(source: str, name: str) -> bool:
    return any(
        isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name for node in ast.parse(source).body
    )


def format_source(text: str, target: Path, root: Path) -> Written:
    """Format a file's text as its project's ruff would, where there is ruff.

    Args:
        text: The text.
        target: Where it is to stand: the settings are those of its project.
        root: The project's root, where ruff is run.
    """
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        return Written(text, ("It is not formatted: there is no ruff here (pip install ruff).",))
    name = ["--stdin-filename", str(target), "-"]

    def run(*words: str, given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ruff, *words, *name], cwd=root, input=given, capture_output=True, text=True, timeout=RUFF_SECONDS
        )

    fixed = run("check", "--quiet", "--fix", "--exit-zero", "--extend-select", "I", "--no-cache", given=text)
    done = run(
        "format", "--quiet", "--no-cache", given=fixed.stdout if fixed.returncode == 0 and fixed.stdout else text
    )
    if done.returncode or not done.stdout:
        said = next(iter((done.stderr or fixed.stderr).splitlines()), "")
        return Written(text, (f"It is not formatted: ruff says {said}",))
    left = run("check", "--quiet", "--no-cache", "--output-format", "concise", given=done.stdout).stdout.splitlines()
    rest = [line.partition(":")[2] for line in left if re.search(r":\d+:\d+: ", line)]
    return Written(done.stdout, tuple(f"ruff check: line {line}" for line in rest))
