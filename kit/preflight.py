"""Whether pins can be had on this Python at all, found out before anything is touched.

An installer that builds from source believes that it can have everything. So the question is put to wheels alone, as
uv's resolver answers it (pip's, where there is no uv); where the answer is no, other versions of Python are asked too.
Standard library alone at import.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from kit.errors import RequirementError
from kit.installer import WHEELS_ONLY, find_uv
from kit.requirements import Requirement, redact

__all__ = ["lacks_wheels", "pythons_for", "refuse_impossible"]

MINORS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
_SECONDS = 60
_NOWHERE = os.path.join(tempfile.gettempdir(), "kit-nothing")  # pip wants a folder named for another Python
_NO_WHEELS = re.compile(
    r"(?i)\bwheels?\b|requires.python|python version|building source distributions"
    r"|no matching distribution found"  # pip's words
)


def lacks_wheels(words: str) -> bool:
    """Tell whether an installer's words may be about wheels that there are not, not about a wrong name or version."""
    return _NO_WHEELS.search(words) is not None


def refuse_impossible(requirements: Sequence[Requirement], words: str = "") -> None:
    """Refuse what has no wheels for this Python, where it has them for another.

    What has none for any Python (a source distribution, a version that does not exist) is left to the installer and its
    own words; so is everything while the network fails.

    Args:
        requirements: What is to be installed, all of it: what comes from a URL is not asked about.
        words: What the installer said of this Python; where that is not known yet, it is asked.

    Raises:
        RequirementError: It cannot be had here; the message says which Pythons could.
    """
    uv = find_uv()
    named = [requirement for requirement in requirements if requirement.url is None]
    if not named:
        return
    arguments = [requirement.argument for requirement in named]
    this = ".".join(map(str, sys.version_info[:2]))
    words = words or _asked(uv, "", arguments)[1]
    others = pythons_for(arguments, uv) if lacks_wheels(words) else ()
    if others and this not in others:
        raise RequirementError(
            f"{', '.join(one.label for one in named)} cannot be had on Python {this}; Python {', '.join(others)} can",
            "Take an environment of its own (--isolated; a step: %mf_run_step --isolated), or build it: --from-source.",
            details=words,
        )


def pythons_for(arguments: Sequence[str], uv: str | None) -> tuple[str, ...]:
    """Name the minor versions of Python for which there are wheels of all that is wanted.

    Args:
        arguments: The requirements, as an installer takes them.
        uv: The uv executable; None has pip asked.
    """
    with ThreadPoolExecutor(len(MINORS)) as pool:
        answers = pool.map(lambda minor: _asked(uv, minor, arguments)[0], MINORS)
    return tuple(minor for minor, fits in zip(MINORS, answers) if fits)  # noqa: B905  # Python 3.9 has no strict


def _asked(uv: str | None, minor: str, arguments: Sequence[str]) -> tuple[bool, str]:
    """Ask a resolver whether wheels alone would do, for this Python or another; gives its words too."""
    python = ["--python-version", minor] if minor else []
    if uv:  # a Python is named, so that uv does not start all that it finds on the PATH
        command = [uv, "pip", "compile", "--quiet", "--no-header", "--color", "never", "--python", sys.executable]
        command += [*python, *WHEELS_ONLY, "-"]
    else:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-input", "--no-color"]
        command += ["--disable-pip-version-check", "--ignore-installed", *WHEELS_ONLY]
        command += [*python, *(["--target", _NOWHERE] if minor else []), "--", *arguments]
    environment = {"UV_HTTP_RETRIES": "1", "PIP_RETRIES": "1", **os.environ}
    try:
        done = subprocess.run(
            command,
            input="\n".join(arguments) + "\n" if uv else "",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False, ""
    return done.returncode == 0, redact(done.stderr)
