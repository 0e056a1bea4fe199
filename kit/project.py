"""Where am I: the project's root, its flow files, its notebooks, its datastores, its settings, its user.

Everything is read from the file system and the environment; Metaflow is not imported.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.drafts import drafts_folder
from kit.errors import FlowFileError, NotFoundError, ProjectError, did_you_mean
from kit.flowscan import FlowScan, flow_names, has_flow, scan, source_files

if TYPE_CHECKING:
    from kit.model import FlowInfo

__all__ = [
    "CARD_VARIABLE",
    "STEP_STATEMENTS",
    "USER_VARIABLE",
    "Project",
    "datastore_environment",
    "find_project",
    "own_folder",
    "store_environment",
    "substitute_user",
    "user_environment",
]

DATASTORE_FOLDER = ".metaflow"
SYSROOT_VARIABLE = "METAFLOW_DATASTORE_SYSROOT_LOCAL"
CARD_VARIABLE = "METAFLOW_CARD_LOCALROOT"
USER_VARIABLE = "USERNAME"  # the one that Metaflow reads at each call, not at its import alone
STEP_STATEMENTS = 25  # that a step may have, where `step_statements` under [tool.kit.check] does not say otherwise
MAX_NAMED = 12  # so many files are read before the first magic, and so many flows make a line


# The project that `%load_ext kit` was run in, as long as it is loaded.
loaded: Project | None = None


@dataclass(frozen=True)
class Project:
    """A folder with flows, and how it is laid out.

    Args:
        root: The project's root.
        flows_folder: Where its flow files are.
        notebooks_folder: Where its notebooks are.
        settings: The table [tool.kit] of its pyproject.toml.
        sysroot: The folder that METAFLOW_DATASTORE_SYSROOT_LOCAL named, or None where Metaflow looks for
            `.metaflow` by itself. Metaflow's configuration file may name it too.
    """

    root: Path
    flows_folder: Path
    notebooks_folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    sysroot: Path | None = None

    def scan(self) -> FlowScan:
        """Read the flows of the project from their source."""
        return scan(self.flows_folder, self._recursive)

    def summary(self) -> str:
        """Say in a few words which flows there are, without reading a large project: its files are counted instead."""
        files = source_files(self.flows_folder, self._recursive)
        if len(files) > MAX_NAMED:
            return f"{len(files)} files in {self.relative(self.flows_folder)}"
        return ", ".join(flow_names(self.flows_folder, self._recursive)) or "no flows yet"

    @property
    def _recursive(self) -> bool:
        """Whether flow files may lie in subfolders: not below a root, which may hold anything, an environment too."""
        return self.flows_folder != self.root

    def flow(self, name: str) -> FlowInfo:
        """Find a flow by name.

        Args:
            name: The name of its class.

        Raises:
            FlowFileError: The file that defines it does not parse.
            NotFoundError: No file of the project defines it.
        """
        found = self.scan()
        if name in found.flows:
            return found.flows[name]
        draft = self.draft(name)
        if draft is not None:
            return draft
        broken = found.lost.get(name)
        if broken:
            where = self.relative(broken)
            raise FlowFileError(f"{where} does not parse: {found.broken[broken]}.", f"Mend {where}, then try again.")
        hint = did_you_mean(name, found.flows, "flows of this project")
        for folder in dict.fromkeys((Path.cwd(), self.root, self.notebooks_folder)):
            strayed = scan(folder, recursive=False).flows.get(name)
            if strayed is not None:
                file, to = self.relative(strayed.file), self.relative(self.flows_folder)
                hint = f"It is in {file}: move that to {to}, or name its folder as `flows` under [tool.kit]."
        raise NotFoundError(f"There is no flow {name} in {self.relative(self.flows_folder)}.", hint)

    def draft(self, name: str) -> FlowInfo | None:
        """Find a flow as a notebook's cells made it last, for a run; None where none did."""
        drafts = drafts_folder(self.root)
        return scan(drafts, recursive=False).flows.get(name) if drafts.is_dir() else None

    def relative(self, path: str | Path) -> str:
        """Write a path as seen from the project's root, or whole where it lies outside."""
        try:
            return str(Path(path).relative_to(self.root))
        except ValueError:
            return str(path)

    def stores(self) -> tuple[Path, ...]:
        """List the local datastores that runs of this project may have been written to.

        Metaflow writes to the nearest `.metaflow` above the folder in which a run was started, and makes one there
        if it finds none; so every folder of the project may have its own. The first is the root's own, else the one
        of a folder in it, else the nearest above.

        Returns:
            Paths of `.metaflow` folders; the first may not exist yet.
        """
        if self.sysroot is not None:
            return (self.sysroot / DATASTORE_FOLDER,)
        own = self.root / DATASTORE_FOLDER
        inside = [self.root, self.flows_folder, self.notebooks_folder, *_subfolders(self.root)]
        existing = [folder / DATASTORE_FOLDER for folder in inside if (folder / DATASTORE_FOLDER).is_dir()]
        if own not in existing:  # then a run started from the root goes to the nearest one above
            stores = (folder / DATASTORE_FOLDER for folder in self.root.parents)
            existing += [store for store in stores if store.is_dir()][:1]
        return tuple(dict.fromkeys(existing or [own]))


