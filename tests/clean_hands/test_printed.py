"""What a step prints: to the cell as it is printed, and to the result."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hands import work

# pytest-timeout's own alarm would be in the way of the steps' alarms.
pytestmark = [pytest.mark.flow, pytest.mark.timeout(300, method="thread")]


def test_print_reaches_the_cell_before_the_step_goes_on(recorded: Path) -> None:
    code = "import kit; kit.run_step('HandsFlow/limited', {'what': 'sleep'})"
    spoken = recorded / "flows" / "hands.py"
    before = spoken.read_text()
    spoken.write_text(before.replace("time.sleep(30)", "print('at once', flush=True); input()"))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at once\n"
        assert process.poll() is None
    finally:
        spoken.write_text(before)
        process.kill()
        process.communicate()


def test_what_is_printed_logged_or_written_as_bytes_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    import common

    spoken = work("speak")
    assert (spoken.stdout, spoken.stderr) == ("spoken\n", "aside\n")
    assert work("write_bytes").stdout == "text bütes\n"
    common.handler_of_all.stream = sys.stderr  # pytest has another one for each test
    assert work("log").stderr == "logged\n"
    assert "logged" in capsys.readouterr().err
    assert common.handler_of_all.stream is sys.stderr


def test_thread_that_outlives_its_step_can_still_print(capsys: pytest.CaptureFixture[str]) -> None:
    result = work("leave_a_thread")
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(10)
    assert result.stdout == ""
    assert capsys.readouterr().out == "late\n"
