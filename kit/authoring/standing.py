"""What the steps of a notebook's flow left, and which of them are stale, and why."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.authoring.shape import Shape
from kit.authoring.stepcell import StepCell
from kit.authoring.uses import Uses

__all__ = ["Ran", "Standing", "standings", "used"]

_SAID = {"stale": "is stale", "failed": "failed", "not run": "has not run"}


@dataclass
class Ran:
    """What a step left, and of what.

    Args:
        outputs: The datastores of its tasks, in order.
        before: The versions of the steps before it that it ran on, by name.
        parameters: The hashes of the Parameters that it ran on.
        uses: What it used of the notebook, by name.
        version: How often what it left has changed.
    """

    outputs: list[Any]
    before: dict[str, int]
    parameters: dict[str, str]
    uses: dict[str, str]
    version: int


@dataclass(frozen=True)
class Standing:
    """How a step stands.

    Args:
        status: "succeeded", "failed", "stale" or "not run".
        why: What made it stale.
    """

    status: str
    why: tuple[str, ...] = field(default=())

    @property
    def is_fresh(self) -> bool:
        """Whether what it left is what it would leave now."""
        return self.status == "succeeded"


def used(shape: Shape, cell: StepCell, uses: Uses, seeds: Sequence[str] = ()) -> dict[str, str]:
    """Give what a step uses of the notebook, by content: in its body, and to find the items that it runs for.

    Args:
        shape: The flow.
        cell: The step.
        uses: Tells what a piece of code uses.
        seeds: The statements that seed random numbers for it.
    """
    arguments = "self, inputs" if shape.is_join(cell.name) else "self"
    items = f"\n({cell.foreach})\n" if cell.foreach and not cell.foreach.isidentifier() else ""
    found = uses.of(cell.body + items, arguments)
    if seeds:
        text = "\n".join(seeds)
        found["the random seed"] = repr((text, sorted(uses.of(text).items())))
    return found


def standings(
    shape: Shape,
    ran: Mapping[str, Ran],
    failed: Collection[str],
    parameters: Mapping[str, str],
    uses: Uses,
    seeds: Mapping[str, Sequence[str]],
) -> dict[str, Standing]:
    """Say how each step stands.

    Args:
        shape: The flow.
        ran: What its steps left.
        failed: The names of those that raised.
        parameters: The hashes of the Parameters as they are now.
        uses: Tells what a piece of code uses.
        seeds: For each step, the statements that seed random numbers for it.
    """
    found: dict[str, Standing] = {}
    for name, cell in shape.steps.items():
        if name in failed or name not in ran:
            found[name] = Standing("failed" if name in failed else "not run")
            continue
        why = tuple(_why(shape, cell, ran, parameters, used(shape, cell, uses, seeds.get(name, ())), found))
        found[name] = Standing("stale" if why else "succeeded", why)
    return found


def _why(
    shape: Shape,
    cell: StepCell,
    ran: Mapping[str, Ran],
    parameters: Mapping[str, str],
    uses: Mapping[str, str],
    found: Mapping[str, Standing],
) -> Iterator[str]:
    then, before = ran[cell.name], shape.before[cell.name]
    for name in sorted(then.uses.keys() | uses.keys()):
        if then.uses.get(name) != uses.get(name):
            yield f"{name} changed" if name in uses else f"{name} is gone"
    for name in sorted(then.parameters.keys() | parameters.keys()):
        if then.parameters.get(name) != parameters.get(name) and _may_read(cell, name):
            yield f"Parameter {name} changed"
    if tuple(then.before) != before:
        yield f"it comes after {', '.join(before)} now"
        return
    for name in before:
        if not found[name].is_fresh:
            yield f"{name} {_SAID[found[name].status]}"
        elif ran[name].version != then.before[name]:
            yield f"{name} left something else"


def _may_read(cell: StepCell, name: str) -> bool:
    """Whether a step may read a Parameter: it names it, or it gives `self` away."""
    if re.search(rf"\b{re.escape(name)}\b", f"{cell.body}\n{cell.foreach}"):
        return True
    tree = ast.parse(cell.body)
    attributes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return any(
        isinstance(node, ast.Name) and node.id == "self" and id(node) not in attributes for node in ast.walk(tree)
    )
