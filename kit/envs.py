"""One environment a step, built by uv and kept by content: the same pins, the same folder, for every flow and run.

An environment is complete or absent. It is built in a folder beside its own, under a lock that the installer inherits,
and then renamed; what a killed build has left is removed by the next one. Standard library alone at import.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import NotFoundError, RequirementError, did_you_mean
from kit.requirements import pin_text, read_spec, redact
from kit.saying import speaker

if TYPE_CHECKING:
    from kit.interpreters import Interpreter

try:
    import fcntl
except ImportError:  # Windows: Metaflow does not run there either, but kit imports
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Environment",
    "EnvironmentSpec",
    "build",
    "build_all",
    "environments",
    "known",
    "linked_packages",
    "remove",
    "spec_of",
]

CACHE_VARIABLE = "KIT_CACHE"  # another folder for what kit keeps
_RECORD = "kit-environment.json"
_FORMAT = 1  # of the folder: another number makes other folders
_AT_ONCE = 4  # builds


@dataclass(frozen=True)
class EnvironmentSpec:
    """What an environment holds.

    Args:
        python: The version of Python that is pinned, or None for the one that runs this.
        requirements: What is installed, as an installer takes it, sorted; may hold credentials.
        locked: Whether these are all the packages there are to be, as a lock file lists them.
    """

    python: str | None
    requirements: tuple[str, ...]
    locked: bool = False

    @property
    def key(self) -> str:
        """The name of its folder: a digest of what it holds, and of the machine's kind."""
        python = self.python or ".".join(map(str, sys.version_info[:3]))
        content = [_FORMAT, sysconfig.get_platform(), python, self.requirements, self.locked]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Environment:
    """An environment that is there.

    Args:
        key: The name of its folder.
        wanted: The version of Python that was pinned, or None.
        python: The version of Python that it has.
        requirements: What was asked for, without credentials.
        packages: All that is installed, as `name==version`.
        seconds: How long its building took.
        note: What there is to say about it: that another patch of Python took the place of the pinned one.
    """

    key: str
    wanted: str | None
    python: str
    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    seconds: float
    note: str = ""

    @property
    def folder(self) -> Path:
        """Where it is."""
        return _home() / self.key

    @property
    def interpreter(self) -> str:
        """Its Python."""
        return str(_interpreter(self.folder))


def spec_of(python: str | None, packages: Mapping[str, str]) -> EnvironmentSpec:
    """Say what a step's @pypi asks for.

    Args:
        python: Its `python`.
        packages: Its `packages`: versions ("1.2", ">=1,<2", "" for any), or "@ url", by names.

    Raises:
        RequirementError: One of them cannot be read, or asks for what kit refuses.
    """
    texts = [pin_text(name, version) for name, version in packages.items()]
    return EnvironmentSpec(python or None, tuple(sorted(one.argument for one in read_spec(texts))))


def known(spec: EnvironmentSpec) -> Environment | None:
    """Give the environment of a specification if it is there."""
    return _read(_home() / spec.key)


def build(
    spec: EnvironmentSpec, label: str = "", *, say: Callable[[str], None] | None = None, rebuild: bool = False
) -> Environment:
    """Give the environment of a specification; build it if it is not there.

    Args:
        spec: What it holds.
        label: What it is for, as it may be shown.
        say: Takes a line for the user; it is printed by default.
        rebuild: Build it again if it is there.

    Raises:
        RequirementError: There is no uv, no such Python, or a package cannot be installed.
    """
    label, say = label or spec.key, say or speaker()
    here = None if rebuild else known(spec)
    if here is None:
        with _lock(spec.key, say) as lock:
            here = None if rebuild else known(spec)  # another process may have built it while this one waited
            here = here or _built(spec, label, say, lock)
    if here.note:
        say(f"kit: {label}: {here.note}")
    return here


def build_all(
    specs: Mapping[str, EnvironmentSpec], *, say: Callable[[str], None] | None = None, rebuild: bool = False
) -> dict[str, Environment]:
    """Give the environments of several steps; those that are not there are built at the same time.

    Args:
        specs: What each holds, by what it is for.
        say: Takes a line for the user, from several threads; it is printed by default.
        rebuild: Build those that are there again.

    Returns:
        The environments, by what they are for.

    Raises:
        RequirementError: One of them cannot be built; the others are.
    """
    say = say or speaker()
    labels: dict[EnvironmentSpec, list[str]] = {}
    for name, spec in specs.items():
        labels.setdefault(spec, []).append(name)
    sysconfig.get_config_vars()  # threads that ask first at the same time get half of them
    with ThreadPoolExecutor(_AT_ONCE, "kit-environment") as pool:
        futures = {
            spec: pool.submit(build, spec, ", ".join(names), say=say, rebuild=rebuild) for spec, names in labels.items()
        }
    return {name: futures[spec].result() for name, spec in specs.items()}


def environments() -> tuple[Environment, ...]:
    """List the environments of this user, by their keys."""
    folders = sorted(_home().iterdir()) if _home().is_dir() else []
    return tuple(filter(None, map(_read, folders)))


def remove(keys: Iterable[str] | None = None, *, say: Callable[[str], None] | None = None) -> tuple[Environment, ...]:
    """Remove environments, and what killed builds have left.

    Args:
        keys: Their keys, or the beginnings of these; None for all.
        say: Takes a line for the user; it is printed by default.

    Returns:
        Those that were removed.

    Raises:
        NotFoundError: There is none of such a key.
    """
    there = environments()
    chosen = there if keys is None else tuple(_chosen(key, there) for key in dict.fromkeys(keys))
    for environment in chosen:
        with _lock(environment.key, say or speaker()):
            _discard(environment.folder)
    if keys is None:
        shutil.rmtree(_home() / ".building", ignore_errors=True)
    return chosen


