"""Artifacts that cannot be pickled, found in the source."""

import importlib
import pickle
import sys

import pytest
from check_projects import flow
from support import write_files

from kit.checks.installed import is_installed_module
from kit.checks.run import check
from kit.checks.unpicklable import CALLS


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("self.f = lambda x: x", "a lambda"),
        ("self.rows = (n for n in range(3))", "a generator"),
        ("self.rows = numbers()", "a generator"),
        ("self.file = open('x')", "an open file"),
        ("with open('x') as file:\n    self.file = file", "an open file"),
        ("from threading import Lock as L\nself.lock = L()", "a lock"),
        ("self.a, self.lock = 1, threading.Lock()", "a lock"),
        ("import sqlite3 as db\nconnection = db.connect('x')\nself.db = connection", "a database connection"),
        ("import numpy as np\nself.np = np", "a module"),
        ("import os.path\nself.path = os.path", "a module"),
        ("from sklearn import metrics\nself.metrics = metrics", "a module"),
        ("from xml.etree import ElementTree as tree\nself.tree = tree", "a module"),
        ("def double(x):\n    return 2 * x\nself.f = double", "a function of this step"),
        ("class Row:\n    pass\nself.row = Row()", "an instance of a class of this step"),
        ("self.counts = collections.defaultdict(lambda: 0)", "a lambda"),
        ("self.functions = {'a': [len, lambda x: x]}", "a lambda"),
        ("self.files = [open(p) for p in 'ab']", "an open file"),
        ("self.f: object = TOP", "a lambda"),
        ("if self.f:\n    self.g = lambda: 1\nelse:\n    self.g = None", "a lambda"),
    ],
)
def test_an_artifact_that_cannot_be_pickled_is_found(found, work, reason):
    head = "import collections, threading\nTOP = lambda: 1\ndef numbers():\n    yield 1\n"
    ((rule, _, _, message),) = found({"flows/a.py": flow("AFlow", work, "pass", head=head)}, "picklable")
    assert rule == "picklable"
    assert f" is {reason}, which cannot be pickled: start of AFlow" in message


@pytest.mark.parametrize(
    "work",
    [
        "self.rows = list(n for n in range(3))",
        "self.text = open('x').read()",
        "lock = threading.Lock()",
        "self.lock = threading.Lock()\nself.run()\ndel self.lock",
        "self.file = open('x')\nself.file = self.file.read()",
        "with open('x') as self.file:\n    pass\nself.file = None",
        "self.f = len",
        "self.f = numbers",
        "self.rows = sorted(numbers())",
        "self.counts = collections.defaultdict(int)",
        "np = 3\nself.np = np",
        "f = lambda: 1\nf = 2\nself.f = f",
        "open = print\nself.x = open('x')",
        "self.keys = {k: v for k, v in zip('ab', 'cd')}",
        "other.lock = threading.Lock()",
        "self.__lock = threading.Lock()",
        "self.best = min(self.rows, key=lambda row: row[0])",
        "from sklearn.metrics import accuracy_score\nself.score = accuracy_score",
        "from glob import glob\nself.glob = glob",
        "from pkg import module\nself.module = module",
        "import logging\nself.log = logging.getLogger('x')",
    ],
)
def test_what_can_be_pickled_and_what_is_gone_before_the_end_is_left_alone(found, work):
    head = "import collections, threading\ndef numbers():\n    yield 1\n"
    assert found({"flows/a.py": flow("AFlow", work, "pass", head=head)}, "picklable") == []


# Calls of the standard library that are in the table, and what they are called with.
CALLED = {
    **{
        name: ["{path}", "w"]
        for name in ("gzip.open", "bz2.open", "lzma.open", "io.open", "codecs.open", "zipfile.ZipFile")
    },
    **{f"threading.{name}": [] for name in ("Lock", "RLock", "Condition", "Semaphore", "Event", "local", "Thread")},
    **{f"multiprocessing.{name}": [] for name in ("Lock", "Event", "Queue", "Process")},
    **{f"tempfile.{name}": [] for name in ("TemporaryFile", "NamedTemporaryFile")},
    **{name: [] for name in ("queue.Queue", "queue.SimpleQueue", "ssl.create_default_context", "socket.socket")},
    **{f"concurrent.futures.{name}PoolExecutor": [1] for name in ("Thread", "Process")},
    **{name: [sys.stdout] for name in ("csv.reader", "csv.writer")},
    "multiprocessing.pool.ThreadPool": [1],
    "threading.Barrier": [1],
    "sqlite3.connect": [":memory:"],
    "tarfile.open": ["{path}", "w"],
    "contextvars.ContextVar": ["x"],
    "importlib.import_module": ["json"],
    "weakref.ref": [check],
}


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CALLED)
def test_what_the_table_says_cannot_be_pickled_cannot_be(tmp_path, name):
    assert name in CALLS
    arguments = [str(tmp_path / "x") if one == "{path}" else one for one in CALLED[name]]
    module, _, function = name.rpartition(".")
    value = getattr(importlib.import_module(module), function)(*arguments)
    with pytest.raises((TypeError, AttributeError, RuntimeError, pickle.PicklingError, NotImplementedError)):
        pickle.dumps(value)
    for closing in ("close", "cleanup", "shutdown"):
        if not name.startswith(("multiprocessing.", "contextvars", "csv")) and hasattr(value, closing):
            getattr(value, closing)()
            break


@pytest.mark.parametrize(
    ("package", "module"),
    [("", True), ("from . import metrics\n", True), ("from .metrics import metrics\n", False),
     ("def metrics(): ...\n", False), ("from .metrics import *\n", False), ("metrics = None\n", False)],
)  # fmt: skip
def test_a_module_whose_name_its_package_gives_to_something_else_is_none_for_sure(
    found, tmp_path, monkeypatch, package, module
):
    write_files(tmp_path / "site", {"scores/__init__.py": package, "scores/metrics.py": ""})
    monkeypatch.syspath_prepend(tmp_path / "site")
    is_installed_module.cache_clear()
    work = "from scores import metrics\nself.metrics = metrics"
    assert bool(found({"flows/a.py": flow("AFlow", work, "pass")}, "picklable")) is module
