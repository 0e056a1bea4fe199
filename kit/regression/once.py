"""Runs of flows in test mode, each once, however many tests and processes ask for it: what pytest's session shares."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kit import internals
from kit.model import Verdict
from kit.project import Project, datastore_environment, user_environment
from kit.regression.flows import Ran, not_run, plan_flows, run_in_test_mode
from kit.regression.places import session_folder

try:
    import fcntl
except ImportError:  # Windows, where there is no Metaflow either
    fcntl = None  # type: ignore[assignment]

__all__ = ["RunsOnce"]


class RunsOnce:
    """The runs of one project in one session of tests.

    Args:
        project: The project.
        shared: A folder that the processes of the session share.
    """

    def __init__(self, project: Project, shared: Path) -> None:
        self.project = project
        name = hashlib.sha256(str(project.root).encode()).hexdigest()[:12]
        self._folder = shared / name
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / ".metaflow").mkdir(exist_ok=True)
        self._known: dict[str, Ran] = {}

    @property
    def environ(self) -> dict[str, str]:
        """The variables that put all runs into the session's own datastore."""
        return datastore_environment(self._folder)

    def executed(self) -> Path:
        """Give the folder for the executed notebooks of the session."""
        with self._locked("executed"):
            named = self._folder / "executed.txt"
            if not named.exists():
                folder = session_folder(self.project)
                folder.mkdir(parents=True, exist_ok=True)
                named.write_text(str(folder), encoding="utf-8")
            return Path(named.read_text(encoding="utf-8"))

    def run_all(self, flows: Iterable[str]) -> dict[str, Ran]:
        """Give the runs of flows, and of those that they need; run what has not been run yet.

        Args:
            flows: Their names; those that the project does not have are passed over.

        Raises:
            KitError: The settings of a flow's test mode are wrong.
        """
        runs: dict[str, Ran] = {}
        for name, needs in plan_flows(self.project, set(flows)).items():
            broken = [need for need in needs if not runs[need].pathspec]
            runs[name] = Ran(not_run(name, broken[0])) if broken else self._run(name)
        return runs

    def run(self, name: str, parameters: Mapping[str, Any]) -> Ran:
        """Give the run of one flow with its Parameters; what it needs is run first.

        Args:
            name: The flow's name.
            parameters: Values of Parameters, beside those of its test mode.

        Raises:
            KitError: There is no such flow, or the settings of its test mode are wrong.
        """
        self.project.flow(name)
        words = [word for key, value in parameters.items() for word in (f"--{key}", _word(value))]
        if not words:
            return self.run_all([name])[name]
        needs = plan_flows(self.project, [name])[name]
        broken = [need for need, ran in self.run_all(needs).items() if not ran.pathspec]
        return Ran(not_run(name, broken[0])) if broken else self._run(name, words)

    @contextmanager
    def read_here(self) -> Iterator[None]:
        """Have Metaflow's client and kit read the session's datastore in this process."""
        everything = {**self.environ, **user_environment()}
        before = {name: os.environ.get(name) for name in everything}
        local = next(p for p in internals.METADATA_PROVIDERS if p.TYPE == "local")
        settings = [
            (internals.config, "DEFAULT_DATASTORE", "local"),
            (internals.config, "DEFAULT_METADATA", "local"),
            (internals.client_core, "current_metadata", local),
            (internals.LocalStorage, "datastore_root", str(self._folder / ".metaflow")),
        ]
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in settings]
        os.environ.update(everything)
        for owner, name, value in settings:
            setattr(owner, name, value)
        try:
            yield
        finally:
            for owner, name, value in kept:
                setattr(owner, name, value)
            for name, text in before.items():
                if text is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = text

    def _run(self, name: str, words: Sequence[str] = ()) -> Ran:
        key = hashlib.sha256(json.dumps([name, *words]).encode()).hexdigest()[:16]
        if key in self._known:
            return self._known[key]
        with self._locked(key):  # another process may be running it
            record = self._folder / f"{key}.json"
            if record.exists():
                data = json.loads(record.read_text(encoding="utf-8"))
                data["verdict"]["notes"] = tuple(data["verdict"]["notes"])
                ran = Ran(Verdict(**data["verdict"]), data["pathspec"])
            else:
                ran = run_in_test_mode(self.project, self.project.flow(name), self.environ, tuple(words))
                record.write_text(json.dumps(asdict(ran)), encoding="utf-8")
        self._known[key] = ran
        return ran

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(self._folder / f"{name}.lock", "w", encoding="utf-8"))
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value, default=str)