def find_project(start: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Project:
    """Find the project that a folder belongs to.

    Args:
        start: A folder in the project; the working directory by default.
        environ: The environment; the process's own by default.

    Returns:
        The project of the nearest folder, going up, that has [tool.kit] in its pyproject.toml or a folder
        `flows`. A `.metaflow` alone is left behind by a run in any folder: it names a project only where flow
        files lie beside it, or where nothing better is found.

    Raises:
        ProjectError: There is no project, or its pyproject.toml is not as it should be.
    """
    environ = os.environ if environ is None else environ
    start = Path(start or Path.cwd()).resolve()
    folders = [start, *start.parents]
    declared = next((folder for folder in folders if _declares(folder)), None)
    named = _named_flows(declared) if declared else None  # `src/flows` does not make a project of `src`
    with_flows = next((f for f in folders if (f / "flows").is_dir() and f / "flows" != named), None)
    with_runs = [folder for folder in folders if (folder / DATASTORE_FOLDER).is_dir()]
    strong = _nearest(declared, with_flows)
    beside = next((folder for folder in with_runs if has_flow(folder)), None)
    if strong and beside and strong in beside.parents and beside != strong and not _inside_project(beside, strong):
        strong = beside
    root = strong or beside or next(iter(with_runs), None)
    for folder in folders[: folders.index(root) + 1] if root else folders:
        _settings(folder)  # raises where one that may have declared a project cannot be read
    if root is None:
        raise ProjectError(
            f"There is no Metaflow project in {start} or above it.",
            "Make a folder `flows` for the flow files, name one under [tool.kit] in pyproject.toml, or run `kit init`.",
        )
    settings = _settings(root) or {}
    sysroot = _configured(SYSROOT_VARIABLE, environ)
    return Project(
        root=root,
        flows_folder=_flows_folder(root, settings),
        notebooks_folder=root / _notebooks_folder(settings),
        settings=settings,
        sysroot=Path(sysroot).resolve() if sysroot else None,
    )


def own_folder(root: Path) -> Path:
    """Make the folder of a project in which kit keeps what git is to ignore.

    Args:
        root: The project's root.
    """
    folder = root / ".kit"
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


def substitute_user(environ: Mapping[str, str] | None = None) -> str | None:
    """Name the user that Metaflow needs to be told, where by itself it would refuse to start.

    Metaflow refuses when it knows no user or only root, as in a container.

    Returns:
        The first of METAFLOW_USER, JUPYTERHUB_USER and NB_USER, else "jupyter"; None where Metaflow needs no help.
    """
    environ = os.environ if environ is None else environ
    if environ.get("METAFLOW_PRODUCTION_TOKEN"):
        return None
    util = sys.modules.get("metaflow.util") if environ is os.environ else None
    if util is not None:
        if util.get_username() is not None:  # what it read at import may differ from the environment of now
            return None
    elif any(_usable(name) for name in _metaflow_users(environ)):
        return None
    hub = (environ.get(key) for key in ("METAFLOW_USER", "JUPYTERHUB_USER", "NB_USER"))
    return next((name for name in hub if _usable(name)), "jupyter")


def user_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the variable that tells Metaflow its user, where it needs to be told (see `substitute_user`)."""
    user = substitute_user(environ)
    return {USER_VARIABLE: user} if user else {}


def path_of_interpreter() -> dict[str, str]:
    """Give the PATH on which `python` is this interpreter, as in an activated environment: @parallel starts it so."""
    folder, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    first = shutil.which("python", path=path)
    return {} if first and Path(first).parent == Path(folder) else {"PATH": os.pathsep.join([folder, path])}


def store_environment(sysroot: Path) -> dict[str, str]:
    """Give the variables that make Metaflow keep its local datastore, and the cards, in a folder."""
    cards = sysroot / DATASTORE_FOLDER / "mf.cards"  # the sysroot does not count for cards
    return {SYSROOT_VARIABLE: str(sysroot), CARD_VARIABLE: str(cards)}


def datastore_environment(sysroot: Path) -> dict[str, str]:
    """Give the environment in which Metaflow keeps everything in a folder, whatever its configuration says."""
    return {
        **store_environment(sysroot),
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
    }


def _usable(name: str | None) -> bool:
    return bool(name) and name != "root"


def _metaflow_users(environ: Mapping[str, str]) -> Iterator[str | None]:
    """Give the names that Metaflow would try, in its order (metaflow.util.get_username)."""
    yield _configured("METAFLOW_USER", environ)
    for key in ("SUDO_USER", "USERNAME", "USER"):
        yield environ.get(key)


def _configured(name: str, environ: Mapping[str, str]) -> str | None:
    """Read a setting of Metaflow's: the variable, else its configuration file (metaflow_config_funcs.from_conf)."""
    value = environ.get(name, _profile(environ).get(name))
    return value if isinstance(value, str) else None


def _profile(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read Metaflow's own configuration file, as metaflow.metaflow_config does."""
    home = Path(environ.get("METAFLOW_HOME", "~/.metaflowconfig")).expanduser()
    name = environ.get("METAFLOW_PROFILE")
    try:
        values = json.loads((home / (f"config_{name}.json" if name else "config.json")).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _settings(folder: Path) -> Mapping[str, Any] | None:
    """Read [tool.kit] of a folder's pyproject.toml; None where there is none.

    Raises:
        ProjectError: The file is not TOML, or that is not a table.
    """
    path = folder / "pyproject.toml"
    try:
        tables = _tables(path.read_bytes())
    except OSError:
        return None
    except ValueError as error:  # not UTF-8, or not TOML
        raise ProjectError(f"{path} is not valid TOML: {error}.", "Mend it: kit reads [tool.kit] there.") from error
    tool = tables.get("tool", {})
    settings = tool.get("kit") if isinstance(tool, Mapping) else None
    if settings is not None and not isinstance(settings, Mapping):
        raise ProjectError(f"[tool.kit] in {path} is not a table.", "Write it as a heading of its own: [tool.kit].")
    return settings


@lru_cache(maxsize=8)
def _tables(content: bytes) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    tables: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    return tables


def _declares(folder: Path) -> bool:
    try:
        return _settings(folder) is not None
    except ProjectError:  # it is said when the project turns out to be there or above
        return False


def _nearest(*folders: Path | None) -> Path | None:
    return max((folder for folder in folders if folder), key=lambda folder: len(folder.parts), default=None)


def _inside_project(folder: Path, root: Path) -> bool:
    """Whether a folder with flow files and runs is part of the project above it: its flows, or declared so."""
    settings = _settings(root)
    flows = _flows_folder(root, settings or {})
    return settings is not None or folder == flows or flows in folder.parents


def _named_flows(root: Path) -> Path:
    return root / str((_settings(root) or {}).get("flows", "flows"))


def _flows_folder(root: Path, settings: Mapping[str, Any]) -> Path:
    named = settings.get("flows")
    if named is not None:
        folder = root / str(named)
        if not folder.is_dir():
            raise ProjectError(
                f"[tool.kit] names the folder {str(named)!r} for flows, and {root} has no such folder.",
                "Make it, or mend `flows` under [tool.kit] in pyproject.toml.",
            )
        return folder
    return root / "flows" if (root / "flows").is_dir() else root


def _notebooks_folder(settings: Mapping[str, Any]) -> str:
    """Read `notebooks`: a folder, or the table [tool.kit.notebooks], which names it `folder`."""
    named = settings.get("notebooks", "notebooks")
    return str(named.get("folder", "notebooks") if isinstance(named, Mapping) else named)


def _subfolders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []
