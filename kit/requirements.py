"""Requirements as people write them, read and checked; what a step's `@pypi` or a magic's words ask for.

Standard library alone at import, because steps import it where little else is installed. It knows nothing of
what is installed (kit.deps does) and never touches the network.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from kit.errors import RequirementError

if TYPE_CHECKING:
    from typing import TypeAlias  # not in the Python 3.9 of a step's own environment

__all__ = ["Requirement", "Spec", "packaging_module", "parse_words", "pin_text", "read_file", "read_spec", "redact"]

_HOW = "Write it as pip takes it: name==1.2, name[extra]>=1,<2, name @ https://..., git+https://host/you/name@tag."
_ADDRESS = "kit installs from git+https://, git+ssh://git@host/path, git+file://, https://, http:// and local paths."
_SCHEMES = {"git+https", "git+http", "git+ssh", "git+file", "https", "http", "file"}
_ARCHIVES = (".whl", ".tar.gz", ".zip")

# The everyday requirement. Whatever is richer goes to `packaging`, whose import takes longer than all the rest.
_PLAIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*"
    r"(?:\[(?P<extras>\s*[A-Za-z0-9][A-Za-z0-9._,\s-]*)\])?\s*"
    r"(?:==\s*(?P<release>[0-9]+(?:\.[0-9]+)*))?"
)
_BARE_VERSION = re.compile(r"[0-9][0-9.*]*")
_IMPORT_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_ASSIGNED = re.compile(rf"(?P<import_name>{_IMPORT_NAME})=(?!=)(?P<requirement>.+)", re.DOTALL)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):")  # two letters or more: C:\wheels is a path
_PATH_START = re.compile(r"[./~\\]|[A-Za-z]:[\\/]")
_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
_CREDENTIALS = re.compile(r"://(?!git@)[^/\s]*@")
_SECRET_QUERY = re.compile(r"(?i)([?&][\w-]*(?:token|key|password|secret|sig|signature)=)[^&#\s]+")


@dataclass(frozen=True, repr=False)
class Requirement:
    """One requirement, read and checked.

    Attributes:
        import_name: The module it is wanted for (`sklearn`), where the user said so.
        text: The requirement as given; may hold credentials, so show `label` and never this.
        name: The distribution (`scikit-learn`); None for a path or URL that does not tell it.
        specifier: The PEP 440 pin (`==1.5.2`), empty where any version will do.
        url: Where it comes from, a path as `file://`; None for a distribution from the index.
        extras: The optional parts asked for.
        marker: The PEP 508 condition under which it is wanted at all.
        argument: What the installer is given: the requirement without its marker.
    """

    import_name: str | None
    text: str
    name: str | None
    specifier: str = ""
    url: str | None = None
    extras: tuple[str, ...] = ()
    marker: str | None = None
    argument: str = ""

    @property
    def label(self) -> str:
        """The requirement as it may be shown: without credentials."""
        return redact(self.text)

    def __repr__(self) -> str:
        # Values are shown by notebooks; the generated repr would show a token in a URL.
        prefix = f"{self.import_name}=" if self.import_name else ""
        return f"Requirement({prefix + self.label!r})"


Spec: TypeAlias = "str | Requirement | Mapping[str, str] | Sequence[Mapping[str, str] | str | Requirement]"


def read_spec(spec: Spec) -> tuple[Requirement, ...]:
    """Read what `install_dependencies` takes.

    Args:
        spec: A dict {import name: requirement}, one requirement, or a list that mixes the two.

    Returns:
        The requirements in the order given, each once.

    Raises:
        RequirementError: One of them cannot be read, or asks for what kit refuses.
    """
    return tuple(dict.fromkeys(_walk(spec)))


def parse_words(words: Iterable[str]) -> tuple[Requirement, ...]:
    """Read the words of a command line, each a requirement or `import_name=requirement`.

    Args:
        words: The words, already split and unquoted. The three words of `name @ url` are one requirement.

    Returns:
        The requirements in the order given, each once.

    Raises:
        RequirementError: One of them cannot be read, or asks for what kit refuses.
    """
    joined: list[str] = []
    for word in words:
        if joined and (word == "@" or joined[-1].endswith(" @")):
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    return tuple(dict.fromkeys(_read_word(word) for word in joined))


def pin_text(name: str, version: str) -> str:
    """Write a package of a step's @pypi as a requirement.

    Args:
        name: The distribution, with extras or without.
        version: "1.2", a range (">=1,<2"), "@ url", or "" for any version.
    """
    version = str(version).strip()
    glue = "" if not version or version[0] in "<>!~=" else " " if version[0] == "@" else "=="
    return f"{name}{glue}{version}"


def read_file(path: str | os.PathLike[str]) -> tuple[Requirement, ...]:
    """Read a requirements file: comments, continued lines, nested `-r` (relative to the file) and `${NAME}`.

    Args:
        path: The file. Paths of requirements in it are relative to the working directory, as they are for pip.

    Returns:
        The requirements in the order of the file, each once.

    Raises:
        RequirementError: The file cannot be read, or a line holds an option other than `-r`.
    """
    return tuple(dict.fromkeys(_read_lines(Path(path), ())))


def redact(text: str) -> str:
    """Take credentials out of the URLs in a text: `user:password@`, and tokens in a query."""
    return _SECRET_QUERY.sub(r"\1***", _CREDENTIALS.sub("://***@", text))


def packaging_module(name: str) -> ModuleType:
    """Import a module of `packaging`, its own or the copy that pip carries.

    Args:
        name: `requirements`, `markers` or `specifiers`.

    Returns:
        The module.

    Raises:
        RequirementError: Neither is there.
    """
    for package in ("packaging", "pip._vendor.packaging"):
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError:
            continue
    raise RequirementError(
        "reading version ranges and markers needs the package 'packaging', which is not installed here",
        "Install packaging, or pin exact versions (name==1.2).",
    )


def _walk(spec: object) -> Iterable[Requirement]:
    if isinstance(spec, Requirement):
        yield spec
    elif isinstance(spec, str):
        yield _read(spec)
    elif isinstance(spec, Mapping):
        for import_name, requirement in spec.items():
            yield _read(requirement, _checked_import_name(import_name))
    elif isinstance(spec, Sequence) and not isinstance(spec, (bytes, bytearray)):
        for part in spec:
            yield from _walk(part)
    else:
        raise RequirementError(
            f"requirements are strings, dicts and lists, not {type(spec).__name__}",
            "Give {import name: requirement}, a list of such dicts, or a list of requirements.",
        )


def _read_word(word: str) -> Requirement:
    assigned = _ASSIGNED.fullmatch(word)
    return _read(assigned["requirement"], assigned["import_name"]) if assigned else _read(word)


def _read_lines(path: Path, above: tuple[Path, ...]) -> Iterable[Requirement]:
    if path.resolve() in above:
        raise RequirementError(f"{path} includes itself", "Take one of the -r lines out.")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RequirementError(f"{path} cannot be read: {reason}", "Give a requirements file.") from None
    number = 1
    for joined in re.split(r"(?<!\\)\n", content):
        first, number = number, number + joined.count("\n") + 1
        line = re.sub(r"(^|\s)#.*", "", joined.replace("\\\n", " ").replace("\t", " ")).strip()
        line = re.sub(r"\$\{([A-Z0-9_]+)\}", lambda found: os.environ.get(found[1], found[0]), line)
        nested = re.fullmatch(r"(?:-r|--requirement(?=[\s=]))[\s=]*(.+)", line)
        option = re.search(r"^-(-[\w-]+|.?)|(?<=\s)--[\w-]+", line)
        if nested:
            yield from _read_lines(path.parent / nested[1], (*above, path.resolve()))
        elif option:
            raise RequirementError(
                f"{path}, line {first}: the option {option[0]} is not one that kit reads",
                "Take it out; an index is set by UV_DEFAULT_INDEX or PIP_INDEX_URL in the environment.",
            )
        elif line:
            try:
                yield _read(line)
            except RequirementError as error:
                raise RequirementError(f"{path}, line {first}: {error.message}", error.hint) from None


def _checked_import_name(name: object) -> str:
    if isinstance(name, str) and re.fullmatch(_IMPORT_NAME, name):
        return name
    raise RequirementError(
        f"{redact(str(name))!r} is not a name that can be imported",
        "The keys are import names: {'sklearn': 'scikit-learn==1.5.2'}.",
    )


def _read(text: object, import_name: str | None = None) -> Requirement:
    """Read one requirement; what it must not hold is refused before anything looks at what it says."""
    if not isinstance(text, str):
        raise RequirementError(f"a requirement is a string, not {type(text).__name__}", _HOW)
    shown, stripped = repr(redact(text)), text.strip()
    if not stripped:
        raise RequirementError("a requirement is empty", _HOW)
    if not text.isprintable():
        raise RequirementError(f"{shown} has a newline or control character", "Give one requirement a string.")
    if re.search(r"(^|\s)-", stripped):
        raise RequirementError(
            f"{shown} carries an option, and kit passes requirements alone to the installer",
            "An index is set by UV_DEFAULT_INDEX or PIP_INDEX_URL in the environment.",
        )
    if _BARE_VERSION.fullmatch(stripped):
        pin = f"{import_name or 'name'}=={stripped}"
        raise RequirementError(f"{shown} is a version, not a requirement", f"Write it with its name: {pin}.")
    head, *condition = re.split(r"\s;", stripped, maxsplit=1)
    is_archive = head.lower().endswith(_ARCHIVES) and "@" not in head
    if is_archive or _SCHEME.match(head) or _PATH_START.match(head):
        return _read_location(head, "".join(condition).strip(), import_name, stripped)
    return _read_named(stripped, import_name)


def _read_location(location: str, marker: str, import_name: str | None, text: str) -> Requirement:
    """Read a bare path or URL."""
    extras = ""
    if not _SCHEME.match(location):
        location, extras = re.fullmatch(r"(.*?)(\[[^\]]*\])?", location).groups("")  # type: ignore[union-attr]
        location = os.path.expanduser(location)
    url = _address(location, text)
    if marker:
        markers = packaging_module("markers")
        try:
            markers.Marker(marker)
        except markers.InvalidMarker as error:
            raise _unreadable(text, error) from None
    name, specifier = _wheel_pin(url)
    if name is None:
        egg = _PLAIN.fullmatch(parse_qs(urlsplit(url).fragment).get("egg", [""])[0])
        name = egg["name"] if egg else None
    argument = url
    if name:
        argument = f"{name}{extras} @ {url}"
    elif extras:
        argument = os.path.abspath(location) + extras
    return Requirement(import_name, text, name, specifier, url, _extras(extras.strip("[]")), marker or None, argument)


def _read_named(text: str, import_name: str | None) -> Requirement:
    """Read what begins with a distribution's name."""
    plain = _PLAIN.fullmatch(text)
    if plain:
        specifier = f"=={plain['release']}" if plain["release"] else ""
        extras = _extras(plain["extras"] or "")
        argument = plain["name"] + _bracketed(extras) + specifier
        return Requirement(import_name, text, plain["name"], specifier, None, extras, None, argument)
    requirements = packaging_module("requirements")
    try:
        parsed = requirements.Requirement(text)
    except requirements.InvalidRequirement as error:
        raise _unreadable(text, error) from None
    extras = tuple(sorted(parsed.extras))
    marker = str(parsed.marker) if parsed.marker else None
    specifier, url = str(parsed.specifier), None
    argument = parsed.name + _bracketed(extras) + specifier
    if parsed.url:
        url = _address(parsed.url, text)
        specifier = _wheel_pin(url)[1]
        argument = f"{parsed.name}{_bracketed(extras)} @ {url}"
    return Requirement(import_name, text, parsed.name, specifier, url, extras, marker, argument)


