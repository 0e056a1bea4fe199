"""A warm kernel cannot be told from a fresh one: a test for each thing that a fork is known to get wrong."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kernel_bench import Bench, alive, wait_until
from support import write_files

from kit.kernels import forkserver

pytestmark = pytest.mark.kernel

FIGURE = (
    "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 3, 2])\nax.set_title('walk')\nplt.show()"
)

# What a notebook can see of its process, but for what differs always: addresses, process numbers, connection files.
LOOK = """
import json, os, signal, sys, threading, warnings
ours = {"JPY_PARENT_PID", "JPY_SESSION_NAME", "KIT_WARM_KERNELS"}
print(json.dumps({
    "path": sys.path,
    "argv": [sys.argv[0], len(sys.argv), *[word for word in sys.argv[1:] if "/" not in word]],
    "orig_argv": [sys.orig_argv[0], *sys.orig_argv[1:4]],
    "environ": {name: value for name, value in os.environ.items() if name not in ours},
    "same names": sorted(set(os.environ) & ours - {"KIT_WARM_KERNELS"}),
    "flags": str(sys.flags),
    "main": sorted(vars(sys.modules["__main__"]).keys() - {"_ih", "_oh"}),
    "handlers": [str(signal.getsignal(number)) for number in (signal.SIGCHLD, signal.SIGTERM)],
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "threads": sorted(type(thread).__name__ for thread in threading.enumerate()),
    "working directory": os.getcwd(),
    "own modules": sorted(name for name in sys.modules if name.split(".")[0] in ("kit", "common", "flows")),
    "streams": [os.fstat(0).st_rdev == os.stat(os.devnull).st_rdev or "pipe"],
    "prefix": [sys.prefix, sys.executable, sys.exec_prefix],
    "limits": [sys.getrecursionlimit(), sys.getswitchinterval()],
    "hooks": [sys.excepthook.__qualname__, sys.breakpointhook.__qualname__, str(sys.gettrace()), str(sys.getprofile())],
    "cwd first": sys.path.index("") if "" in sys.path else None,
}, default=str))
"""


def seen(bench: Bench, code: str, warm: bool, **environ: str) -> Any:
    ran = bench.run(code, warm=warm, **environ)
    assert ran.failure is None, ran.failure
    assert ran.warm is warm
    return json.loads(ran.text())


def test_process_of_a_warm_kernel_looks_as_a_fresh_one_does(bench: Bench) -> None:
    warm, fresh = (seen(bench, LOOK, way) for way in (True, False))
    fresh["streams"] = warm["streams"]
    assert warm == fresh


def test_environment_and_import_path_of_the_one_who_asks_are_the_kernels(bench: Bench) -> None:
    environ = {"PYTHONPATH": str(bench.folder), "MPLBACKEND": "agg", "TZ": "Asia/Tokyo"}
    look = "import json, matplotlib, sys, time\nprint(json.dumps([sys.path, matplotlib.get_backend(), time.tzname]))"
    assert seen(bench, look, True, **environ) == seen(bench, look, False, **environ)


def test_figures_are_shown_and_are_the_same_to_the_byte(bench: Bench) -> None:
    table = "from IPython.display import HTML\nHTML('<b>x</b>')"
    cells = (FIGURE, table, "import matplotlib; matplotlib.get_backend()", "fig", "print('a')\n1 / 3")
    warm, fresh = bench.run(*cells), bench.run(*cells, warm=False)
    assert "image/png" in warm.data(0)[0]
    for index in range(len(cells)):
        assert warm.data(index) == fresh.data(index)
        assert warm.text(index) == fresh.text(index)
    assert (warm.warm, fresh.warm) == (True, False)


def test_figures_are_not_shown_where_the_notebook_takes_another_backend(bench: Bench) -> None:
    cells = ("import matplotlib\nmatplotlib.use('agg')", FIGURE)
    assert bench.run(*cells).data() == bench.run(*cells, warm=False).data()


def test_matplotlibrc_beside_the_notebook_counts(bench: Bench) -> None:
    (bench.folder / "matplotlibrc").write_text("figure.figsize: 2, 2\n")
    ran = bench.run("import matplotlib\nprint(matplotlib.rcParams['figure.figsize'])")
    assert ran.text() == "[2.0, 2.0]\n"
    assert "matplotlibrc" in ran.notes[0]


def test_random_numbers_differ_from_kernel_to_kernel(bench: Bench) -> None:
    draw = (
        "import random, numpy, uuid\nprint(random.random(), numpy.random.rand(), numpy.random.default_rng().random())"
    )
    one, other = (bench.run(draw).text().split() for _ in range(2))
    assert not set(one) & set(other)


def test_order_of_sets_is_chosen_on_purpose(bench: Bench) -> None:
    look = "print(hash('kit'))"
    zero = {bench.run(look, PYTHONHASHSEED="0", warm=warm).text() for warm in (True, True, False)}
    assert len(zero) == 1
    assert bench.run(look, PYTHONHASHSEED="1").text() not in zero


WARN = """
import warnings, numpy, matplotlib.pyplot, metaflow
warnings.warn("mine", DeprecationWarning)
warnings.warn("mine", DeprecationWarning)
numpy.array([1.0]) / 0
print(sorted({(f[0], f[2].__name__, str(f[1] and f[1].pattern)) for f in warnings.filters}))
"""


def test_warnings_are_what_they_are_in_a_fresh_kernel(bench: Bench) -> None:
    texts = [bench.run(WARN, warm=warm).text() for warm in (True, False)]
    warm, fresh = (re.sub(r"ipykernel_\d+", "ipykernel", text) for text in texts)
    assert "DeprecationWarning: mine" in warm
    assert warm == fresh


def test_module_that_warns_or_prints_as_it_is_imported_does_so_in_every_kernel(bench: Bench, tmp_path: Path) -> None:
    write_files(tmp_path / "lib", {"loud.py": "import warnings\nprint('loud')\nwarnings.warn('careful')\n"})
    environ = {"PYTHONPATH": str(tmp_path / "lib"), forkserver.MORE: "loud"}
    for _ in range(2):
        ran = bench.run("import loud", **environ)
        assert ran.warm
        assert "loud" in ran.text()
        assert "careful" in ran.text()


def test_module_that_starts_threads_is_left_out_of_the_fork(bench: Bench, tmp_path: Path) -> None:
    busy = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
    write_files(tmp_path / "lib", {"busy.py": busy})
    environ = {"PYTHONPATH": str(tmp_path / "lib"), forkserver.MORE: "busy"}
    ran = bench.run("import sys\nprint('busy' in sys.modules)\nimport busy\nprint(1)", **environ)
    assert ran.warm
    assert ran.text() == "False\n1\n"


def test_interpreter_that_starts_threads_by_itself_gets_an_ordinary_kernel(bench: Bench, tmp_path: Path) -> None:
    busy = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
    write_files(tmp_path / "lib", {"sitecustomize.py": busy})
    ran = bench.run("print(1)", PYTHONPATH=str(tmp_path / "lib"))
    assert ran.text() == "1\n"
    assert "starts threads" in ran.notes[0]


def test_edit_of_a_module_is_seen_by_the_next_kernel(bench: Bench, tmp_path: Path) -> None:
    write_files(tmp_path / "lib", {"mine.py": "value = 1\n", "common.py": "value = 1\n"})
    environ = {"PYTHONPATH": str(tmp_path / "lib"), forkserver.MORE: "mine"}
    look = "import common, mine\nprint(mine.value, common.value)"
    assert bench.run(look, **environ).text() == "1 1\n"
    write_files(tmp_path / "lib", {"mine.py": "value = 2222\n", "common.py": "value = 3333\n"})
    again = bench.run(look, **environ)
    assert again.text() == "2222 3333\n"
    assert again.warm


def test_kernels_at_once_do_not_hear_each_other(bench: Bench) -> None:
    notebooks = [(f"import os, time\nx = {i}", "time.sleep(0.2)\nprint(x, os.getcwd())") for i in range(6)]
    for i, ran in enumerate(bench.together(notebooks)):
        assert ran.text() == f"{i} {bench.folder}\n"


def test_threads_pools_and_native_libraries_work_in_a_warm_kernel(bench: Bench) -> None:
    ran = bench.run(
        "import numpy\nprint(round(float(numpy.linalg.norm(numpy.ones((400, 400)) @ numpy.ones((400, 400)))), 3))",
        "from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor\n"
        "print(list(ThreadPoolExecutor(2).map(abs, [-1])), list(ProcessPoolExecutor(1).map(abs, [-1])))",
        "import subprocess\nprint(subprocess.run(['echo', 'out'], capture_output=True, text=True).stdout)\n!echo shell",
        "import asyncio\nawait asyncio.sleep(0)\nprint(1)",
    )
    assert ran.failure is None
    assert ran.text(0) == "160000.0\n"
    assert ran.text(1) == "[1] [1]\n"
    assert "shell" in ran.text(2)


def test_kernel_ends_at_once_and_runs_what_was_registered_for_its_end(bench: Bench) -> None:
    bench.run("1")  # the server is there
    target = bench.folder / "ended"
    started = time.monotonic()
    bench.run(f"import atexit\natexit.register(open, {str(target)!r}, 'w')")
    assert target.exists()
    assert time.monotonic() - started < 2.5, "it stalls where ipykernel closes its sockets in order"


def test_what_a_notebook_left_running_ends_with_its_kernel(bench: Bench) -> None:
    code = (
        "import subprocess\nfor new in (False, True):\n    subprocess.Popen(['sleep', '1000'], start_new_session=new)"
    )
    bench.run(code)
    wait_until(lambda: len(alive(bench.marker)) == 1)  # the server
    bench.run(f"{code}\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    wait_until(lambda: len(alive(bench.marker)) == 1)


def test_kernel_that_is_not_python_is_an_ordinary_one() -> None:
    request = forkserver.Request(("ir", "--slave"), {}, "/")
    assert forkserver.why_not(request) == "it is not an ipykernel"


def test_import_path_that_depends_on_the_folder_needs_an_ordinary_kernel() -> None:
    request = forkserver.Request((sys.executable, "-m", "ipykernel_launcher"), {"PYTHONPATH": "lib"}, "/")
    assert "PYTHONPATH" in forkserver.why_not(request)


def test_fork_server_that_was_killed_is_made_up_for(bench: Bench) -> None:
    bench.run("1")
    (server,) = alive(bench.marker)
    os.kill(int(server), 9)
    wait_until(lambda: not alive(bench.marker))
    assert bench.run("print(1)").text() == "1\n"
