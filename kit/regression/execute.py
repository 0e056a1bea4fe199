"""One notebook executed with papermill, in a process of its own."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Executed", "execute", "quiet"]

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True)
class Executed:
    """What became of a notebook.

    Args:
        seconds: How long it took.
        error: What went wrong in one line; "" when every cell ran.
        report: The failing cell's source and its traceback, without colours.
    """

    seconds: float
    error: str = ""
    report: str = ""


def quiet(log: str) -> None:
    """Send what a worker and its kernels print to a file: their terminal is the report's."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)


def execute(
    source: str, output: str, parameters: Mapping[str, Any], environ: Mapping[str, str], timeout: int | None
) -> Executed:
    """Execute a notebook in its own folder and keep the executed copy.

    Args:
        source: The path of the notebook.
        output: The path of the copy to write.
        parameters: The values to inject.
        environ: Variables for the kernel.
        timeout: The time limit of a cell, in seconds; None for none.
    """
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    os.environ.update(environ)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    error = report = ""
    try:
        papermill.execute_notebook(
            _literal(source),
            _literal(output),
            parameters=dict(parameters),
            cwd=str(Path(source).parent),
            execution_timeout=timeout,
            progress_bar=False,
            log_output=False,
            request_save_on_cell_execute=False,
        )
    except papermill.PapermillExecutionError as failure:
        error = f"cell [{failure.exec_count}]: {failure.ename}: {_first_line(failure.evalue)}"
        report = f"{failure.source}\n\n{ANSI.sub('', os.linesep.join(failure.traceback))}"
    except NoSuchKernel as failure:
        error = f"there is no kernel {failure.name!r}: choose one of `jupyter kernelspec list`, or install it"
    except CellTimeoutError as failure:
        error, report = f"a cell took longer than {timeout} s: raise --timeout, or make it faster", str(failure)
    except DeadKernelError:
        error = "the kernel died: see which cell was running in the executed copy"
    except ValueError as failure:  # what papermill raises for a notebook without a kernel or a language
        error = f"{_first_line(str(failure))} Choose a kernel for the notebook in JupyterLab and save it."
    return Executed(time.perf_counter() - started, error, report)


def _literal(path: str) -> str:
    """Write a path so that papermill, which formats it with the parameters, leaves it as it is."""
    return path.replace("{", "{{").replace("}", "}}")


def _first_line(text: str) -> str:
    return next((line for line in ANSI.sub("", text).splitlines() if line.strip()), "")
