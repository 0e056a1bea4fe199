"""How a notebook's cells are executed: tags, limits, and a clear word on every end."""

from __future__ import annotations

import re

import pytest
from kernel_bench import Bench

from kit.kernels.cells import Limits

pytestmark = pytest.mark.kernel

SWALLOW = "get_ipython().set_custom_exc((Exception,), lambda shell, kind, value, trace, tb_offset=None: print('quiet'))"
KILL = "print('before', flush=True)\nimport os, signal, sys\nsys.stdout.flush()\nos.kill(os.getpid(), signal.SIGKILL)"


def test_cells_run_in_order_up_to_the_first_that_fails(bench: Bench) -> None:
    ran = bench.run("x = 1", "x / 0", "x = 2")
    assert (ran.failure.kind, ran.failure.index) == ("error", 1)
    assert ran.failure.message == "cell [2]: ZeroDivisionError: division by zero"
    assert "----> " in "\n".join(ran.failure.traceback)
    assert ran.states == ["completed", "failed", "pending"]
    assert [cell.execution_count for cell in ran.node.cells] == [1, 2, None]


def test_tags_are_honoured(bench: Bench) -> None:
    ran = bench.run("#raises-exception\n1 / 0", "#skip-execution\n1 / 0", "#remove-cell\nx = 3", "print(x)")
    assert ran.failure is None
    assert ran.node.cells[0].outputs[0].ename == "ZeroDivisionError"
    assert ran.node.cells[1].outputs == []
    assert ran.text() == "3\n"


def test_pieces_of_a_stream_are_one_output(bench: Bench) -> None:
    ran = bench.run("import sys\nfor i in range(3):\n    print(i)\n    sys.stdout.flush()\nprint('e', file=sys.stderr)")
    assert [(o.name, o.text) for o in ran.node.cells[0].outputs] == [("stdout", "0\n1\n2\n"), ("stderr", "e\n")]


def test_updated_displays_show_what_they_showed_last(bench: Bench) -> None:
    ran = bench.run("h = display('one', display_id=True)", "h.update('two')")
    assert ran.data(0)[0]["text/plain"] == "'two'"


def test_notebook_that_swallows_its_errors_fails(bench: Bench) -> None:
    ran = bench.run(SWALLOW, "1 / 0", "print(1)")
    assert ran.failure.message == "cell [2]: ZeroDivisionError: division by zero"
    assert ran.states == ["completed", "failed", "pending"]


def test_input_fails_at_once_and_says_why(bench: Bench) -> None:
    for code in ("input()", "import getpass\ngetpass.getpass()"):
        ran = bench.run(code, limits=Limits(cell=60))
        assert ran.failure.kind == "error"
        assert ran.failure.message == "cell [1]: it asks for input, and there is nobody to give it"


def test_notebook_that_ends_itself_has_passed_and_the_rest_was_not_run(bench: Bench) -> None:
    for code in ("import sys\nsys.exit(0)", "exit()"):
        ran = bench.run("x = 1", code, "1 / 0")
        assert ran.failure is None, ran.failure
        assert ran.notes == ("cell [2] ended the notebook: the cells after it were not run",)
        assert ran.states == ["completed", "completed", "pending"]
    assert bench.run("import sys\nsys.exit(3)").failure.message == "cell [1]: SystemExit: 3"


def test_endless_cell_is_stopped_where_it_is(bench: Bench) -> None:
    loop = "def turn():\n    while True:\n        pass\nturn()"
    ran = bench.run("1", loop, "2", limits=Limits(cell=1))
    assert (ran.failure.kind, ran.failure.message) == ("limit", "cell [2] took longer than 1 s")
    assert "turn()" in re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(ran.failure.traceback))  # its colours are the version's
    assert ran.states == ["completed", "failed", "pending"]


def test_cell_that_will_not_be_interrupted_is_killed(bench: Bench) -> None:
    stubborn = (
        "while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        pass"
    )
    assert bench.run(stubborn, limits=Limits(cell=1)).failure.kind == "limit"


def test_notebook_as_a_whole_has_a_limit_too(bench: Bench) -> None:
    ran = bench.run(*["import time\ntime.sleep(0.4)"] * 10, limits=Limits(cell=5, notebook=1))
    assert "the notebook took longer than 1 s" in ran.failure.message
    assert "pending" in ran.states


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "ordinary"])
def test_dead_kernel_marks_the_cell_that_killed_it_and_those_that_never_ran(bench: Bench, warm: bool) -> None:
    ran = bench.run("1", KILL, "2", warm=warm)
    assert ran.failure.kind == "died"
    assert ran.failure.message == "cell [2]: the kernel was killed by SIGKILL, as when memory runs out"
    assert ran.states == ["completed", "failed", "pending"]
    assert ran.node.cells[1].outputs[-1].ename == "DeadKernelError"
    assert ran.node.cells[2].outputs == []
    assert bench.run("import os\nos._exit(3)", warm=warm).failure.message == "cell [1]: the kernel ended with status 3"


def test_cell_that_prints_without_end_keeps_what_it_printed_first(bench: Bench) -> None:
    ran = bench.run("for i in range(1000):\n    print('x' * 99_999)", "print('still here')", limits=Limits(output=1000))
    assert ran.failure is None
    assert 1000 <= len(ran.text(0)) < 1200
    assert ran.notes == ("99,999,000 characters of the outputs of cell [1] were not kept",)
    assert ran.text() == "still here\n"
