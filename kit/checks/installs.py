"""What commands install: the requirements that stand after `pip install`, `conda install`, `uv add`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from kit.checks.declared import INTERPRETERS, pinned

__all__ = ["DEPS_MAGIC", "loose_in", "loose_words", "split"]

DEPS_MAGIC = re.compile(r"^\s*%mf_install_deps\s+(?P<words>.*)$")
ENDS = {"&&", "||", ";", "|", "&"}
REDIRECTIONS = re.compile(r"^\d?(?:>|<)")
CONDAS = {"conda", "mamba", "micromamba"}
ADDERS = {"uv", "poetry", "pdm", "pixi"}
SAYING = {"echo", "printf", "which", "man", "#"}
VALUED = {"-r", "--requirement", "-c", "--constraint", "--constraints", "-e", "--editable", "-i", "--index-url",
          "--extra-index-url", "-f", "--find-links", "-t", "--target", "--flow", "--step", "--python", "-p", "--prefix",
          "-n", "--name", "--channel", "--file", "--root", "--platform", "--group", "--index"}  # fmt: skip
CONSTRAINTS = {"-c", "--constraint", "--constraints", "--require-hashes"}
NO_INSTALL = {"--check", "--flow"}  # of %mf_install_deps
FILES = (".txt", ".whl", ".gz", ".toml", ".zip", ".yml", ".yaml")
REQUIREMENT = re.compile(r"(?:[\w.-]+::)?[A-Za-z0-9][\w.-]*(?:\[[\w,. -]*\])?(?:[<>=!~].*)?$|git\+")


def loose_in(words: Sequence[str]) -> list[str]:
    """Give the requirements without a version that a line of a shell installs.

    Args:
        words: The words of the line, which may be of several commands.
    """
    return [one for command in _commands(words) for one in _loose_in_one(command)]


def loose_words(words: Sequence[str], conda: bool = False) -> list[str]:
    """Give the requirements without a version among the words that follow `install`."""
    if any(word in NO_INSTALL or (word in CONSTRAINTS and not conda) for word in words):
        return []
    loose: list[str] = []
    before = ""
    for word in words:
        plain = REQUIREMENT.match(word) and before not in VALUED and not (conda and before == "-c")
        edited = before in ("-e", "--editable") and word.startswith("git+")
        if (plain or edited) and "{" not in word and "$" not in word and not word.endswith(FILES):
            requirement = word.partition("=")[2] if not conda and re.match(r"[\w.]+=[^=]", word) else word
            name = re.split(r"[\[<>=!~]", requirement, maxsplit=1)[0].lower()
            fixed = "=" in word if conda else pinned(requirement)
            if not fixed and name not in INTERPRETERS:
                loose.append(requirement)
        before = word
    return loose


def split(line: str) -> list[str]:
    """Give the words of a line of a shell; none where its quotes do not close."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        return list(lexer)
    except ValueError:
        return []


def _commands(words: Sequence[str]) -> Iterator[list[str]]:
    command: list[str] = []
    for word in [*words, ";"]:
        if word not in ENDS:
            command.append(word)
            continue
        at = next((number for number, one in enumerate(command) if REDIRECTIONS.match(one)), len(command))
        yield command[:at]
        command = []


def _loose_in_one(command: Sequence[str]) -> list[str]:
    if not command or Path(command[0]).name in SAYING:
        return []
    for at, word in enumerate(command[:-1]):
        tool = Path(word).name
        following = command[at + 1]
        if re.fullmatch(r"pip[\d.]*", tool) and following == "install":
            return loose_words(command[at + 2 :])
        if tool in CONDAS and following == "install":
            return loose_words(command[at + 2 :], conda=True)
        if at == 0 and tool in ADDERS and following == "add":
            return [] if tool != "uv" else loose_words(command[at + 2 :])
    return []
