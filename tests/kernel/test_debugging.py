"""Debugging a step in a real kernel: tracebacks, `%debug`, `breakpoint()`, and a debugger as JupyterLab connects it."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernel_client import CELL_TIMEOUT, Kernel, Output
from support import run_flow, write_files

pytestmark = [pytest.mark.kernel, pytest.mark.flow]

FLOW = """
    import asyncio
    import os
    import subprocess
    import sys
    import time

    from metaflow import FlowSpec, Parameter, step

    import common


    def wait(how):
        print("waiting", how)
        if how == "sleep":
            time.sleep(60)
        elif how == "compute":
            while True:
                sum(range(1000))
        elif how == "child":
            subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])


    class StopFlow(FlowSpec):
        how = Parameter("how", default="nothing")

        @step
        def start(self):
            self.items = [3, 4]
            self.next(self.end)

        @step
        def end(self):
            local = len(self.items)
            total = common.add(self.items)  # stop in the step
            if self.how == "fail":
                self.ratio = total / 0
            elif self.how == "breakpoint":
                breakpoint()
                local = "after"
            elif self.how == "exit":
                sys.exit(3)
            elif self.how == "die":
                os._exit(0)
            elif self.how == "loop":
                async def answer():
                    await asyncio.sleep(0.01)
                    return 42
                self.answer = asyncio.run(answer())
            elif self.how == "child process":
                subprocess.run(["echo", "from a child"])
            else:
                wait(self.how)
            self.total = total


    if __name__ == "__main__":
        StopFlow()
"""

COMMON = """
    def add(numbers):
        total = 0
        for number in numbers:
            total += number  # stop in common
        return total
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("debugging") / "project"
    write_files(root, {"flows/stop.py": FLOW, "flows/common.py": COMMON, "pyproject.toml": "[tool.kit]\n"})
    run_flow(root / "flows" / "stop.py", cwd=root)
    return root


@pytest.fixture(scope="module")
def kernel(project: Path) -> Iterator[Kernel]:
    """One kernel for all: each test also shows that the one before left it whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)  # with it, ipykernel does not read the file descriptors
        started = Kernel(project, {})
    started.check("%load_ext kit")
    yield started
    started.close()


class Debugger:
    """A client of the kernel's debugger, which speaks the Debug Adapter Protocol as JupyterLab does."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.client, self.number = kernel, kernel.client, 0
        self.output = Output()
        self.request("initialize", clientID="jupyterlab", adapterID="", linesStartAt1=True, pathFormat="path")
        self.request("attach")

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        self.number += 1
        content = {"type": "request", "seq": self.number, "command": command, "arguments": arguments}
        message = self.client.session.msg("debug_request", content)
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=CELL_TIMEOUT)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                assert reply["content"].get("success"), reply["content"]
                return dict(reply["content"].get("body") or {})

    def set_breakpoints(self, file: Path, *comments: str) -> None:
        lines = file.read_text().splitlines()
        numbers = [1 + next(i for i, line in enumerate(lines) if comment in line) for comment in comments]
        self.request(
            "setBreakpoints",
            source={"path": str(file)},
            breakpoints=[{"line": number} for number in numbers],
            sourceModified=False,
        )

    def stopped(self) -> tuple[int, list[tuple[str, str, str]]]:
        """Wait until the kernel stops; gives the thread, and file, function and line of each frame from the top."""
        thread = self._event("stopped")["threadId"]
        self.thread = thread
        self.frames = self.request("stackTrace", threadId=thread)["stackFrames"]
        shown = []
        for frame in self.frames:
            path = Path(frame["source"]["path"])
            line = path.read_text().splitlines()[frame["line"] - 1].strip() if path.is_file() else ""
            shown.append((path.name, frame["name"], line))
        return thread, shown

    def _event(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + CELL_TIMEOUT
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=CELL_TIMEOUT)
            if message["msg_type"] == "debug_event" and message["content"]["event"] == name:
                return dict(message["content"]["body"])
            self.output.take(message)
            assert not self.output.error, self.output.traceback
        raise AssertionError(f"no {name}")

    def locals(self) -> dict[str, str]:
        scopes = self.request("scopes", frameId=self.frames[0]["id"])["scopes"]
        reference = next(scope["variablesReference"] for scope in scopes if scope["name"] == "Locals")
        variables = self.request("variables", variablesReference=reference)["variables"]
        return {variable["name"]: variable["value"] for variable in variables}

    def go(self, command: str) -> None:
        self.request(command, threadId=self.thread)

    def finish(self, message_id: str) -> Output:
        """Read on until the cell is done."""
        while True:
            message = self.client.get_iopub_msg(timeout=CELL_TIMEOUT)
            self.output.take(message)
            is_ours = message["parent_header"].get("msg_id") == message_id
            if is_ours and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return self.output


