"""The command that runs a flow as it was asked for: which words go where on Metaflow's command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit import flowfile, internals
from kit.errors import ArgumentError, FlowFileError, NotFoundError, did_you_mean
from kit.flowfile import LoadedFlow
from kit.flowrun import stand_ins
from kit.model import FlowInfo
from kit.pins import pins, unmet
from kit.project import CARD_VARIABLE, Project, path_of_interpreter, store_environment, user_environment
from kit.runs import Runs
from kit.runwords import FlowOptions, passed_words
from kit.testmode import TestMode, parameter_word, test_mode

__all__ = ["RunCommand", "RunRequest", "run_command"]

REMOTE = re.compile(r"^(kubernetes|batch)\b")


@dataclass(frozen=True)
class RunRequest:
    """How a flow is to be run.

    Args:
        words: Parameters and options of Metaflow's, as its command line takes them.
        parameters: Values of Parameters and Configs, by name.
        test: Whether it runs in test mode.
        tags: Tags for the run.
        decorators: Decorators for all steps, such as "retry:times=2" or "kubernetes".
        environment: Metaflow's environment; "" for the one that fits the flow's pins.
        resume: The step to resume from; "" for where the run failed; None for a new run.
        origin: The id of the run that is resumed; None for the latest.
        notes: What there is to say of it beforehand.
    """

    words: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    test: bool = False
    tags: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    environment: str = ""
    resume: str | None = None
    origin: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunCommand:
    """What is executed.

    Args:
        loaded: The flow.
        words: The command, word by word.
        environ: The environment of its process.
        notes: What kit did that the user should know.
    """

    loaded: LoadedFlow
    words: tuple[str, ...]
    environ: dict[str, str]
    notes: tuple[str, ...] = ()


def run_command(runs: Runs, flow: str | FlowInfo, request: RunRequest) -> RunCommand:
    """Compose the command that runs a flow.

    Args:
        runs: The project's runs.
        flow: The flow, or its name.
        request: How to run it.

    Raises:
        NotFoundError: There is no such flow, or no such run or step to resume.
        FlowFileError: The flow file does not load, or runs another flow.
        ArgumentError: A word is neither a Parameter of the flow nor an option.
        FlowRunError: A step pins a package that cannot be had in test mode.
    """
    project = runs.project
    info = project.flow(flow) if isinstance(flow, str) else flow
    with _quietly():
        loaded = flowfile.load(info)
    flowfile.require_started(loaded)
    mode = test_mode(project, loaded.info) if request.test else None
    parameters = {parameter.name: parameter for parameter in _parameters(loaded)}
    given = (f"--{name}={_word(parameters.get(name), value)}" for name, value in request.parameters.items())
    passed = passed_words(info.name, (*request.words, *given), _options(loaded, parameters.values()))
    if request.resume is not None and passed.parameters:
        raise ArgumentError(
            f"A run that is resumed keeps its Parameters: {', '.join(passed.parameters)}.",
            "Leave them out, or start a new run without --resume.",
        )
    with _quietly():
        environment, notes = _environment(loaded, request)
    command = [sys.executable, "-u", loaded.info.file, "--not-quiet", "--no-pylint", *environment]
    command += [word for each in request.decorators for word in ("--with", each)]
    command += [*(mode.options if mode else ()), *passed.before]
    tags = [word for tag in request.tags for word in ("--tag", tag)]
    if request.resume is not None:
        command += ["resume", *_origin(runs, loaded, request), *tags, *passed.after]
    else:
        command += ["run", *tags, *(mode.arguments if mode else ()), *passed.after]
    environ = {**os.environ, **user_environment(), **path_of_interpreter(), **_modules_path(project, loaded)}
    _give_store(environ, project)
    said = [*request.notes, *_others(project, info), *notes]
    if mode == TestMode():
        said.append(
            f"{info.name} has no test mode: it ran in full. kit check --explain test-mode says how to make one."
        )
    return RunCommand(loaded, tuple(command), environ, tuple(said))


@contextmanager
def _quietly() -> Iterator[None]:
    """Let a flow file print nothing while it is loaded: the run prints it too."""
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8", errors="replace"))
        stack.enter_context(redirect_stdout(nowhere))
        stack.enter_context(redirect_stderr(nowhere))
        yield


def _parameters(loaded: LoadedFlow) -> list[Any]:
    """List the flow's Parameters and Configs, as far as they can be known before a command line is read."""
    from metaflow import Config

    found = [parameter for _, parameter in loaded.cls._get_parameters()]
    for parameter in found:
        if not isinstance(parameter, Config):
            with suppress(Exception):  # it needs a Config's value, or is wrong: then the run says so
                parameter.init(True)
    return found


