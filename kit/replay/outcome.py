"""What a replayed step left, beside what the recorded task had left."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any

from kit import internals
from kit.model import LazyArtifacts, StepResult
from kit.replay.compare import equal, sha
from kit.replay.prepare import Prepared
from kit.replay.streams import Printed

__all__ = ["assigned_artifacts", "outcome"]


def outcome(
    prepared: Prepared,
    flow: Any,
    assigned: Mapping[str, Any],
    seconds: float,
    printed: Printed,
    cards: Mapping[str, tuple[Any, ...]],
    notes: tuple[str, ...],
) -> StepResult:
    """Compare what the step left with what the recorded task left: by hash, then by value."""
    from kit.replay.task import InputStore

    if not isinstance(flow._datastore, InputStore):  # a join's own output: what merge_artifacts passed on
        flow._datastore = InputStore(flow._datastore, {}, prepared.loaded.module)
    inherited = {name: key for name, key in flow._datastore.items() if not name.startswith("_")}
    shas = {**inherited, **{name: sha(value) for name, value in {**prepared.overrides, **assigned}.items()}}
    before = {artifact.name: artifact.sha for artifact in prepared.task.artifacts}
    has_record = prepared.task.status != "running" and bool(before)

    def same(name: str) -> bool:
        if shas[name] == before[name]:
            return True
        recorded = prepared.runs.load(prepared.task.pathspec, [name], prepared.target.run.store)[name]
        return equal(getattr(flow, name), recorded)

    common = [name for name in shas if name in before]
    equal_names = frozenset(name for name in common if same(name))

    transition = flow._transition
    return StepResult(
        origin=str(prepared.task.pathspec),
        step=prepared.step,
        artifacts=LazyArtifacts(tuple(sorted(shas)), lambda name: getattr(flow, name)),
        same=equal_names if has_record else None,
        changed=frozenset(common) - equal_names if has_record else None,
        added=frozenset(shas) - frozenset(before) if has_record else None,
        missing=frozenset(before) - frozenset(shas) if has_record else None,
        next_steps=tuple(transition[0]) if transition else (),
        exception=None,
        seconds=seconds,
        stdout=printed.stdout,
        stderr=printed.stderr,
        cards=cards,
        notes=notes,
    )


def assigned_artifacts(flow: Any) -> dict[str, Any]:
    """Give the public artifacts that a task would store, chosen as TaskDataStore.persist chooses them."""
    parameter_class = internals.parameters.Parameter
    found = {}
    for name in dir(flow):
        if name.startswith("_") or name in flow._EPHEMERAL:
            continue
        if isinstance(getattr(type(flow), name, None), property):
            continue
        value = getattr(flow, name)
        if not isinstance(value, (MethodType, FunctionType, parameter_class)):
            found[name] = value
    return found