@pytest.fixture
def debugger(kernel: Kernel) -> Iterator[Debugger]:
    connected = Debugger(kernel)
    yield connected
    connected.request("disconnect", restart=False, terminateDebuggee=False)
    while True:  # what is left of its events is nobody's output
        try:
            kernel.client.get_iopub_msg(timeout=0.5)
        except queue.Empty:
            break


def test_breakpoints_in_the_flow_file_and_in_common_stop_with_their_locals(
    project: Path, kernel: Kernel, debugger: Debugger
) -> None:
    debugger.set_breakpoints(project / "flows" / "stop.py", "# stop in the step")
    debugger.set_breakpoints(project / "flows" / "common.py", "# stop in common")
    debugger.request("configurationDone")
    cell = kernel.client.execute("stopped = %mf_run_step StopFlow/end")
    _, frames = debugger.stopped()
    assert frames[0] == ("stop.py", "end", "total = common.add(self.items)  # stop in the step")
    assert debugger.locals()["local"] == "2"
    debugger.go("continue")
    _, frames = debugger.stopped()
    assert frames[0] == ("common.py", "add", "total += number  # stop in common")
    assert frames[1][:2] == ("stop.py", "end")
    assert debugger.locals()["number"] == "3"
    debugger.go("continue")
    debugger.stopped()
    assert debugger.locals()["total"] == "3"
    debugger.go("continue")
    assert not debugger.finish(cell).error
    debugger.set_breakpoints(project / "flows" / "stop.py")
    debugger.set_breakpoints(project / "flows" / "common.py")
    assert kernel.check("stopped.artifacts['total'], stopped.changed").text == "(7, frozenset())"


def test_stepping_goes_from_the_step_into_common_and_back(project: Path, kernel: Kernel, debugger: Debugger) -> None:
    debugger.set_breakpoints(project / "flows" / "stop.py", "# stop in the step")
    debugger.request("configurationDone")
    cell = kernel.client.execute("%mf_run_step StopFlow/end")
    debugger.stopped()
    debugger.go("stepIn")
    _, frames = debugger.stopped()
    assert frames[0] == ("common.py", "add", "total = 0")
    debugger.go("stepOut")
    _, frames = debugger.stopped()
    assert frames[0][:2] == ("stop.py", "end")
    debugger.go("next")
    _, frames = debugger.stopped()
    assert frames[0][:2] == ("stop.py", "end")
    debugger.set_breakpoints(project / "flows" / "stop.py")
    debugger.go("continue")
    assert not debugger.finish(cell).error


def test_breakpoint_call_stops_in_a_connected_debugger(kernel: Kernel, debugger: Debugger) -> None:
    debugger.request("configurationDone")
    cell = kernel.client.execute("%mf_run_step StopFlow/end --set \"how='breakpoint'\"")
    _, frames = debugger.stopped()
    assert frames[0][:2] == ("stop.py", "end")
    debugger.go("continue")
    assert not debugger.finish(cell).error


def test_breakpoint_call_opens_a_prompt_in_the_step_without_a_debugger(kernel: Kernel) -> None:
    output = kernel.run(
        "stopped = %mf_run_step StopFlow/end --set \"how='breakpoint'\"",
        answers=["p local, total", "n", "n", "p local", "c"],
    )
    assert not output.error, output.traceback
    assert "(2, 7)" in output.stdout
    assert "'after'" in output.stdout
    assert kernel.check("stopped.stdout").text == "''"
    assert kernel.check("import sys; sys.gettrace(), sys.breakpointhook.__module__").text.startswith("(None, ")


def test_stepping_past_the_end_of_the_step_ends_the_prompt(kernel: Kernel) -> None:
    output = kernel.run("%mf_run_step StopFlow/end --set \"how='breakpoint'\"", answers=["r"] + ["n"] * 8)
    assert not output.error, output.traceback
    assert "--Return--" in output.stdout
    assert "contextlib.py" not in output.stdout
    assert "metaflow/task.py" not in output.stdout
    assert kernel.check("1 + 1").text == "2"


