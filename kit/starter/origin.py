"""Where this kit was installed from, so that a new project can be installed from there as well."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from kit import __version__

__all__ = ["DISTRIBUTION", "Origin", "origin"]

DISTRIBUTION = "kit-for-metaflow"
GIT_SECONDS = 5
PLAIN = re.compile(r"[\w.~:/@%+=&?#!,;()-]+", re.ASCII)  # what needs no quoting in TOML


@dataclass(frozen=True)
class Origin:
    """What a project names to have kit.

    Args:
        requirement: A requirement (PEP 508): a version where kit came from an index, else an address.
        here_alone: Whether the address is a folder or file of this machine.
    """

    requirement: str
    here_alone: bool = False


def origin() -> Origin:
    """Find out where kit was installed from: an index, a git repository, or a folder or file of this machine.

    A folder that is a clone counts as its repository, where that has the clone's commit and is read over https.
    """
    indexed = Origin(f"{DISTRIBUTION}~={__version__}")
    try:
        text = distribution(DISTRIBUTION).read_text("direct_url.json")  # PEP 610
        said = json.loads(text) if text else None
    except (PackageNotFoundError, ValueError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("url"), str):
        return indexed
    address = _without_secrets(said["url"])
    commit = said.get("vcs_info", {}).get("commit_id")
    if commit:
        address = f"{said['vcs_info'].get('vcs', 'git')}+{address}@{commit}"
    if urlsplit(address).scheme == "file":
        folder = Path(url2pathname(urlsplit(address).path))
        if not folder.exists():
            return indexed
        address = _published(folder) or address
    if not PLAIN.fullmatch(address):
        return indexed
    return Origin(f"{DISTRIBUTION} @ {address}", urlsplit(address).scheme == "file")


def _published(folder: Path) -> str | None:
    """Give the address of a clone's commit, where its repository has it; None otherwise."""
    remote = _git(folder, "config", "--get", "remote.origin.url")
    commit = _git(folder, "rev-parse", "HEAD")
    if not remote.startswith("https://") or not commit or not _git(folder, "branch", "--remotes", "--contains", commit):
        return None
    return f"git+{_without_secrets(remote)}@{commit}"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _without_secrets(address: str) -> str:
    """Leave a user and a password or token out of an address; `git@`, of ssh, is no secret."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    return address if not user or user == "git" else urlunsplit(parts._replace(netloc=host))
