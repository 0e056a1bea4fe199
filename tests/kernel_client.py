"""A real Jupyter kernel, driven through its protocol as a notebook front end does."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

ANSI = re.compile(r"\x1b\[[0-9;]*m")
CELL_TIMEOUT = 120


@dataclass
class Output:
    """What a cell gave."""

    stdout: str = ""
    stderr: str = ""
    text: str = ""
    html: str = ""
    error: str = ""
    traceback: str = ""
    displays: list[dict[str, Any]] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)  # of the displays, where they are updated by these

    def take(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            setattr(self, content["name"], getattr(self, content["name"]) + content["text"])
        elif message["msg_type"] == "error":
            self.error = f"{content['ename']}: {content['evalue']}"
            self.traceback = ANSI.sub("", "\n".join(content["traceback"]))
        elif message["msg_type"] == "update_display_data":
            number = self.ids.index(content["transient"]["display_id"])
            self.displays[number] = content["data"]
            self.updates.append(content["data"].get("text/plain", ""))
        elif message["msg_type"] in ("execute_result", "display_data"):
            self.ids.append(content.get("transient", {}).get("display_id"))
            self.displays.append(content["data"])
            self.text += content["data"].get("text/plain", "")
            self.html += content["data"].get("text/html", "")


class Kernel:
    """A running kernel."""

    def __init__(self, folder: Path, environ: dict[str, str], name: str = "python3") -> None:
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(cwd=str(folder), env={**os.environ, **environ})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, answers: list[str] | None = None) -> Output:
        """Execute a cell; `answers` are typed where it asks for input, as a debugger does."""
        output, rest = Output(), list(answers or [])

        def answer(_message: dict[str, Any]) -> None:
            self.client.input(rest.pop(0) if rest else "q")

        self.client.execute_interactive(
            code, output_hook=output.take, stdin_hook=answer, timeout=CELL_TIMEOUT, allow_stdin=answers is not None
        )
        return output

    def interrupted(self, code: str, sign: Path) -> Output:
        """Execute a cell, and interrupt the kernel as soon as a file is there."""
        output = Output()

        def press() -> None:
            deadline = time.monotonic() + CELL_TIMEOUT
            while not sign.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(self.manager.provisioner.pid, signal.SIGINT)  # the manager's own way makes a loop in this thread

        presser = threading.Thread(target=press)
        presser.start()
        self.client.execute_interactive(code, output_hook=output.take, timeout=CELL_TIMEOUT)
        presser.join()
        return output

    def execute(self, code: str) -> dict[str, Any]:
        """Execute a cell that must not fail; gives the kernel's reply, whose payload says what to do with cells."""
        reply = self.client.execute_interactive(code, output_hook=lambda _message: None, timeout=CELL_TIMEOUT)
        assert reply["content"]["status"] == "ok", reply["content"]
        return dict(reply["content"])

    def check(self, code: str) -> Output:
        """Execute a cell that must not fail."""
        output = self.run(code)
        assert not output.error, output.traceback
        return output

    def complete(self, code: str) -> list[str]:
        """Ask for completions at the end of the code, as Tab does."""
        return list(self._completed(code)["matches"])

    def labels(self, code: str) -> dict[str, str]:
        """Ask for completions, with what a front end says beside them."""
        found = self._completed(code)["metadata"]["_jupyter_types_experimental"]
        return {each["text"]: each["type"].replace("\N{NO-BREAK SPACE}", " ") for each in found}

    def _completed(self, code: str) -> dict[str, Any]:
        message_id = self.client.complete(code, len(code))
        while True:
            message = self.client.get_shell_msg(timeout=CELL_TIMEOUT)
            if message["parent_header"].get("msg_id") == message_id:
                return dict(message["content"])

    def offered(self, code: str, *wanted: str) -> list[str]:
        """Press Tab until some completions are among those that are offered: a slow datastore takes more than one."""
        for _ in range(100):
            found = self.complete(code)
            if set(wanted) <= set(found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{code!r} completes to {found}, without {wanted}")

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
