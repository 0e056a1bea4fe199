"""What differs between two recorded runs, steps or tasks, by content hash: nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kit.model import OWN_ARTIFACTS, ArtifactInfo, Pathspec, StepInfo, TaskInfo
from kit.views import Displayed
from kit.views.details import ArtifactChange
from kit.views.page import Page, count

__all__ = ["RunDifference", "compare"]


class RunDifference(Displayed, Sequence[ArtifactChange]):
    """The artifacts that differ, each where it first came out different.

    Args:
        new: What was compared.
        old: What it was compared with.
        changes: What differs.
        same: How many artifacts are the same.
        notes: What there is to say besides.
    """

    def __init__(
        self, new: Pathspec, old: Pathspec, changes: Sequence[ArtifactChange], same: int, notes: Sequence[str]
    ) -> None:
        self.new, self.old, self.changes, self.same, self.notes = new, old, tuple(changes), same, tuple(notes)

    def __getitem__(self, index: int) -> ArtifactChange:  # type: ignore[override]
        return self.changes[index]

    def __len__(self) -> int:
        return len(self.changes)

    def _page(self) -> Page:
        from kit.views import compared

        return compared.difference_page(self.new, self.old, self.changes, self.same, self.notes)


Pair = tuple[ArtifactInfo | None, ArtifactInfo | None]


def compare(new: Pathspec, mine: Sequence[StepInfo], old: Pathspec, theirs: Sequence[StepInfo]) -> RunDifference:
    """Compare what two runs, steps or tasks left.

    Steps are compared by name, one step with another whatever they are called, and tasks by their foreach indices;
    tasks that one side alone has are counted. What a step only passed on is told where it first came out different.

    Args:
        new: The address of what is compared.
        mine: Its steps.
        old: The address of what it is compared with.
        theirs: Its steps.
    """
    changes: list[ArtifactChange] = []
    notes: list[str] = []
    seen: set[tuple[str, str, str]] = set()
    same: set[tuple[str, str]] = set()
    for step, ours, others in _paired(mine, theirs):
        if len(ours) != len(others):
            notes.append(f"{step}: {count(len(ours), 'task')}, {len(others):,} in {old}")
        pairs = _pairs(ours, others)
        for name in sorted(pairs):
            same |= {(name, a.sha) for a, b in pairs[name] if a and b and a.sha == b.sha}
            changes += _changes(step, name, pairs[name], seen)
    return RunDifference(new, old, changes, len(same), notes)


def _changes(step: str, name: str, pairs: Sequence[Pair], seen: set[tuple[str, str, str]]) -> Iterator[ArtifactChange]:
    by_status: dict[str, list[Pair]] = {}
    for mine, theirs in pairs:
        key = (name, theirs.sha if theirs else "", mine.sha if mine else "")
        if key[1] == key[2] or key in seen:
            continue
        status = "added" if theirs is None else "missing" if mine is None else "changed"
        by_status.setdefault(status, []).append((mine, theirs))
    for found in by_status.values():
        seen |= {(name, theirs.sha if theirs else "", mine.sha if mine else "") for mine, theirs in found}
    for status, found in by_status.items():
        mine, theirs = found[0]
        yield ArtifactChange(step, name, status, len(found), len(pairs), theirs, mine)


def _paired(
    mine: Sequence[StepInfo], theirs: Sequence[StepInfo]
) -> Iterator[tuple[str, tuple[TaskInfo, ...], tuple[TaskInfo, ...]]]:
    if len(mine) == len(theirs) == 1:
        yield mine[0].name, mine[0].tasks, theirs[0].tasks
        return
    ours, others = ({step.name: step.tasks for step in steps} for steps in (mine, theirs))
    for name in dict.fromkeys([*ours, *others]):
        yield name, ours.get(name, ()), others.get(name, ())


def _pairs(mine: Sequence[TaskInfo], theirs: Sequence[TaskInfo]) -> dict[str, list[Pair]]:
    ours, others = _placed(mine), _placed(theirs)
    if len(mine) == len(theirs) == 1:
        ours, others = {(): mine[0]}, {(): theirs[0]}
    found: dict[str, list[Pair]] = {}
    for place in (place for place in ours if place in others):
        left, right = (_named(tasks.get(place)) for tasks in (ours, others))
        for name in {*left, *right} - OWN_ARTIFACTS:
            found.setdefault(name, []).append((left.get(name), right.get(name)))
    return found


def _placed(tasks: Sequence[TaskInfo]) -> dict[tuple[object, ...], TaskInfo]:
    """Put tasks in the places in which they are compared: by foreach index, and by order where one has several."""
    found: dict[tuple[object, ...], TaskInfo] = {}
    for task in tasks:
        place: tuple[object, ...] = (task.index, 0)
        while place in found:
            place = (task.index, int(str(place[1])) + 1)
        found[place] = task
    return found


def _named(task: TaskInfo | None) -> dict[str, ArtifactInfo]:
    return {info.name: info for info in task.artifacts} if task else {}