def _word(parameter: Any, value: Any) -> str:
    """Write the value of a Parameter; one that has a separator takes a list as text."""
    separator = getattr(parameter, "separator", None)
    if separator and isinstance(value, (list, tuple)):
        return str(separator).join(map(str, value))
    return parameter_word(value)


def _others(project: Project, info: FlowInfo) -> list[str]:
    """Say which of several flows of one name is run."""
    files = project.scan().doubled.get(info.name, ())
    if info.file not in files:
        return []
    others = ", ".join(project.relative(file) for file in files if file != info.file)
    return [f"{info.name} is the one of {project.relative(info.file)}; one of that name is also in {others}"]


def _modules_path(project: Project, loaded: LoadedFlow) -> dict[str, str]:
    """Let a flow file that is not in the project's flows import what lies there."""
    folders = [str(project.flows_folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = project.flows_folder in Path(loaded.info.file).parents
    return {} if own else {"PYTHONPATH": os.pathsep.join(folders)}


def _give_store(environ: dict[str, str], project: Project) -> None:
    """Have a run written to the project's datastore, whichever folder this process is in."""
    if project.sysroot is not None:
        return
    store = project.stores()[0]
    environ.update(store_environment(store.parent))
    if store.parent == project.root:  # where it starts: Metaflow then finds the place of its cards by itself
        store.mkdir(exist_ok=True)
        del environ[CARD_VARIABLE]


def _origin(runs: Runs, loaded: LoadedFlow, request: RunRequest) -> list[str]:
    name = loaded.info.name
    run = runs.run(name, request.origin) if request.origin else runs.latest(name)[0]
    steps = [node.name for node in loaded.cls._graph]
    if request.resume and request.resume not in steps:
        raise NotFoundError(
            f"{name} has no step {request.resume}.", did_you_mean(request.resume, steps, f"steps of {name}")
        )
    return ["--origin-run-id", run.id, *([request.resume] if request.resume else [])]


def _environment(loaded: LoadedFlow, request: RunRequest) -> tuple[Sequence[str], tuple[str, ...]]:
    """Choose Metaflow's environment: the one that was asked for, else one in which the flow's pins hold."""
    if request.environment:
        return ["--environment", request.environment], ()
    remote = any(REMOTE.match(spec) for spec in request.decorators)
    if remote or internals.config.DEFAULT_ENVIRONMENT not in (None, "local"):
        return [], ()
    if request.test:
        return stand_ins(loaded)
    with suppress(FlowFileError):  # pins that depend on a Config which the command line gives
        found = pins(loaded)
        if not found:
            return [], ()
        if not unmet(found):
            return ["--environment=unpinned"], ()  # the pins are what this interpreter has
    return ["--environment=pypi-uv"], ("steps with pins run in environments of their own: --environment=pypi-uv",)


def _options(loaded: LoadedFlow, parameters: Collection[Any]) -> FlowOptions:
    from metaflow import Config, IncludeFile

    configs = [each.name for each in parameters if isinstance(each, Config)]
    groups = loaded.cls._flow_state[internals.FlowStateItems.FLOW_DECORATORS].values()
    specs = [(name, spec) for group in groups for decorator in group for name, spec in decorator.options.items()]
    return FlowOptions(
        parameters=tuple(each.name for each in parameters if each.name not in configs),
        configs=tuple(configs),
        truths=tuple(each.name for each in parameters if each.kwargs.get("type") is bool),
        files=tuple(each.name for each in parameters if isinstance(each, IncludeFile)),
        decorators={name.replace("_", "-"): bool(spec.get("is_flag")) for name, spec in specs},
    )
