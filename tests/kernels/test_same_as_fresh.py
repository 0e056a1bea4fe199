"""What notebooks do, in a warm kernel and in a fresh one: the outputs are the same."""

from __future__ import annotations

import json
import re

import pytest
from kernel_bench import Bench, Ran
from support import write_files

pytestmark = pytest.mark.kernel

DOES = {
    "processes": "import multiprocessing as mp\nfor way in ('fork', 'spawn', 'forkserver'):\n"
    "    with mp.get_context(way).Pool(2) as pool:\n        print(way, pool.map(abs, [-1, 2]))",
    "a process that prints": "def say(): print('child')\n"
    "child = mp.get_context('fork').Process(target=say)\nchild.start(); child.join(); child.exitcode",
    "threads": "import threading\nt = threading.Thread(target=print, args=('in a thread',))\nt.start(); t.join()\n"
    "from multiprocessing.pool import ThreadPool\nThreadPool(2).map(abs, [-1, -2])",
    "coroutines": "import asyncio\nasync def five():\n    await asyncio.sleep(0.01)\n    return 5\n"
    "print(await asyncio.gather(five(), five()))\n"
    "p = await asyncio.create_subprocess_exec('echo', 'hi', stdout=-1)\nawait p.communicate()",
    "numba": "import numba\n@numba.njit(parallel=True)\ndef total(n):\n    s = 0\n    for i in numba.prange(n):\n"
    "        s += i\n    return s\ntotal(100)",
    "scikit-learn": "from sklearn.ensemble import RandomForestClassifier\nfrom sklearn.datasets import load_iris\n"
    "X, y = load_iris(return_X_y=True)\nRandomForestClassifier(9, random_state=0, n_jobs=2).fit(X, y).score(X, y)",
    "frames": "import pandas as pd\npd.DataFrame({'a': [1, 2.5], 'b': list('xy')})",
    "figures": "%matplotlib inline\nimport matplotlib.pyplot as plt\n"
    "plt.figure(); plt.plot([1, 2])\nplt.figure(); plt.plot([2])",
    "sharp figures": "%config InlineBackend.figure_formats = ['retina']\n"
    "plt.scatter([1, 2], [3, 4]); plt.title('grüß $x^2$')",
    "an animation": "from matplotlib.animation import FuncAnimation\n"
    "fig, ax = plt.subplots(); line, = ax.plot([0, 1])\n"
    "film = FuncAnimation(fig, lambda i: line.set_data([0, 1], [0, i]), frames=2)\n"
    "plt.close(); len(film.to_jshtml()) > 100",
    "another backend": "%matplotlib agg\nplt.plot([1]); print(plt.get_backend())",
    "a folder": "import os\nos.makedirs('sub', exist_ok=True); os.chdir('sub')\n"
    "print(os.path.basename(os.getcwd())); os.chdir('..')",
    "shells": "!echo out; echo err >&2\nlines = !echo one\nprint(lines)",
    "a script": "%%bash\necho $0; cat /dev/stdin",
    "displays": "from IPython.display import Markdown, clear_output, display\nh = display('a', display_id='q')\n"
    "display(Markdown('# x'))\nh.update('c')",
    "cleared": "for i in range(3):\n    clear_output(wait=True); print(i)",
    "captured": "%%capture kept\nprint('x'); 5",
    "kept": "kept.stdout, len(kept.outputs)",
    "much": "print('x' * 1_000_000)\nlist(range(2000))",
    "seeds": "import random, numpy as np\nrandom.seed(1); np.random.seed(1)\n"
    "print(random.random(), np.random.rand(), np.random.default_rng(3).random())\nnp.arange(3) / 7",
    "low level": "os.write(1, b'low\\n'); os.system('echo system')",
    "a signal": "import signal, time\ndef ring(*_): print('rung')\nsignal.signal(signal.SIGALRM, ring)\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.02); time.sleep(0.1)",
    "pickles": "class A: pass\nimport pickle\ntype(pickle.loads(pickle.dumps(A()))), A.__module__",
    "itself": "import inspect, sys, __main__\n"
    "print(inspect.getsource(say), __main__.__dict__ is globals(), __main__.__doc__)",
    "the system": "import locale, logging, tempfile, faulthandler, gc\n"
    "print(locale.getlocale(), sys.stdout.encoding, tempfile.gettempdir(), faulthandler.is_enabled(), gc.isenabled())\n"
    "print(len(os.listdir('/proc/self/fd')) > 3, os.getpgrp() == os.getpid(), os.nice(0))\n"
    "logging.getLogger().handlers",
    "magics": "%who_ls",
    "history": "_, In[1][:6], len(Out)",
    "settings": "import matplotlib\ndict(matplotlib.rcParams)",
}


