"""The pins of a flow's steps as requirements: what `%mf_install_deps --flow` brings to this interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kit import flowfile
from kit.deps import DependencyState, install_dependencies
from kit.errors import NotFoundError, RequirementError, did_you_mean
from kit.installed import outdated_imports, versions
from kit.model import Pin
from kit.pins import pins, recorded_pins, unmet
from kit.project import Project
from kit.requirements import Requirement, pin_text, read_spec
from kit.runs import Runs
from kit.views import Displayed
from kit.views.page import Page

__all__ = ["Installed", "flow_pins", "install", "requirements"]


class Installed(Displayed, tuple[DependencyState, ...]):
    """What became of each requirement."""

    notes: tuple[str, ...] = ()

    def _page(self) -> Page:
        from kit.views import build

        rows = [(state.requirement.label, state.wanted, state.had, state.now, state.action) for state in self]
        return replace(build.dependency_page(rows), notes=self.notes)


def install(
    wanted: Sequence[Requirement],
    found: Sequence[Pin],
    *,
    upgrade: bool = False,
    check: bool = False,
    dry_run: bool = False,
    from_source: bool = False,
) -> Installed:
    """Bring requirements and the pins of steps to this interpreter, and tell what is imported at an old version.

    Args:
        wanted: Requirements.
        found: Pins.
        upgrade, check, dry_run, from_source: As `install_dependencies` takes them.

    Raises:
        RequirementError: The pins contradict each other, one is not met (`check`), or cannot be installed.
    """
    pinned, notes = requirements(found)
    if check and notes:
        raise RequirementError(notes[0], "Or start a kernel with that Python: --isolated makes one, from 3.10 on.")
    before = versions()
    states = install_dependencies(
        [*wanted, *pinned], upgrade=upgrade, check=check, dry_run=dry_run, from_source=from_source
    )
    outdated = outdated_imports(before)
    if outdated:
        said = ", ".join(f"{module} ({old}, now {new})" for module, (old, new) in outdated.items())
        notes += (f"Imported before, and still at the old version: {said}. Restart the kernel.",)
    table = Installed(states)
    table.notes = notes
    return table


def flow_pins(runs: Runs, flow: str, step: str | None = None) -> tuple[Pin, ...]:
    """List what a flow, or one of its steps, pins.

    Args:
        runs: The project's runs.
        flow: The flow's name: its file is read. Or `Flow/run`: what the run recorded; the flow is not imported.
        step: The name of the step; all by default.

    Raises:
        NotFoundError: There is no such flow, run or step.
    """
    name, _, run = flow.partition("/")
    found, steps = _of_run(runs, name, run) if run else _of_file(runs.project, name)
    if step is not None and step not in steps:
        raise NotFoundError(f"{flow} has no step {step}.", did_you_mean(step, steps, f"steps of {flow}"))
    return tuple(pin for pin in found if step in (None, pin.step))


def requirements(found: Sequence[Pin]) -> tuple[tuple[Requirement, ...], tuple[str, ...]]:
    """Turn pins into what an installer takes.

    Args:
        found: The pins of one step, or of several.

    Returns:
        The requirements; and what there is to say: that another Python is pinned than this one.

    Raises:
        RequirementError: Two steps pin a package differently, or a pin cannot be read.
    """
    _refuse_conflicts(found)
    texts = dict.fromkeys(pin_text(pin.name, pin.wanted) for pin in found if pin.name != "python")
    pythons = {pin.wanted: pin for pin in unmet([pin for pin in found if pin.name == "python"])}
    notes = [
        f"{pin.step} pins Python {wanted}, this is {pin.had}: %mf_run_step {pin.step} --isolated runs it in its own."
        for wanted, pin in pythons.items()
    ]
    return read_spec(list(texts)), tuple(notes)


def _refuse_conflicts(found: Sequence[Pin]) -> None:
    by_name: dict[str, dict[str, str]] = {}
    for pin in found:
        by_name.setdefault(pin.name, {}).setdefault(pin.wanted, pin.step)
    conflicts = {name: wanted for name, wanted in by_name.items() if len(wanted) > 1}
    if conflicts:
        said = "; ".join(
            f"{name}: " + ", ".join(f"{step} pins {version or 'any version'}" for version, step in wanted.items())
            for name, wanted in conflicts.items()
        )
        raise RequirementError(
            f"the steps' pins contradict each other ({said})",
            "Take those of one step (--step), or give each its own: run with --environment=pypi-uv.",
        )


def _of_file(project: Project, name: str) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    loaded = flowfile.read(project.flow(name))  # what it imports may be what is to be installed
    return pins(loaded), tuple(loaded.info.steps)


def _of_run(runs: Runs, flow: str, run: str) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    recorded: dict[str, Any] = runs.parameters(runs.run(flow, run))[0] or {}
    steps = recorded.get("steps", {})
    return recorded_pins(recorded), tuple(steps)
