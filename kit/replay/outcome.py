"""What a replayed step left, beside what the recorded task had left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kit.comparison.difference import differences
from kit.comparison.equality import equal
from kit.model import LazyArtifacts, StepResult
from kit.records import type_name
from kit.replay.job import Job
from kit.replay.placeholder import Placeholder
from kit.replay.prepare import Prepared
from kit.replay.streams import Printed

__all__ = ["assigned", "outcome"]


class Finished(Protocol):
    """A task that has run, in this process or in another."""

    job: Job
    runner: Any  # its flow, and what the step's body raised

    @property
    def output(self) -> Any:
        """What the step left: Metaflow's TaskDataStore of the task, to be read."""

    def recorded_artifact(self, name: str) -> Any:
        """Load what the recorded task left under a name."""


def outcome(
    prepared: Finished,
    seconds: float,
    printed: Printed,
    cards: Mapping[str, Any],
    notes: Sequence[str],
) -> StepResult:
    """Compare what the step left with what the recorded task left: by hash, then by value.

    Args:
        prepared: The task, after its run.
        seconds: How long it ran.
        printed: What it printed.
        cards: Its cards.
        notes: What there is to say.
    """
    job, flow = prepared.job, prepared.runner.flow
    after = _public(prepared.output)
    before = {artifact.name: artifact.sha for artifact in job.recorded.artifacts} if job.recorded else {}
    has_record = job.recorded is not None and job.recorded.status != "running" and bool(before)

    known = {artifact.name: artifact.type for artifact in job.recorded.artifacts} if job.recorded else {}
    infos = prepared.output.ds_metadata["info"]

    def recorded(name: str) -> Any:
        try:
            return prepared.recorded_artifact(name)
        except Exception as error:  # whatever unpickling runs into
            return Placeholder(name, known.get(name, "object"), before[name], f"{type(error).__name__}: {error}")

    def now(name: str) -> Any:
        try:
            return getattr(flow, name)
        except Exception as error:
            kind = type_name(infos.get(name, {}))
            return Placeholder(name, kind, after[name], f"{type(error).__name__}: {error}")

    common = [name for name in after if name in before]
    same = frozenset(name for name in common if after[name] == before[name] or equal(now(name), recorded(name)))
    changed = frozenset(common) - same
    added, missing = frozenset(after) - frozenset(before), frozenset(before) - frozenset(after)
    transition = flow._transition
    return StepResult(
        origin=str(job.origin),
        step=job.step,
        artifacts=LazyArtifacts(tuple(sorted(after)), now),
        same=same if has_record else None,
        changed=changed if has_record else None,
        added=added if has_record else None,
        missing=missing if has_record else None,
        next_steps=tuple(transition[0]) if transition else (),
        exception=prepared.runner.raised,
        seconds=seconds,
        stdout=printed.stdout,
        stderr=printed.stderr,
        cards=cards,
        notes=tuple(notes),
        differences=differences(changed, recorded, now) if has_record else {},
        types=_types(prepared, added, missing) if has_record else {},
    )


def _types(prepared: Finished, added: frozenset[str], missing: frozenset[str]) -> dict[str, str]:
    """Name the types of the artifacts that only one side has, as the datastore knows them: nothing is loaded."""
    before = prepared.job.recorded.artifacts if prepared.job.recorded else ()
    after = prepared.output.ds_metadata["info"]
    gone = {artifact.name: artifact.type for artifact in before if artifact.name in missing}
    return gone | {name: type_name(after[name]) for name in added}


def assigned(prepared: Prepared) -> tuple[str, ...]:
    """Name the public artifacts that the step itself set or changed."""
    after, here = _public(prepared.output), vars(prepared.runner.flow)
    before = {} if prepared.node.type == "join" else _public(prepared.inputs[0])
    return tuple(sorted(name for name in after.keys() & here.keys() if before.get(name) != after[name]))


def _public(store: Any) -> dict[str, str]:
    """Give the keys of the artifacts that Metaflow's client lists."""
    return {name: key for name, key in store.items() if not name.startswith("_")}
