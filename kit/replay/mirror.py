"""A local datastore in a temporary folder that looks like a recorded one, and takes what one task writes."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["give", "given", "mirror"]

OWN_FOLDERS = "mf."  # such as mf.cards: where a task would write to, so not mirrored
CARDS = "runs"  # of a flow: where Metaflow puts cards if METAFLOW_CARD_LOCALROOT is set, whatever to


def mirror(root: Path, copy: Path, task: tuple[str, str, str, str]) -> None:
    """Link what a datastore holds into another folder, but for one task.

    What a task may write beside is copied (`_meta` on its way) or a folder of its own (the blobs), so that nothing gets
    into the original.

    Args:
        root: The datastore: a `.metaflow` folder.
        copy: The folder to make.
        task: Flow, run, step and id of the task that is not to be there.
    """
    source, target = root, copy
    for depth, name in enumerate(task):
        target.mkdir(parents=True, exist_ok=True)
        for entry in os.scandir(source) if source.is_dir() else ():
            if entry.name == name or entry.name.startswith(OWN_FOLDERS) or (depth == 1 and entry.name == CARDS):
                continue
            if entry.name == "_meta":
                shutil.copytree(entry.path, target / entry.name)
            elif depth == 1 and entry.name == "data":
                _link_blobs(Path(entry.path), target / entry.name)
            else:
                os.symlink(entry.path, target / entry.name)
        source, target = source / name, target / name
    _register(copy, task)


def give(copy: Path, task: tuple[str, str, str, str], attempt: int, objects: Mapping[str, str], info: Any) -> None:
    """Let a task of the mirror have left some artifacts, as Metaflow's datastore writes them down.

    Args:
        copy: The mirror.
        task: Flow, run, step and id of the task.
        attempt: Its attempt.
        objects: The keys of the pickles, by the names of the artifacts.
        info: What Metaflow records about each.
    """
    folder = copy.joinpath(*task)
    _make_own(copy, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():  # links to what was recorded, of further attempts too
        if entry.name != "_meta":
            entry.unlink()
    content = {"attempt.json": {"time": time.time()}, "data.json": {"objects": dict(objects), "info": dict(info)}}
    for name, value in content.items():
        (folder / f"{attempt}.{name}").write_text(json.dumps(value), encoding="utf-8")
    (folder / f"{attempt}.DONE.lock").touch()


def given(copy: Path, task: tuple[str, str, str, str], attempt: int) -> dict[str, str]:
    """Give the keys of the pickles that a task of the mirror has left, by the names of the artifacts."""
    try:
        content = json.loads((copy.joinpath(*task) / f"{attempt}.data.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return dict(content["objects"])


def _register(copy: Path, task: tuple[str, str, str, str]) -> None:
    """Record step and task in the local metadata, as Metaflow's scheduler does before a task begins."""
    names, values = ("flow_id", "run_number", "step_name", "task_id"), task
    base: dict[str, Any] = {"user_name": "", "tags": [], "system_tags": [], "ts_epoch": int(time.time() * 1000)}
    for depth in (2, 3, 4):
        file = copy.joinpath(*task[:depth], "_meta", "_self.json")
        if not file.exists():
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps({**base, **dict(zip(names[:depth], values, strict=False))}), encoding="utf-8")
        if depth == 2:
            base = json.loads(file.read_text(encoding="utf-8"))


def _make_own(copy: Path, folder: Path) -> None:
    """Replace the link on the way to a folder by folders of links."""
    for place in reversed([folder, *folder.parents]):
        if copy in place.parents and place.is_symlink():
            source = Path(os.readlink(place))
            place.unlink()
            place.mkdir()
            for entry in os.scandir(source):
                os.symlink(entry.path, place / entry.name)


def _link_blobs(source: Path, target: Path) -> None:
    for group in os.scandir(source):
        folder = target / group.name
        folder.mkdir(parents=True)
        for blob in os.scandir(group.path):
            os.symlink(blob.path, folder / blob.name)