def test_pythonbreakpoint_0_is_honoured(kernel: Kernel) -> None:
    kernel.check("import os; os.environ['PYTHONBREAKPOINT'] = '0'")
    output = kernel.run("%mf_run_step StopFlow/end --set \"how='breakpoint'\"", answers=["raise SystemError"])
    kernel.check("del os.environ['PYTHONBREAKPOINT']")
    assert not output.error, output.traceback


def test_debug_lands_in_the_step_with_its_locals(kernel: Kernel) -> None:
    output = kernel.run("%mf_run_step StopFlow/end --set \"how='fail'\"")
    assert output.error.startswith("ZeroDivisionError")
    assert "self.ratio = total / 0" in output.traceback
    assert "metaflow" not in output.traceback.replace("metaflow import", "")
    assert "kit/" not in output.traceback
    debugged = kernel.run("%debug", answers=["p local, total", "q"])
    assert "(2, 7)" in debugged.stdout


def test_pdb_on_stops_where_a_step_fails(kernel: Kernel) -> None:
    kernel.check("%pdb on")
    output = kernel.run("%mf_run_step StopFlow/end --set \"how='fail'\"", answers=["p local, total", "q"])
    kernel.check("%pdb off")
    assert "(2, 7)" in output.stdout


@pytest.mark.parametrize(
    ("how", "call", "line"), [("exit", "sys.exit(3)", "sys.exit(3)"), ("die", "os._exit(0)", "os._exit(0)")]
)
def test_step_that_ends_its_process_fails_the_cell_and_debug_lands_there(
    kernel: Kernel, how: str, call: str, line: str
) -> None:
    output = kernel.run(f"%mf_run_step StopFlow/end --set \"how='{how}'\"")
    assert output.error.startswith(f"ReplayError: The step ended its own process: {call}")
    assert f"    {line}" in output.traceback
    assert "metaflow/" not in output.traceback
    debugged = kernel.run("%debug", answers=["p local, total", "q"])
    assert "(2, 7)" in debugged.stdout


def test_step_runs_coroutines_although_the_kernel_has_a_loop(kernel: Kernel) -> None:
    kernel.check("result = %mf_run_step StopFlow/end --set \"how='loop'\"")
    assert kernel.check("result.artifacts['answer']").text == "42"
    assert (
        kernel.check("import asyncio; await asyncio.sleep(0); asyncio.get_running_loop().is_running()").text == "True"
    )


def test_output_of_a_child_process_reaches_the_cell(kernel: Kernel) -> None:
    shown = kernel.check("%mf_run_step StopFlow/end --set \"how='child process'\"").stdout
    while "from a child" not in shown:  # read from a pipe, perhaps after the kernel said it is idle
        shown += kernel.client.get_iopub_msg(timeout=60)["content"].get("text", "")


@pytest.mark.parametrize("how", ["sleep", "compute", "child"])
def test_interrupt_stops_a_step_and_leaves_the_kernel_whole(kernel: Kernel, how: str) -> None:
    kernel.check("import os, signal, psutil; before = dict(os.environ), os.getcwd(), signal.getsignal(signal.SIGTERM)")
    alive = "[child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]"
    children = kernel.check(f"len({alive})")
    started = threading.Event()
    process = kernel.manager.provisioner.pid
    output = Output()

    def take(message: dict[str, Any]) -> None:
        output.take(message)
        if "waiting" in output.stdout and not started.is_set():
            started.set()  # what is printed shows at once
            threading.Timer(0.5, os.killpg, (os.getpgid(process), signal.SIGINT)).start()  # as the manager does

    began = time.monotonic()
    kernel.client.execute_interactive(f"%mf_run_step StopFlow/end --set \"how='{how}'\"", output_hook=take, timeout=100)
    assert time.monotonic() - began < 50
    assert output.error.startswith("KeyboardInterrupt")
    assert "in wait(how)" in output.traceback or "wait(how)" in output.traceback
    assert "metaflow/task.py" not in output.traceback
    state = kernel.check("before == (dict(os.environ), os.getcwd(), signal.getsignal(signal.SIGTERM))")
    assert state.text == "True"
    assert kernel.check(f"len({alive})").text == children.text
    assert not kernel.run("%mf_run_step StopFlow/end").error
