"""Requirements against the running interpreter: what is met, what is missing, and installing it.

Standard library alone at import, because steps import it where little else is installed. When everything is
met, it starts no process and asks no network. Reading requirements is kit.requirements' part.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import re
import site
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from kit.errors import RequirementError
from kit.requirements import Requirement, Spec, packaging_module, parse_words, read_file, read_spec, redact

__all__ = [
    "DependencyState",
    "Requirement",
    "Spec",
    "install_dependencies",
    "parse_words",
    "probe",
    "read_file",
    "read_spec",
    "redact",
]

State = Literal["met", "missing", "unmet", "skipped"]
Action = Literal["keep", "install", "replace", "skip"]
_ACTIONS: dict[State, Action] = {"met": "keep", "missing": "install", "unmet": "replace", "skipped": "skip"}


@dataclass(frozen=True)
class DependencyState:
    """How one requirement stands in the running interpreter.

    Attributes:
        requirement: The requirement.
        wanted: Its pin as it may be shown: `==1.5.2`, a git revision, a URL, or `any`.
        had: The version that was installed (`0.1 @ v0.1` for one from git), None for none.
        state: `met`, `missing`, `unmet` (installed, but not as pinned) or `skipped` (its marker is false here).
        now: The version that is installed at the time of the answer; differs from `had` after an install.
        action: What an install does about it, or did: `keep`, `install`, `replace` or `skip`.
    """

    requirement: Requirement
    wanted: str
    had: str | None
    state: State
    now: str | None
    action: Action

    @property
    def complaint(self) -> str:
        """What is wrong with it, as the part of a sentence."""
        name = self.requirement.name or self.requirement.import_name or self.requirement.label
        if self.state == "unmet":
            return f"{name} is installed as {self.had or 'a module without a version'}, wanted is {self.wanted}"
        if self.state == "missing" and self.had and self.requirement.import_name:
            return f"{name} {self.had} is installed without the import {self.requirement.import_name}"
        return f"{self.requirement.label} is {self.state}"


def probe(requirements: Iterable[Requirement]) -> tuple[DependencyState, ...]:
    """Look which requirements the running interpreter meets, importing none of them.

    A pin on a version is compared with the distribution's metadata, a pin on a URL or a git revision with the
    `direct_url.json` that installers leave (PEP 610): a tag or branch with the one that was asked for, a commit
    with the one that was built. A branch that has moved since, or a folder edited since, is therefore met. A
    distribution without that file came from an index or a checkout, and is met by its import.

    Args:
        requirements: What to look for.

    Returns:
        One state a requirement, in the same order.

    Raises:
        RequirementError: A range or marker is to be compared, and `packaging` is not installed.
    """
    return tuple(_probe_one(requirement) for requirement in requirements)


def install_dependencies(
    spec: Spec,
    *,
    upgrade: bool = False,
    check: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
    from_source: bool = False,
) -> tuple[DependencyState, ...]:
    """Bring requirements to the running interpreter, with uv where it is, else with pip.

    Nothing happens when all are met. Modules that are already imported stay as they are: after a replacement
    the process must start anew to see it.

    Args:
        spec: {import name: requirement}, a list of such dicts and of requirements, or one requirement.
        upgrade: Replace what is installed at another version than pinned, instead of refusing.
        check: Install nothing; raise if anything is not met.
        dry_run: Install nothing; return how things stand and what would be done.
        quiet: Print no line while installing.
        from_source: Build what has no wheels for this Python, instead of refusing what another Python could have.

    Returns:
        One state a requirement: as it is now, with the version it had before and what was done.

    Raises:
        RequirementError: A requirement cannot be read, is not met (`check`), is installed at another version
            (without `upgrade`), or cannot be installed; `details` then holds all that the installer said.
    """
    requirements = read_spec(spec)
    before = probe(requirements)
    unfit = [state for state in before if state.state in ("missing", "unmet")]
    if unfit and check:
        raise RequirementError(_complaints(unfit), "Install it: the same call without check (without --check).")
    if dry_run or not unfit:
        return before
    _refuse_replacing(before, upgrade)
    from kit import installer  # here, so that what is met does not pay for it

    installer.refuse_managed_python()
    with installer.environment_lock(quiet=quiet):
        importlib.invalidate_caches()
        states = probe(requirements)  # another process may have installed them while this one waited
        _refuse_replacing(states, upgrade)
        if any(state.state in ("missing", "unmet") for state in states):
            _install(states, quiet, from_source)
    importlib.invalidate_caches()
    if site.ENABLE_USER_SITE and site.getusersitepackages() not in sys.path:
        site.addsitedir(site.getusersitepackages())  # the first user install makes the folder
    after = probe(requirements)
    unfit = [state for state in after if state.state in ("missing", "unmet")]
    if unfit:
        raise RequirementError(
            f"the installer succeeded, but {_complaints(unfit)}",
            "Compare the import name with what the distribution brings: {'sklearn': 'scikit-learn==1.5.2'}.",
        )
    return tuple(map(lambda old, new: replace(new, had=old.had, action=old.action), before, after))


def _complaints(states: Sequence[DependencyState]) -> str:
    return "; ".join(state.complaint for state in states)


def _refuse_replacing(states: Sequence[DependencyState], upgrade: bool) -> None:
    unmet = [state for state in states if state.state == "unmet"]
    if unmet and not upgrade:
        raise RequirementError(
            _complaints(unmet), "Replace it with upgrade=True (in a notebook: --upgrade), or change the pin."
        )


def _install(states: Sequence[DependencyState], quiet: bool, from_source: bool) -> None:
    from kit import installer, preflight  # here, so that what is met does not pay for it

    def pick(*wanted: State) -> list[Requirement]:
        return [state.requirement for state in states if state.state in wanted]

    todo = pick("missing", "unmet")
    # A pin that holds is passed along: the resolver must not break it to satisfy the others.
    held = [requirement for requirement in pick("met") if requirement.specifier and not requirement.url]
    arguments = list(dict.fromkeys(requirement.argument for requirement in [*todo, *held]))
    replaced = [requirement.argument for requirement in pick("unmet") if requirement.url]
    label = ", ".join(requirement.label for requirement in todo)
    if not from_source and any(requirement.url for requirement in todo):  # which wheels alone would leave out
        preflight.refuse_impossible([*todo, *held])
        from_source = True
    try:
        installer.install(arguments, replaced, label, quiet=quiet, wheels_only=not from_source)
    except RequirementError as error:
        if from_source or not preflight.lacks_wheels(error.details):
            raise
        preflight.refuse_impossible([*todo, *held], error.details)
        installer.install(arguments, replaced, label, quiet=True)  # it was said that this is installed


def _probe_one(requirement: Requirement, within: tuple[Requirement, ...] = ()) -> DependencyState:
    state, had = _stand(requirement, within)
    return DependencyState(requirement, _wanted(requirement), had, state, had, _ACTIONS[state])


def _stand(requirement: Requirement, within: tuple[Requirement, ...]) -> tuple[State, str | None]:
    """Tell a requirement's state and the version that is installed."""
    marker, name = requirement.marker, requirement.import_name
    if marker and not packaging_module("markers").Marker(marker).evaluate({"extra": ""}):
        return "skipped", None
    found = _distribution(requirement)
    spec = _module_spec(name) if name else None
    # A bare folder on the path passes for a namespace package; only a distribution makes it one.
    importable = name is None or (spec is not None and (spec.origin is not None or found is not None))
    if found:
        if not _pin_holds(requirement, found):
            return "unmet", _version_shown(found)
        whole = importable and _extras_met(requirement, found, (*within, requirement))
        return "met" if whole else "missing", _version_shown(found)
    if name is None or not importable:
        return "missing", None
    # The import is there, from a distribution of another name or from none at all.
    if not requirement.url and not requirement.specifier:
        return "met", None
    # Only what was recorded at a URL can contradict a URL; any distribution can tell a version.
    known = metadata.distributions()
    other = _provider(name, filter(_direct_url, known) if requirement.url else known)
    had = f"{_version_shown(other)} ({other.metadata['Name']})" if other else None
    if requirement.url:
        return "met" if other is None or _pin_holds(requirement, other) else "unmet", had
    return "unmet", had


