"""Running uv or pip on the running interpreter: which of them, one at a time, and again when the network fails.

Standard library alone at import. It knows nothing of requirements but the words that it passes on.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kit.errors import RequirementError
from kit.requirements import redact
from kit.saying import say, tell

try:
    import fcntl
except ImportError:  # Windows: uv has a lock of its own there
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "RETRY_PAUSES",
    "WHEELS_ONLY",
    "environment_lock",
    "find_uv",
    "install",
    "refuse_managed_python",
    "run",
]

WHEELS_ONLY = ["--only-binary", ":all:"]
RETRY_PAUSES = (1.0, 4.0)  # seconds before the second and the third attempt, after a network failure

# What uv, pip and git say when the network, and not the requirement, is at fault.
_NETWORK = re.compile(
    r"(?i)connection (refused|reset|aborted|closed|timed out|broken)|tcp connect error|dns error|name resolution"
    r"|could not resolve host|failed to lookup address|network is unreachable|\btimed out|(read|connect)timeout"
    r"|newconnectionerror|incompleteread|remote end closed|early eof|too many requests"
    r"|server error \(50[0234]|\b50[0234] server error|requested url returned error: 50[0234]"
)


def refuse_managed_python() -> None:
    """Refuse to install into a Python that belongs to the operating system (PEP 668).

    Raises:
        RequirementError: It does.
    """
    managed = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if sys.prefix == sys.base_prefix and managed.exists():
        raise RequirementError(
            f"the Python in {sys.prefix} belongs to the operating system (PEP 668): kit does not install there",
            "Make an environment (python -m venv .venv) and start Jupyter, or the flow, with its Python.",
        )


@contextlib.contextmanager
def environment_lock(*, quiet: bool) -> Iterator[None]:
    """Let one process at a time install into this environment; the others wait, and say so unless `quiet`."""
    prefix = sys.prefix if os.access(sys.prefix, os.W_OK) else site.getuserbase()
    with contextlib.ExitStack() as stack:
        # Without locks (Windows, some network drives) the installer's own care has to do.
        with contextlib.suppress(OSError):
            os.makedirs(prefix, exist_ok=True)
            file = stack.enter_context(open(os.path.join(prefix, ".kit-install.lock"), "w"))
            if fcntl:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    _say(f"kit: waiting for another install into {prefix} ...", quiet)
                    fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(
    arguments: Sequence[str], replaced: Sequence[str], label: str, *, quiet: bool, wheels_only: bool = False
) -> None:
    """Install into the running interpreter.

    Args:
        arguments: The requirements, as the installer takes them.
        replaced: Those of them that are URLs of what is installed from elsewhere, or at another revision.
        label: What is installed, as it may be shown.
        quiet: Print no line.
        wheels_only: Build nothing from source: then it is found out before anything is touched what there are none of.

    Raises:
        RequirementError: There is no installer, or it failed; `details` holds all that it said.
    """
    commands = _commands(arguments, replaced, wheels_only)
    _say(f"kit: installing {label} ...", quiet)
    started = time.perf_counter()
    for command in commands:
        run(command, label, quiet=quiet)
    tell(f"kit: installed {label} in {time.perf_counter() - started:.1f} s")


def find_uv() -> str | None:
    """Find uv: the binary that the package `uv` brings, else the one on the PATH."""
    with contextlib.suppress(ImportError, FileNotFoundError):
        return str(importlib.import_module("uv").find_uv_bin())
    return shutil.which("uv")


def _commands(arguments: Sequence[str], replaced: Sequence[str], wheels_only: bool) -> list[list[str]]:
    # Where the environment is not this user's to write, pip can install into the user's own folder; uv cannot.
    for_user = sys.prefix == sys.base_prefix and not os.access(sysconfig.get_path("purelib"), os.W_OK)
    uv = None if for_user else find_uv()
    if uv:
        options = ["--python", sys.executable, "--color", "never", "--no-progress"]
        options += WHEELS_ONLY if wheels_only else []
        return [[uv, "pip", "install", *options, "--", *arguments]]
    if importlib.util.find_spec("pip") is None:
        raise RequirementError(
            f"neither uv nor pip is there to install into {sys.prefix}",
            "Put uv on the PATH, or run: python -m ensurepip.",
        )
    pip = [sys.executable, "-m", "pip", "install", "--no-input", "--no-color", "--progress-bar", "off"]
    pip += ["--disable-pip-version-check", *(["--user"] if for_user else []), *(WHEELS_ONLY if wheels_only else [])]
    # pip leaves a URL alone when the version is the same, whatever the revision: those are forced first.
    forced = [[*pip, "--force-reinstall", "--no-deps", "--", *replaced]] if replaced else []
    return [*forced, [*pip, "--", *arguments]]


def run(command: Sequence[str], label: str, *, quiet: bool, keep_open: Sequence[int] = ()) -> str:
    """Run an installer, again after a pause while the network is what fails.

    Args:
        command: The command, as a list of arguments.
        label: What is installed, as it may be shown.
        quiet: Print no line.
        keep_open: File descriptors that the installer inherits: a lock is then held as long as it lives.

    Returns:
        What it said, without credentials.

    Raises:
        RequirementError: It failed; `details` holds all that it said.
    """
    # Few retries of the installers' own, as kit repeats the whole; and git asks nobody for a password.
    environment = {"UV_HTTP_RETRIES": "1", "PIP_RETRIES": "1", **os.environ, "GIT_TERMINAL_PROMPT": "0"}
    for pause in (*RETRY_PAUSES, None):
        try:
            status, said = _run(command, environment, keep_open)
        except OSError as error:
            message = f"{command[0]} cannot be run: {error.strerror}"
            raise RequirementError(message, "Install uv (or pip) anew.") from None
        output = redact(said)
        if status == 0:
            return output
        words = _last_words(output)
        network = _network_words(output, words)
        if network is None:
            raise RequirementError(
                f"{label} cannot be installed: {words}",
                "Correct the requirement; all that the installer said follows.",
                details=output,
            )
        if pause is None:
            raise RequirementError(
                f"{label} cannot be installed, the network fails: {network}",
                "Check the connection and the index (UV_DEFAULT_INDEX, PIP_INDEX_URL).",
                details=output,
            )
        _say(f"kit: the network fails, trying again in {pause:g} s ({network})", quiet)
        time.sleep(pause)
    raise AssertionError  # the last round returns or raises


def _network_words(output: str, words: str) -> str | None:
    """Tell what the network did, if the network is why an installer failed."""
    if _NETWORK.search(words):
        return words
    if "from versions: none" in words:  # pip's words when it could not read the index; the reason stands above
        return next((line.strip()[:400] for line in output.splitlines() if _NETWORK.search(line)), None)
    return None


def _last_words(output: str) -> str:
    """Reduce an installer's output to its error, on one line."""
    start = re.search(r"(?im)^(error: |\s*\u00d7)", output)
    error = output[start.start() :] if start else output.strip().rpartition("\n")[2]
    error = re.sub(r"\n\s*cause: ", ": ", error)
    error = re.sub(r"(?im)^[\s\u00d7\u2500-\u257f\u25b6>]*(error: )?", " ", error)
    words = " ".join(error.split()) or "the installer said nothing"
    return words if len(words) <= 400 else f"{words[:400]} ..."


def _say(line: str, quiet: bool) -> None:
    """Say a line: inside a step, this is the task's log."""
    if not quiet:
        say(line)


def _run(command: Sequence[str], environment: Mapping[str, str], keep_open: Sequence[int]) -> tuple[int, str]:
    """Run a command; gives its exit status and what it said, which is told line by line."""
    lines = []
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=environment,
        pass_fds=keep_open,
    )
    with process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                if line.strip():
                    tell(f"kit: {redact(line.strip())} ...")
        except BaseException:
            process.kill()
            raise
    return process.returncode, "".join(lines)