def _address(location: str, text: str) -> str:
    """Check where a requirement comes from.

    Returns:
        Its URL; a path as `file://`.
    """
    scheme = _SCHEME.match(location)
    if scheme is None:
        return Path(location).resolve().as_uri()
    shown = repr(redact(text))
    if scheme["scheme"].lower() not in _SCHEMES or not location.startswith("//", scheme.end()):
        raise RequirementError(f"{shown} has an address of a kind that kit does not install from", _ADDRESS)
    try:
        host = urlsplit(location).hostname
    except ValueError:
        raise RequirementError(f"{shown} has an address that cannot be read", _ADDRESS) from None
    if not host and not scheme["scheme"].lower().endswith("file"):
        raise RequirementError(f"{shown} has an address without a host", _ADDRESS)
    if " " in location:
        raise RequirementError(f"{shown} has a space in its address", "Write the space as %20.")
    if (host or "").startswith("-") or "@-" in location:  # git and ssh would take these for options
        raise RequirementError(f"{shown} hides an option in its address", _ADDRESS)
    return location


def _wheel_pin(url: str) -> tuple[str | None, str]:
    """Read name and pin from a wheel's file name; nothing from any other."""
    wheel = _WHEEL.fullmatch(unquote(urlsplit(url).path).rpartition("/")[2])
    return (wheel["name"], f"=={wheel['version']}") if wheel else (None, "")


def _extras(text: str) -> tuple[str, ...]:
    return tuple(sorted({extra.strip() for extra in text.split(",")} - {""}))


def _bracketed(extras: tuple[str, ...]) -> str:
    return f"[{','.join(extras)}]" if extras else ""


def _unreadable(text: str, error: Exception) -> RequirementError:
    reason = redact(str(error)).splitlines()[0]
    return RequirementError(f"{redact(text)!r} is not a requirement: {reason}", _HOW)