def _distribution(requirement: Requirement) -> metadata.Distribution | None:
    """Find a requirement's distribution without the slow map from imports to distributions."""
    guess = requirement.name or (requirement.import_name or "").partition(".")[0]
    if guess:
        with contextlib.suppress(metadata.PackageNotFoundError):
            distribution = metadata.distribution(guess)
            return distribution if _version(distribution) else None  # no version: left by a broken removal
    if requirement.name is None and requirement.url:
        place, _ = _source(requirement.url)
        for distribution in metadata.distributions():
            direct = _direct_url(distribution)
            if direct and _direct_place(direct) == place:
                return distribution
    return None


def _provider(import_name: str, among: Iterable[metadata.Distribution]) -> metadata.Distribution | None:
    """Find the distribution that brings a module, by the names and files that it lists."""
    top = import_name.partition(".")[0]
    for distribution in among:
        if top in (distribution.read_text("top_level.txt") or "").split():
            return distribution
        if any(file.parts[0] in (top, f"{top}.py") for file in distribution.files or ()):
            return distribution
    return None


def _module_spec(name: str) -> ModuleSpec | None:
    """Find a module, however deep, without importing what is above it."""
    top, *deeper = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module made by hand, without a spec
        return ModuleSpec(top, None, origin="memory")
    for part in deeper:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return spec


