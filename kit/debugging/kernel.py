"""The kernel of a debug notebook: the ordinary one, or one with the packages that the task's step pinned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kit import flowfile, kernelspecs
from kit.debugging.model import Kernel
from kit.errors import ArgumentError, KitError, did_you_mean
from kit.model import Pin, RunInfo
from kit.pins import pins, recorded_pins, unmet
from kit.runs import Runs

__all__ = ["FITTING", "KernelChoice", "choose_kernel", "pins_have_changed"]


@dataclass(frozen=True)
class KernelChoice:
    """Which kernel a notebook gets.

    Args:
        name: This one, as `jupyter kernelspec list` has it; "" for one that fits.
        isolated: Whether to build one with the step's pins; None: where this interpreter does not meet them.
    """

    name: str = ""
    isolated: bool | None = None


FITTING = KernelChoice()


def choose_kernel(runs: Runs, run: RunInfo, step: str, choice: KernelChoice, say: Callable[[str], None]) -> Kernel:
    """Choose the kernel for a task, and build and register it where there is none with the step's pins.

    Args:
        runs: The project's runs.
        run: The task's run.
        step: The task's step.
        choice: What the user asks for.
        say: Takes a line for the user.

    Raises:
        ArgumentError: There is no kernel of the name that is asked for.
        RequirementError: An environment that is asked for cannot be built.
    """
    if choice.name:
        return _named(choice.name)
    found = _recorded(runs, run, step)
    missing = unmet(found)
    if choice.isolated is False or (choice.isolated is None and not missing):
        said = (f"The step pins {_said(missing)}, which this kernel does not have.",) if missing else ()
        return Kernel(has_pins=not missing, notes=said)
    if not found:
        raise ArgumentError(f"{run.pathspec}/{step} pins no packages.", "Leave --isolated out.")
    try:
        built = kernelspecs.register([], found, f"{run.flow}/{step}", say=say)
    except KitError as error:
        if choice.isolated:
            raise
        note = f"The step pins {_said(missing)}. No kernel could be made with these: {error.message.rstrip('.')}."
        return Kernel(has_pins=False, notes=(note, "So the whole step is replayed in an environment of its own."))
    return Kernel(built.name, built.title, notes=(f"The kernel `{built.name}` has the packages that the step pinned.",))


def pins_have_changed(runs: Runs, run: RunInfo, step: str) -> bool:
    """Whether a step pins others today than when the run was made; it is said when the flow file is loaded, if not."""
    before = {(pin.name, pin.wanted) for pin in _recorded(runs, run, step)}
    if not before:
        return False
    try:
        today = pins(flowfile.load(runs.flow_file(run)))
    except KitError:
        return False
    return before != {(pin.name, pin.wanted) for pin in today if pin.step == step}


def _recorded(runs: Runs, run: RunInfo, step: str) -> Sequence[Pin]:
    return [pin for pin in recorded_pins(runs.parameters(run)[0] or {}) if pin.step == step]


def _said(found: Sequence[Pin]) -> str:
    return ", ".join(f"{pin.name} {pin.wanted}".strip() for pin in found)


def _named(name: str) -> Kernel:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        return Kernel(name, manager.get_kernel_spec(name).display_name)
    except NoSuchKernel:
        known = manager.find_kernel_specs()
        raise ArgumentError(f"There is no kernel {name}.", did_you_mean(name, known, "kernels")) from None