def outputs(ran: Ran) -> dict[str, str]:
    """Give the outputs of each cell, but for numbers that no two processes have in common."""
    assert ran.failure is None, ran.failure
    texts = (json.dumps(cell.outputs, sort_keys=True) for cell in ran.node.cells)
    return dict(zip(DOES, (re.sub(r"0x[0-9a-f]{6,}|ipykernel_\d+", "<n>", text) for text in texts), strict=False))


def test_all_that_notebooks_do_comes_out_as_in_a_fresh_kernel(bench: Bench) -> None:
    warm, fresh = (bench.run(*DOES.values(), warm=way, PYTHONHASHSEED="0") for way in (True, False))
    assert (warm.warm, fresh.warm) == (True, False)
    assert outputs(warm) == outputs(fresh)


LOOK = """
import builtins, locale, os, sys, time, matplotlib, matplotlib.pyplot as plt
print(sys.path, sys.flags, sys.warnoptions, locale.getlocale(), time.tzname, sys.stdout.encoding)
print(plt.get_backend(), matplotlib.matplotlib_fname(), matplotlib.rcParams["figure.figsize"])
print(sorted(name for name in globals() if name[0] != "_"), get_ipython().ast_node_interactivity)
print(os.environ.get("SET"), os.environ.get("MPLBACKEND"), getattr(builtins, "mark", None), sys.getrecursionlimit())
print(__import__("warnings").warn("mine") if sys.warnoptions else "")
fig, ax = plt.subplots(); ax.plot([1, 2]); plt.show()
"""
SITE = "import builtins, os, sys\nbuiltins.mark = 'site'\nsys.setrecursionlimit(4321)\nos.environ['SET'] = '1'\n"
CONFIG = "c = get_config()\nc.InteractiveShell.ast_node_interactivity = 'all'\n"
CONFIG += "c.InlineBackend.rc = {'figure.figsize': (2, 2)}"
FILES = {
    "ipython/profile_default/ipython_config.py": CONFIG + "\nc.IPKernelApp.exec_lines = ['line = 5']\n",
    "ipython/profile_default/startup/00.py": "import helper\nstarted = helper.value\n",
    "lib/helper.py": "value = 1\n",
    "site/sitecustomize.py": SITE,
    "mpl/matplotlibrc": "figure.figsize: 3, 3\n",
}


@pytest.mark.parametrize(
    "environ",
    [
        {"IPYTHONDIR": "{}/ipython", "PYTHONPATH": "{}/lib"},
        {
            "PYTHONPATH": "{}/site",
            "MPLCONFIGDIR": "{}/mpl",
            "PYTHONWARNINGS": "ignore::UserWarning",
            "MPLBACKEND": "svg",
        },
        {"MATPLOTLIBRC": "{}/mpl/matplotlibrc", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONSAFEPATH": "1"},
    ],
    ids=["IPython's settings", "site and matplotlib", "place and modes"],
)
def test_settings_of_the_user_count_as_in_a_fresh_kernel(bench: Bench, environ: dict[str, str]) -> None:
    write_files(bench.folder.with_name("settings"), FILES)
    own = {name: value.format(bench.folder.with_name("settings")) for name, value in environ.items()}
    own |= {"PYTHONHASHSEED": "0"}
    warm, fresh = (bench.run(LOOK, "1\n2", warm=way, **own) for way in (True, False))
    assert (warm.warm, fresh.warm) == (True, False), warm.notes
    assert outputs(warm) == outputs(fresh)
