"""What a step that is a cell left, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import FunctionType, MethodType
from typing import Any

from kit.authoring.standing import Ran
from kit.authoring.stepcell import StepCell, assigned, pins
from kit.authoring.task import CellTask
from kit.comparison.equality import equal
from kit.model import StepResult
from kit.pins import recorded_pins, replacements, unmet
from kit.replay import Replay
from kit.views.authored import MAX_TASKS, AuthoredStep, SetTask, step_page

__all__ = ["CellResult", "compared", "with_result"]

Sets = tuple[frozenset[str] | None, frozenset[str] | None, frozenset[str] | None, frozenset[str] | None]


@dataclass(frozen=True, repr=False)
class CellResult(StepResult):
    """What a step that is a cell left; of a foreach, what its first task left.

    `same`, `changed`, `added` and `missing` are against what the step had left before in this notebook.

    Args:
        tasks: How many tasks it had.
        shown: What the page of it says.
    """

    tasks: int = 1
    shown: AuthoredStep | None = None

    def _page(self) -> Any:
        return step_page(self.shown or AuthoredStep("", self.step, self.seconds, self.tasks, ()))

    def __repr__(self) -> str:
        from kit.views import text

        return text.render(self._page())

    def _repr_html_(self) -> str:
        from kit.views import html

        return html.render(self._page())


def with_result(
    flow: str,
    cell: StepCell,
    before: Sequence[str],
    after: Sequence[str],
    replays: Sequence[CellTask],
    ran: Ran,
    old: Ran | None,
    notes: Sequence[str],
) -> Replay:
    """Give the first task's replay with the result of the whole step.

    Args:
        flow: The name of the flow.
        cell: The step.
        before: The steps that lead to it.
        after: The steps that it leads to.
        replays: Its tasks.
        ran: What it left.
        old: What it had left before.
        notes: What there is to say beside what this knows.
    """
    first = replays[0]
    sets: Sets = (None, None, None, None)
    if old is not None and old.outputs:
        sets = compared(old.outputs[0], ran.outputs[0])
    same, changed, added, missing = sets
    left = old.outputs[:MAX_TASKS] if old is not None and len(old.outputs) == len(replays) else ()
    beside = [compared(before_it, each.output) for before_it, each in zip(left, replays, strict=False)]
    shown = [_marked(each, *beside[number : number + 1]) for number, each in enumerate(replays[:MAX_TASKS])]
    said = (*first.result.notes, *notes, *_notes(cell, first))
    seconds = sum(each.result.seconds for each in replays)
    page = AuthoredStep(flow, cell.name, seconds, len(replays), shown, before, said)
    values = {each: getattr(first.result, each) for each in StepResult.__dataclass_fields__}
    values |= {"same": same, "changed": changed, "added": added, "missing": missing, "seconds": seconds}
    values |= {"next_steps": tuple(after), "notes": said}
    values["stdout"] = "".join(each.result.stdout for each in replays)
    values["stderr"] = "".join(each.result.stderr for each in replays)
    return replace(first, result=CellResult(**values, tasks=len(replays), shown=page))


def _marked(task: CellTask, beside: Sets = (None, None, None, None)) -> SetTask:
    """Give what is shown of a task, with what of it is not as the step had left it before."""
    _, changed, added, _ = beside
    marks = {**dict.fromkeys(changed or (), "changed"), **dict.fromkeys(added or (), "added")}
    return SetTask(task.item, [replace(each, mark=marks.get(each.name, "")) for each in task.shown])


def _notes(cell: StepCell, first: Replay) -> Iterator[str]:
    error = first.result.exception
    if error is not None:
        yield f"A decorator handled {type(error).__name__}: {error}"
    if first.result.cards:
        yield "It has a card: _.cards shows it."
    left = vars(first.flow)
    for name in sorted(assigned(cell.body)):
        if isinstance(left.get(name), (FunctionType, MethodType)):
            yield f"self.{name} is a function: Metaflow does not keep it, and the steps after this one do not have it."
    attributes: dict[str, Any] = {"packages": pins(cell.pypi)}
    attributes["python"] = attributes["packages"].pop("python", None)
    found = unmet(recorded_pins({"steps": {cell.name: {"decorators": [{"name": "pypi", "attributes": attributes}]}}}))
    if found:
        wanted = " ".join(f"{pin.name}{_requirement(pin.wanted)}" for pin in found if pin.name != "python")
        mend = f": %mf_install_deps {wanted} brings what is pinned" if wanted else ""
        yield f"It ran here with {replacements(found)[cell.name]}{mend}; a real run builds an environment for the step."


def _requirement(version: str) -> str:
    return version if version[:1] in "<>=!~" else f"=={version}"


def compared(old: Any, new: Any) -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Say which artifacts of two tasks are the same, changed, added and missing: by hash, then by value.

    Args:
        old: The datastore of one task.
        new: The datastore of the other.
    """
    before, after = ({name: key for name, key in store.items() if not name.startswith("_")} for store in (old, new))
    common = before.keys() & after.keys()
    same = frozenset(name for name in common if before[name] == after[name] or equal(old[name], new[name]))
    return same, frozenset(common) - same, frozenset(after.keys() - before), frozenset(before.keys() - after)
