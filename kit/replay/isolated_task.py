"""What runs in the step's own environment: the flow file, as `python flow.py step ...` runs it, and a report.

kit starts this file as a script, under whatever Python the step pins: standard library and Metaflow, nothing of kit.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import linecache
import os
import pickle
import runpy
import sys
import time
import traceback
from typing import Any

_OWN = (os.sep + "metaflow" + os.sep, os.path.basename(__file__))  # frames that are not the user's
FAILED = 70  # the exit status of a step that failed, whose exception is in the report


def _prepare(request_file: str) -> str:
    """Make the process that of the flow file; gives its path."""
    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    flow_file: str = request["flow_file"]
    sys.argv = [flow_file, *request["arguments"]]
    sys.path[0] = os.path.dirname(flow_file)
    _record(request)
    return flow_file


def _record(request: dict[str, Any]) -> None:
    """Let Metaflow's task runner write down what the step did."""
    runner = getattr(importlib.import_module(request["runner"][0]), request["runner"][1])
    current = getattr(importlib.import_module(request["current"][0]), request["current"][1])
    execute, run_step = runner._exec_step_function, runner.run_step
    report: dict[str, Any] = {"python": sys.version.split()[0], "cards": {}}
    cell = runpy.run_path(request["cell_code"]) if request["body"] else None

    def executing(self: Any, step_function: Any, step: Any, *args: Any) -> Any:
        def recording(*inputs: Any) -> None:
            try:
                step_function(*inputs)
            except Exception as error:
                report["exception"] = _described(error)
                raise
            if cell and self.flow._transition is None:
                cell["go_on"](self.flow, self.flow._graph[step.name])

        started = time.perf_counter()
        try:
            return execute(self, recording, step, *args)
        finally:
            report["seconds"] = time.perf_counter() - started
            report["cards"] = _cards(current.get("card"))

    def running(self: Any, *args: Any, **options: Any) -> Any:
        failed, cls = True, type(self.flow)
        for name, pickled in request["constants"].items():
            setattr(cls, name, pickle.loads(base64.b64decode(pickled)))  # noqa: S301  # of the user's own notebook
        if cell:
            _replace(inspect.unwrap(getattr(cls, request["step"])), request["body"], cell["replace_code"])
        try:
            result = run_step(self, *args, **options)
            failed = False
            return result
        except Exception as error:
            report.setdefault("exception", _described(error))
        finally:
            with open(request["report"], "w", encoding="utf-8") as file:
                json.dump({**report, "failed": failed}, file)
            if failed:  # here, so that Metaflow's command line does not print what kit raises
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(FAILED)

    runner._exec_step_function, runner.run_step = executing, running


def _replace(function: Any, body: dict[str, Any], replace_code: Any) -> None:
    """Let a step run a cell's code, with the cell's lines in tracebacks."""
    lines = ["\n"] * body["line"] + [line + "\n" for line in body["source"].splitlines()]
    linecache.cache[body["filename"]] = (len(body["source"]), None, lines, body["filename"])
    replace_code(function, **body)


def _described(error: BaseException) -> dict[str, Any]:
    """Describe an exception for another process; its frames begin with the user's."""
    first = error.__traceback__
    frame = first
    while frame is not None and any(part in frame.tb_frame.f_code.co_filename for part in _OWN):
        frame = frame.tb_next
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    try:
        pickled = base64.b64encode(pickle.dumps(error)).decode()
    except Exception:  # whatever the exception's own code raises
        pickled = ""
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(type(error), error, frame or first)),
        "frames": [(one.filename, one.lineno, one.name) for one in traceback.extract_tb(frame or first)],
        "cause": "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)) if cause else "",
        "pickle": pickled,
    }


def _cards(collector: Any) -> dict[str, Any]:
    """Give what the step appended to its cards, as Metaflow hands it to the process that renders them."""
    found: dict[str, Any] = {}
    for uuid, meta in getattr(collector, "_cards_meta", {}).items():
        try:
            components = json.loads(json.dumps(collector._serialize_components(uuid)))
        except Exception:  # whatever a component's own code raises: the page has its error then
            components = []
        found[uuid] = {"id": meta["card_id"], "type": meta["type"], "components": components}
    return found


if __name__ == "__main__":
    _flow_file = _prepare(sys.argv[1])
    with open(_flow_file, "rb") as _file:
        _code = compile(_file.read(), _flow_file, "exec", dont_inherit=True)
    # In this very module, `__main__`: there pickle looks the flow file's classes up, and Metaflow its own.
    globals().update(__file__=_flow_file, __doc__=None)
    exec(_code)  # noqa: S102  # the user's own flow file: what `python flow.py` does