def _chosen(key: str, there: Sequence[Environment]) -> Environment:
    found = [environment for environment in there if key and environment.key.startswith(key)]
    if len(found) == 1:
        return found[0]
    raise NotFoundError(
        f"{len(found)} environments have a key that begins with {key!r}.",
        did_you_mean(key, [environment.key for environment in there], "environments"),
    )


def _home() -> Path:
    """Give the folder of all environments, in the user's cache."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE], "environments")
    cache = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or cache, "kit", "environments")


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def _read(folder: Path) -> Environment | None:
    """Read what a finished build has recorded; None too where its Python has been removed since."""
    try:
        values = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        requirements, packages = tuple(values.pop("requirements")), tuple(values.pop("packages"))
        environment = Environment(requirements=requirements, packages=packages, **values)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return environment if environment.key == folder.name and _interpreter(folder).exists() else None


@contextlib.contextmanager
def _lock(key: str, say: Callable[[str], None]) -> Iterator[int | None]:
    """Let one process at a time build or remove an environment; gives the lock's file descriptor."""
    folder = _home() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / key, "w") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"kit: waiting for another build of the environment {key} ...")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno() if fcntl else None


def _built(spec: EnvironmentSpec, label: str, say: Callable[[str], None], lock: int | None) -> Environment:
    from kit import installer, interpreters  # here, so that what is there does not pay for it

    uv = installer.find_uv()
    if uv is None:
        raise RequirementError("environments are built by uv, and it is not here", "Install it: pip install uv.")
    chosen, note = interpreters.find_python(spec.python, uv)
    say(f"kit: {label}: building an environment of {len(spec.requirements)} packages for Python {chosen.version} ...")
    folder = _home() / ".building" / spec.key
    _discard(folder)  # the lock is held: nobody else builds it
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _installed(spec, label, uv, chosen, note, folder, lock, say)
    except BaseException:
        _discard(folder)
        raise


def _installed(
    spec: EnvironmentSpec,
    label: str,
    uv: str,
    chosen: Interpreter,
    note: str,
    folder: Path,
    lock: int | None,
    say: Callable[[str], None],
) -> Environment:
    from kit import installer

    started = time.perf_counter()
    quiet = ["--color", "never", "--no-progress"]
    keep_open = () if lock is None else (lock,)
    python = str(_interpreter(folder))
    # The scripts find their Python relative to themselves, as the folder is renamed.
    make = [uv, "venv", *quiet, "--no-project", "--relocatable", "--python", chosen.path, str(folder)]
    installer.run(make, f"{label} (Python {chosen.version})", quiet=True, keep_open=keep_open)
    if spec.requirements:
        exactly = ["--no-deps"] if spec.locked else []
        install = [uv, "pip", "install", *quiet, *exactly, "--python", python, "--", *spec.requirements]
        installer.run(install, label, quiet=True, keep_open=keep_open)
    frozen = installer.run([uv, "pip", "freeze", *quiet, "--python", python], label, quiet=True, keep_open=keep_open)
    seconds = round(time.perf_counter() - started, 2)
    environment = Environment(
        key=spec.key,
        wanted=spec.python,
        python=chosen.version,
        requirements=tuple(map(redact, spec.requirements)),
        packages=tuple(line for line in frozen.splitlines() if "==" in line or " @ " in line),
        seconds=seconds,
        note=note,
    )
    (folder / _RECORD).write_text(json.dumps(asdict(environment), indent=1), encoding="utf-8")
    _discard(environment.folder)
    os.rename(folder, environment.folder)
    say(f"kit: {label}: built in {seconds:.1f} s ({len(environment.packages)} packages, {environment.key})")
    return environment


def _discard(folder: Path) -> None:
    """Remove an environment so that none sees half of it: renamed away first."""
    if folder.exists():
        trash = _home() / ".building" / f"{folder.name}.{os.getpid()}.removed"
        trash.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(trash, ignore_errors=True)
        os.rename(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)


def linked_packages(environment: Environment, names: Iterable[str]) -> Path:
    """Make a folder through which an environment imports packages of this one, and nothing else of it.

    Args:
        environment: The environment.
        names: The names of the packages.

    Returns:
        The folder, for PYTHONPATH; the same one for the same packages, since byte code is kept by its path.
    """
    folder = environment.folder / "kit-code"
    links = dict(link for name in names for link in _links(name))
    named = hashlib.sha256(repr(sorted(links.items())).encode()).hexdigest()[:12]
    if not (folder / named).exists():
        folder.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder))
        for name, place in links.items():
            (made / name).parent.mkdir(exist_ok=True)
            (made / name).symlink_to(place)
        with contextlib.suppress(OSError):  # another process was faster
            made.rename(folder / named)
    return folder / named


def _links(name: str) -> Iterator[tuple[str, Path]]:
    """Give where a package is; of a namespace package, where the folders in it are."""
    package = importlib.import_module(name)
    if package.__file__:
        yield name, Path(package.__file__).parent
        return
    for place in map(Path, package.__path__):
        for part in place.iterdir() if place.is_dir() else ():
            if part.is_dir() and not part.name.startswith("__"):
                yield f"{name}/{part.name}", part
