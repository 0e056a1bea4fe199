"""An environment of its own as a Jupyter kernel, with kit in it."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from kit import envs
from kit.envs import Environment, EnvironmentSpec
from kit.errors import RequirementError
from kit.model import Pin
from kit.pinned import requirements
from kit.requirements import Requirement, read_spec
from kit.views import Displayed
from kit.views.page import Cell, Page

__all__ = ["Registered", "kernel_name", "register", "unregister"]

DISTRIBUTION = "kit-for-metaflow"
MAX_NAMED = 2  # packages in a title
LEAST = (3, 10)  # the Python that kit itself needs


@dataclass(frozen=True, repr=False)
class Registered(Displayed):
    """A kernel that was registered.

    Args:
        name: Its name, as `jupyter kernelspec list` has it.
        title: Its name in JupyterLab.
        python: Its version of Python.
        packages: All that is installed there.
        folder: Where it is registered.
    """

    name: str
    title: str
    python: str
    packages: tuple[str, ...]
    folder: Path

    def _page(self) -> Page:
        title = (Cell(self.name, code=True), Cell(f"a kernel with Python {self.python}"))
        return Page(title, notes=(f"In JupyterLab: Kernel, Change Kernel, {self.title}. %load_ext kit works there.",))


def register(
    wanted: Sequence[Requirement], found: Sequence[Pin], label: str = "", *, say: Callable[[str], None] | None = None
) -> Registered:
    """Build an environment with requirements, pins and kit, and register it as a kernel of this user.

    Args:
        wanted: Requirements.
        found: The pins of one step, or of steps that agree.
        label: What it is for, such as `TrainFlow/fit`.
        say: Takes a line for the user; it is printed by default.

    Raises:
        RequirementError: The pins contradict each other, want a Python that is too old for kit, or cannot be installed
            beside what kit needs.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    pinned, _ = requirements(found)
    python = next((pin.wanted for pin in found if pin.name == "python"), None)
    _refuse_old(python, label)
    asked = [*wanted, *pinned]
    names = {_canonical(requirement.name) for requirement in asked if requirement.name}
    own = [one for one in _kits_own() if _canonical(one.name or "") not in names]
    spec = EnvironmentSpec(python, tuple(sorted(one.argument for one in [*asked, *own])))
    environment = envs.build(spec, label or "the kernel", say=say)
    content: dict[str, Any] = {
        "argv": [environment.interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "language": "python",
        "metadata": {"debugger": True},
        "env": {"PYTHONPATH": str(envs.linked_packages(environment, ("kit", "metaflow_extensions")))},
    }
    name = kernel_name(label, content)
    title = f"{label or 'kit ' + environment.key} ({_said(wanted, found)}Python {environment.python})"
    content["display_name"] = title
    with tempfile.TemporaryDirectory(prefix="kit-kernel-") as folder:
        Path(folder, "kernel.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        place = KernelSpecManager().install_kernel_spec(folder, name, user=True)
    return Registered(name, title, environment.python, environment.packages, Path(place))


def kernel_name(label: str, content: Mapping[str, Any]) -> str:
    """Name a kernel so that another one of its label never takes its place: notebooks name the kernel that they want.

    Args:
        label: What it is for.
        content: What Jupyter starts, with its variables: other pins, or another kit, are another kernel.
    """
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    return re.sub(r"[^a-z0-9._-]+", "-", f"kit-{label or 'kernel'}-{digest}".lower())


def unregister(environment: Environment) -> tuple[str, ...]:
    """Take the kernels away that an environment was registered as; gives their names."""
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    names = []
    for name in [name for name in manager.find_kernel_specs() if name.startswith("kit-")]:
        argv = manager.get_kernel_spec(name).argv
        if argv and environment.folder in Path(argv[0]).parents:
            manager.remove_kernel_spec(name)
            names.append(name)
    return tuple(names)


def _said(wanted: Sequence[Requirement], found: Sequence[Pin]) -> str:
    """Name the packages that tell a kernel from others of its label: JupyterLab shows titles alone."""
    names = [f"{pin.name} {pin.wanted}".strip() for pin in found if pin.name != "python"]
    names = list(dict.fromkeys([*names, *(one.argument for one in wanted)]))
    more = [f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    return "".join(f"{each}, " for each in [*names[:MAX_NAMED], *more])


def _refuse_old(python: str | None, label: str) -> None:
    if python and tuple(int(part) for part in re.findall(r"\d+", python)[:2]) < LEAST:
        raise RequirementError(
            f"{label or 'this'} pins Python {python}, and kit needs {'.'.join(map(str, LEAST))}: no kernel for it",
            "Replay the step in its own environment all the same: %mf_run_step --isolated.",
        )


def _kits_own() -> list[Requirement]:
    """List what kit needs, as its own metadata says; kit itself is linked."""
    texts = [text for text in metadata.requires(DISTRIBUTION) or () if "extra ==" not in text]
    return list(read_spec(texts))  # also what only other Pythons need: it does no harm


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
