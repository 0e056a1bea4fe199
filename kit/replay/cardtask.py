"""The task that a card's `render(task)` is given: the replayed one, with the interface of Metaflow's client.

The recorded Task would show what the recorded run left, is not there for a step that has never run, and copies every
artifact into the client's cache on disk. So artifacts, logs and times come from the replay, Parameters too; whatever
else a card asks (metadata, code, other steps) is answered by the client's own recorded object.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from kit.model import RunInfo, StepResult, TaskInfo
from kit.runs import PARAMETERS_STEP, Runs

__all__ = ["CardTask"]

MISSING = object()


@dataclass(frozen=True)
class CardArtifact:
    """An artifact of the replayed task, as the client's DataArtifact.

    Args:
        id: Its name.
        parent: Its task.
        read: Gives its value.
    """

    id: str
    parent: Any
    read: Callable[[str], Any]

    @property
    def data(self) -> Any:
        """Its value."""
        return self.read(self.id)

    @property
    def size(self) -> int:
        """The size of its pickle, in bytes."""
        return len(pickle.dumps(self.data, protocol=4))

    @property
    def sha(self) -> str:
        """The SHA-1 of its pickle."""
        return hashlib.sha1(pickle.dumps(self.data, protocol=4), usedforsecurity=False).hexdigest()

    @property
    def pathspec(self) -> str:
        """Its address."""
        return f"{self.parent.pathspec}/{self.id}"

    @property
    def path_components(self) -> list[str]:
        """The parts of its address."""
        return self.pathspec.split("/")

    @property
    def created_at(self) -> datetime:
        """When the replay ended."""
        found: datetime = self.parent.finished_at
        return found

    finished_at = created_at


class CardData:
    """What `task.data` is: artifacts as attributes.

    Args:
        values: Reads them by name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._values:
            raise AttributeError(name)
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __dir__(self) -> list[str]:
        return list(self._values)


class _Recorded:
    """What the client has recorded of something, opened when it is first asked for."""

    def __init__(self, kind: str, pathspec: str) -> None:
        self._kind = kind
        self.pathspec = pathspec
        self.path_components = pathspec.split("/")
        self.id = self.path_components[-1]

    @cached_property
    def _recorded(self) -> Any:
        import metaflow

        try:
            return getattr(metaflow, self._kind)(self.pathspec)
        except metaflow.exception.MetaflowNotFound:
            return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._recorded is None:
            raise AttributeError(f"{self.pathspec} has not been recorded, so it has no {name}")
        return getattr(self._recorded, name)

    def __repr__(self) -> str:
        return f"{self._kind}('{self.pathspec}')"


class _Values(_Recorded):
    """A task whose artifacts are given."""

    def __init__(self, pathspec: str, parent: Any, finished: datetime, seconds: float) -> None:
        super().__init__("Task", pathspec)
        self.parent = parent
        self.finished_at = finished
        self.created_at = finished - timedelta(seconds=seconds)
        self.finished = self.successful = True

    def _names(self) -> Iterable[str]:
        raise NotImplementedError

    def _read(self, name: str) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[CardArtifact]:
        return (CardArtifact(name, self, self._read) for name in self._names() if not name.startswith("_"))

    def __contains__(self, name: str) -> bool:
        return name in self._names()

    def __getitem__(self, name: str) -> Any:
        if name in self:
            return CardArtifact(name, self, self._read)
        if self._recorded is not None and name.startswith("_"):
            return self._recorded[name]
        raise KeyError(name)

    @property
    def artifacts(self) -> Any:
        """The artifacts, as a named tuple."""
        found = {artifact.id: artifact for artifact in self}
        return namedtuple("MetaflowArtifacts", list(found))(**found)

    @property
    def data(self) -> CardData:
        """The artifacts' values, as attributes."""
        return CardData(_Lazily(tuple(artifact.id for artifact in self), self._read))