def _pin_holds(requirement: Requirement, found: metadata.Distribution) -> bool:
    direct = _direct_url(found) if requirement.url else None
    if requirement.url and direct:
        return _same_source(requirement.url, direct)
    version = _version(found) or ""
    if requirement.specifier in ("", f"=={version}"):
        return True
    pin, release = _release(requirement.specifier.removeprefix("==")), _release(version)
    if pin and release:  # the everyday pin, for which `packaging` is not worth its import
        return pin == release
    with contextlib.suppress(ValueError):  # a version that PEP 440 does not know
        specifiers = packaging_module("specifiers").SpecifierSet(requirement.specifier)
        return bool(specifiers.contains(version, prereleases=True))
    return False


def _extras_met(requirement: Requirement, found: metadata.Distribution, within: tuple[Requirement, ...]) -> bool:
    """Tell whether what the extras ask for is there, extras of extras too."""
    if not requirement.extras:
        return True
    markers = packaging_module("markers")
    for text in found.requires or ():
        asked, _, marker = text.partition(";")
        condition = markers.Marker(marker) if marker else None
        if condition is None or condition.evaluate({"extra": ""}):
            continue  # wanted without an extra as well
        if any(condition.evaluate({"extra": extra}) for extra in requirement.extras):
            (part,) = read_spec(asked)
            if part not in within and _probe_one(part, within).state != "met":
                return False
    return True


def _version(distribution: metadata.Distribution) -> str | None:
    """Read a version from the metadata's head; `Distribution.version` parses the long description too."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    line = re.search(r"^Version:[ \t]*(\S+)", text, re.MULTILINE)
    return line[1] if line else None


def _release(version: str) -> str | None:
    """Normalize a version of digits and dots alone; None for any other."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", version):
        return None
    return re.sub(r"(\.0)+$", "", re.sub(r"\b0+(?=[0-9])", "", version))


def _version_shown(distribution: metadata.Distribution) -> str:
    vcs = (_direct_url(distribution) or {}).get("vcs_info") or {}
    revision = vcs.get("requested_revision") or str(vcs.get("commit_id", ""))[:8]
    return f"{_version(distribution)} @ {revision}" if revision else str(_version(distribution))


def _wanted(requirement: Requirement) -> str:
    if requirement.url is None:
        return requirement.specifier or "any"
    if requirement.url.startswith("git+"):
        return _source(requirement.url)[1] or "any revision"
    return redact(requirement.url)


# ---- where a distribution came from (PEP 610) ----


def _direct_url(distribution: metadata.Distribution) -> dict[str, Any] | None:
    try:
        direct = json.loads(distribution.read_text("direct_url.json") or "null")
    except ValueError:
        return None
    return direct if isinstance(direct, dict) and isinstance(direct.get("url"), str) else None


def _direct_place(direct: dict[str, Any]) -> tuple[str, ...]:
    return _place(direct["url"], direct.get("subdirectory") or "", is_git="vcs_info" in direct)


def _same_source(url: str, direct: dict[str, Any]) -> bool:
    place, wanted = _source(url)
    vcs = direct.get("vcs_info") or {}
    if place != _direct_place(direct):
        return False
    if wanted is None or wanted == vcs.get("requested_revision"):
        return True
    is_commit = re.fullmatch(r"[0-9a-fA-F]{7,64}", wanted) is not None
    return is_commit and str(vcs.get("commit_id", "")).startswith(wanted.lower())


def _source(url: str) -> tuple[tuple[str, ...], str | None]:
    """Split a requirement's URL into its place and, for git, the revision asked for."""
    is_git = url.startswith("git+")
    parts = urlsplit(url.removeprefix("git+"))
    path, at, revision = parts.path.rpartition("@") if is_git else (parts.path, "", "")
    subdirectory = parse_qs(parts.fragment).get("subdirectory", [""])[0]
    place = _place(parts._replace(path=path if at else parts.path).geturl(), subdirectory, is_git=is_git)
    return place, unquote(revision) if at else None


def _place(url: str, subdirectory: str, *, is_git: bool) -> tuple[str, ...]:
    """Name a place so that two spellings are equal: https or ssh, `.git` or not, whoever logs in."""
    parts = urlsplit(url)
    host, path = parts.netloc.rpartition("@")[2].lower(), unquote(parts.path).rstrip("/")
    if parts.scheme == "file":
        path = os.path.realpath(path)
    if is_git:
        return "git", host, path.removesuffix(".git"), subdirectory
    return host, path, parts.query
