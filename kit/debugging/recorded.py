"""The code of a recorded task, as it was when the task ran, and as it is today.

Metaflow keeps a run's code in its datastore where a step of it ran on a cluster, or where it was told to
(METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE); otherwise it notes the git commit, where there was one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from kit.blobs import pickles
from kit.debugging.source import NOT_THE_USERS, Source
from kit.drafts import RAN, drafts_folder
from kit.errors import ArtifactError, FlowFileError, NotFoundError
from kit.model import Pathspec, RunInfo
from kit.project import Project
from kit.runs import Runs

__all__ = ["source_now", "source_then"]

METAFLOWS_FOLDER = ".mf_code"  # of a code package: Metaflow, its extensions, and modules that asked to be packed
METAFLOWS_OWN = (".mf_meta", ".mf_install", "INFO", "CONFIG_PARAMETERS", "condav2-1.cnd")
GIT_SECONDS = 30.0
NOTHING = (
    "Metaflow recorded no code of this run, nor a git commit. It keeps the code of local runs too where "
    "METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE=1 is set, and notes it at tasks that start after the upload."
)
MAX_SOURCE = 2_000_000  # bytes of a file that is read as source
MAX_FILE = 100_000_000  # and of one that is taken along


def source_now(runs: Runs, run: RunInfo, script: str) -> tuple[Source, str]:
    """Give the source of a run's flow as it is today.

    Args:
        runs: The project's runs.
        run: The run.
        script: The name of the file that defined it, for one that no file of the project defines any more.

    Returns:
        The source, and a sentence that says why it does not define the flow ("" where it does).
    """
    gone = ""
    try:
        file = Path(runs.flow_file(run).file)
    except NotFoundError:
        file = runs.project.flows_folder / (script or f"{run.flow}.py")
        gone = f"No flow file of this project defines {run.flow} any more."
    except FlowFileError as error:
        file, gone = runs.project.flows_folder / (script or f"{run.flow}.py"), error.message
    return _of_today(runs.project, run.flow, file), gone


def _of_today(project: Project, flow: str, file: Path) -> Source:
    homes = dict.fromkeys((file.parent, project.flows_folder, project.root, project.root / "src"))

    def read(path: str) -> str | None:
        return next((text for home in homes if (text := _text(home / path)) is not None), None)

    return Source(flow, file.name, read, "today's files", home=file.parent)


def source_then(runs: Runs, run: RunInfo, task: Pathspec, file: Path) -> tuple[Source | None, str]:
    """Give a flow's source as it was when a task ran.

    Args:
        runs: The project's runs.
        run: The run.
        task: The address of the task.
        file: Today's flow file, or where it was.

    Returns:
        The source, or None where none was recorded; and a sentence that says why not ("" where there is one).
    """
    recorded = runs.metadata(task, run.store)
    script = recorded.get("script-name") or file.name
    drafted = drafts_folder(runs.project.root) / RAN / script
    if drafted.is_file():
        return _of_draft(runs.project, run.flow, drafted, file), ""
    packed = _package(runs, run, recorded)
    why = ""
    if packed:
        try:
            return _of_package(runs, run, packed, script), ""
        except ArtifactError as error:
            why = f"{error.message} "
    commit = _table(recorded.get("git-info"))
    if commit.get("commit_sha"):
        source, missing = _of_git(run.flow, script, file.parent, commit)
        return source, f"{why}{missing}" if source is None else ""
    return None, why or NOTHING


def _of_draft(project: Project, flow: str, drafted: Path, today: Path) -> Source:
    """Read a notebook's flow as it was run; the modules that it imports are today's."""
    now, held = _of_today(project, flow, today), drafted.read_bytes()

    def read(path: str) -> str | None:
        return _text(drafted) if path == drafted.name else now.read(path)

    note = "The flow is as the notebook's cells were; how its modules were then is not known."
    origin, key = "the notebook that ran it", hashlib.sha1(held, usedforsecurity=False).hexdigest()
    return Source(flow, drafted.name, read, origin, note, key=key, everything=lambda: [(drafted.name, held)])


def _package(runs: Runs, run: RunInfo, recorded: Mapping[str, str]) -> dict[str, Any]:
    """Find the code package of a run: one for all of its tasks, noted at those that ran after it was uploaded."""
    found = _table(recorded.get("code-package"))
    if found.get("sha"):
        return found
    seen = set()
    for task in runs.tasks(run):
        if task.pathspec.step not in seen:  # of a foreach, one task will do
            seen.add(task.pathspec.step)
            found = _table(runs.metadata(task.pathspec, run.store).get("code-package"))
            if found.get("sha"):
                return found
    return {}


def _of_package(runs: Runs, run: RunInfo, packed: Mapping[str, Any], script: str) -> Source:
    sha = str(packed["sha"])
    ((_, content),) = pickles(runs.storage(run.store), run.flow, [sha])
    if content is None:
        raise ArtifactError(
            f"The run's code package {sha[:10]} is gone from the datastore.", "Look for a backup of it."
        )
    try:
        files = {
            path: _decoded(held) for path, held in _members(content) if path.endswith(".py") and len(held) <= MAX_SOURCE
        }
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArtifactError(
            f"The run's code package {sha[:10]} cannot be read: {error}.", "Look for a backup of it."
        ) from error
    return Source(run.flow, script, files.get, "the run's code package", key=sha, everything=lambda: _members(content))


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Read the user's own files of a code package, by their paths from the flow file's folder."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        for member in archive.getmembers():
            parts = PurePosixPath(member.name).parts
            if parts and parts[0] == METAFLOWS_FOLDER:
                parts = parts[1:]
            own = parts and parts[0] not in NOT_THE_USERS and parts[0] not in METAFLOWS_OWN
            inside = not {"/", ".."}.intersection(parts)  # it is written to a folder of that path
            if own and inside and member.isfile() and member.size <= MAX_FILE:
                opened = archive.extractfile(member)
                if opened is not None:
                    yield "/".join(parts), opened.read()


def _of_git(flow: str, script: str, folder: Path, commit: Mapping[str, Any]) -> tuple[Source | None, str]:
    """Give the source of a commit; None, and a sentence, where the repository of a folder does not have it."""
    sha = str(commit["commit_sha"])
    folder = next(each for each in (folder, *folder.parents) if each.is_dir())
    places = _git(folder, "rev-parse", "--show-toplevel", "--show-prefix")
    listed = _git(folder, "ls-tree", "-r", "-z", "--name-only", "--full-tree", sha) if sha.isalnum() else None
    noted = f"The run notes the git commit {sha[:10]}"
    if places is None or listed is None:
        return None, f"{noted}, which this repository does not have."
    files = set(os.fsdecode(listed).split("\0"))
    top, home = os.fsdecode(places).split("\n")[:2]
    if f"{home}{script}" not in files:  # it has moved since
        of_that_name = sorted(path for path in files if path.rpartition("/")[2] == script)
        if not of_that_name:
            return None, f"{noted}, in which there is no {script}: it was not committed."
        home = of_that_name[0].removesuffix(script)

    @cache
    def read(path: str) -> str | None:
        held = _git(folder, "show", f"{sha}:{home}{path}") if f"{home}{path}" in files else None
        return None if held is None else _decoded(held)

    changed = str(commit.get("has_uncommitted_changes", False)).lower() == "true"
    note = "There were changes that were not committed: this may not be all that ran." if changed else ""
    packed = ("archive", "--format=tar", f"{sha}:{home}" if home else sha)
    source = Source(
        flow,
        script,
        read,
        f"the git commit {sha[:10]}",
        note,
        key=sha,
        everything=lambda: _members(_git(Path(top), *packed) or b""),
    )
    return source, ""


def _git(folder: Path, *words: str) -> bytes | None:
    try:
        done = subprocess.run(  # git, with words of our own and a commit's hash
            ["git", "-C", str(folder), *words],  # noqa: S607  # the user's own git
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _text(path: Path) -> str | None:
    try:
        return _decoded(path.read_bytes()) if path.stat().st_size <= MAX_SOURCE else None
    except (OSError, ValueError):
        return None


def _decoded(content: bytes) -> str:
    return content.decode(_encoding_of(content), "replace").replace("\r\n", "\n")


def _encoding_of(content: bytes) -> str:
    """Give the encoding of a source file: what its first lines say, UTF-8 by default."""
    try:
        return tokenize.detect_encoding(io.BytesIO(content).readline)[0]
    except SyntaxError:
        return "utf-8"


def _table(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