class _Lazily(Mapping[str, Any]):
    def __init__(self, names: tuple[str, ...], read: Callable[[str], Any]) -> None:
        self._names, self._read = names, read

    def __getitem__(self, name: str) -> Any:
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class CardTask(_Values):
    """The replayed task, as a card's `render` is given it.

    Args:
        runs: The project's runs.
        run: The run that was replayed.
        task: The task that was replayed; it need not be recorded.
        result: Gives what the replay left.
        flow: The flow object, as the step left it.
        finished: When the step had run.
    """

    def __init__(
        self, runs: Runs, run: RunInfo, task: TaskInfo, result: Callable[[], StepResult], flow: Any, finished: datetime
    ) -> None:
        self._result = result()
        self._flow = flow
        parent = _Step(f"{run.pathspec}/{task.pathspec.step}", _Run(runs, run, self), self)
        super().__init__(str(task.pathspec), parent, finished, self._result.seconds)
        self.current_attempt = task.attempt
        self.index = task.index[-1] if task.index else None
        self.stdout, self.stderr = self._result.stdout, self._result.stderr
        self.exception = self._result.exception

    def _names(self) -> Iterable[str]:
        return self._result.artifacts

    def _read(self, name: str) -> Any:
        return self._result.artifacts[name]

    @property
    def tags(self) -> frozenset[str]:
        """The run's tags."""
        found: frozenset[str] = self.parent.parent.tags
        return found


class _Step(_Recorded):
    """A step with one task that is given."""

    def __init__(self, pathspec: str, parent: Any, task: Any) -> None:
        super().__init__("Step", pathspec)
        self.parent, self.task = parent, task

    def __iter__(self) -> Iterator[Any]:
        others = () if self._recorded is None else self._recorded
        return iter([self.task, *(task for task in others if task.id != self.task.id)])

    def __getitem__(self, task: str) -> Any:
        if task == self.task.id:
            return self.task
        if self._recorded is None:
            raise KeyError(task)
        return self._recorded[task]

    def __contains__(self, task: str) -> bool:
        return task == self.task.id or (self._recorded is not None and task in self._recorded)


class _Run(_Recorded):
    """The recorded run, with the replayed step in it."""

    def __init__(self, runs: Runs, run: RunInfo, task: CardTask) -> None:
        super().__init__("Run", str(run.pathspec))
        self._runs, self._run, self._replayed = runs, run, task

    def __iter__(self) -> Iterator[Any]:
        own = self._replayed.parent
        others = [] if self._recorded is None else list(self._recorded)
        if own.id not in [step.id for step in others]:
            yield own
        yield from (own if step.id == own.id else step for step in others)

    def __getitem__(self, step: str) -> Any:
        if step == self._replayed.parent.id:
            return self._replayed.parent
        if step == PARAMETERS_STEP and self._parameters is not None:
            return self._parameters
        if self._recorded is None:
            raise KeyError(step)
        return self._recorded[step]

    def __contains__(self, step: str) -> bool:
        try:
            return self[step] is not None
        except KeyError:
            return False

    @cached_property
    def _parameters(self) -> _Step | None:
        for ds in self._runs.task_stores(self._run, PARAMETERS_STEP):
            step = _Step(f"{self.pathspec}/{PARAMETERS_STEP}", self, None)
            step.task = _ParametersTask(ds, step, self._replayed)
            return step
        return None


class _ParametersTask(_Values):
    """The task in which Metaflow records Parameters, with the values that the replay had."""

    def __init__(self, recorded: Any, parent: _Step, replayed: CardTask) -> None:
        super().__init__(f"{parent.pathspec}/{recorded.task_id}", parent, replayed.created_at, 0.0)
        self._stored, self._replayed = recorded, replayed
        self.stdout = self.stderr = ""

    def _names(self) -> Iterable[str]:
        return [name for name in self._stored if not name.startswith("_")]

    def _read(self, name: str) -> Any:
        if name in self._replayed:
            return self._replayed[name].data
        value = getattr(self._replayed._flow, name, MISSING)
        return self._stored[name] if value is MISSING else value
