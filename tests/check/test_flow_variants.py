"""The many ways in which flows miss a practice, and as many that only look so: a table each, checked in one project."""

import pytest
from check_projects import flow, notebook

HEAD = """
import asyncio, collections, contextlib, csv, logging, sqlite3, threading, boto3, tqdm, common
import numpy as np
from functools import partial
from pathlib import Path
"""
COMMON = {
    "flows/common.py": """
        import sqlite3
        def connect():
            return sqlite3.connect("x")
        def rows():
            yield 1
        def load():
            return open("x").read()
        def hello():
            print("hello")
        def check(x):
            assert x
    """
}


@pytest.fixture
def faulty(found):
    """Write each case as a flow of its own into one project, and give those in which a rule finds something."""

    def look(rule, cases, write):
        files = {f"flows/f{n}.py": write(f"F{n}Flow", case) for n, case in enumerate(cases)}
        hit = {file for _, file, *_ in found({**COMMON, **files}, rule)}
        assert hit <= set(files)
        return [case for n, case in enumerate(cases) if f"flows/f{n}.py" in hit]

    return look


# ------------------------------------------------------------------ artifacts that cannot be pickled

UNPICKLABLE = [
    "p = Path('x')\nself.f = p.open('rb')",
    "conn = sqlite3.connect('x')\nself.cursor = conn.cursor()",
    "self.cursor = sqlite3.connect('x').execute('select 1')",
    "self.s3 = boto3.Session().client('s3')",
    "self.bucket = boto3.resource('s3').Bucket('x')",
    "self.bar = tqdm.tqdm(range(3))",
    "self.x = dict(f=lambda: 2)",
    "setattr(self, 'log', open('x', 'w'))",
    "self.fs = {}\nself.fs['a'] = lambda: 1",
    "self.fs = []\nself.fs.append(lambda: 1)",
    "self.fs = [lambda: 1]\nself.fs += [1]",
    "self.rows = map(lambda x: x, [1])",
    "self.lines = iter(open('x'))",
    "self.x = self.y or (lambda: 1)",
    "self.loop = asyncio.new_event_loop()",
    "self.handler = logging.FileHandler('x')",
    "def make():\n    return lambda: 1\nself.f = make()",
    "self.keys = {'a': 1}.keys()",
    "self.db = common.connect()",
    "self.rows = common.rows()",
    "self.module = common",
    "from sqlalchemy import create_engine\nself.db = create_engine('x').connect()",
    "from pymongo import MongoClient\nself.db = MongoClient('x')['db']",
    "from pyspark.sql import SparkSession\nself.spark = SparkSession.builder.appName('x').getOrCreate()",
    "Row = collections.namedtuple('Row', 'a b')\nself.row = Row(1, 2)",
    "self.later = self.coming()",
]
PICKLABLE = [
    "self.x = lambda: 1\ndelattr(self, 'x')",
    "self.db = sqlite3.connect('x')\nself.close()",
    "self.x = [*filter(lambda v: v, [1])]",
    "self.x = sqlite3.connect('x').execute('select 1').fetchall()",
    "self.x = boto3.client('s3').list_buckets()['Buckets']",
    "fs = [lambda: 1]\nself.x = [f() for f in fs]",
    "self.x = map(str, [1])",
    "self.x = partial(common.load, 1)",
    "self.x = common.load()",
    "self.x = np.mean",
    "self.x = list({'a': 1}.keys())",
    "x = open('x')\nx = x.read()\nself.x = x",
    "setattr(other, 'x', lambda: 1)",
    "with timed() as t:\n    self.x = 1",
]
METHODS = "def close(self):\n    self.db.close()\n    del self.db\nasync def coming(self):\n    return 1"


def test_artifacts_that_cannot_be_pickled_are_found_in_every_guise(faulty):
    write = lambda name, work: flow(name, work, "pass", head=HEAD, body=METHODS)  # noqa: E731
    assert faulty("picklable", UNPICKLABLE + PICKLABLE, write) == UNPICKLABLE


def test_a_value_of_the_class_is_an_artifact_too(found):
    body = "lock = threading.Lock()\n_lock = threading.Lock()\nkey = lambda self: 1"
    ((*_, line, message),) = found({"flows/a.py": flow("AFlow", "pass", "pass", head=HEAD, body=body)}, "picklable")
    assert (line, message) == (10, "lock of AFlow is a lock, which cannot be pickled: no run starts")


def test_a_helper_of_the_flow_may_leave_what_another_method_takes_away(found):
    body = "def connect(self):\n    self.db = sqlite3.connect('x')"
    kept = flow("AFlow", "self.connect()", "pass", head=HEAD, body=body)
    gone = flow("AFlow", "self.connect()\nself.db = None", "pass", head=HEAD, body=body)
    assert len(found({"flows/a.py": kept}, "picklable")) == 1
    assert found({"flows/a.py": gone}, "picklable") == []


def test_the_flow_may_have_another_name_than_self(found):
    source = flow("AFlow", "task.f = lambda: 1", "pass").replace("def start(self)", "def start(task)")
    assert len(found({"flows/a.py": source}, "picklable")) == 1


# ------------------------------------------------------------------ start, test modes, lengths

SLOW = [
    "from itertools import product\nself.grid = list(product([1], [2]))",
    "i = 0\nwhile i < 3:\n    i += 1",
    "with contextlib.suppress(Exception):\n    self.a = 1",
    "try:\n    self.rows = common.load()\nexcept Exception as e:\n    print(e)\n    self.rows = None",
    "common.hello()",
    "import json, math\nprint(json.dumps({'a': math.sqrt(4)}))",
    "from metaflow.cards import Markdown\ncurrent.card.append(Markdown('x'))",
    "later = lambda: common.load()",
    "def inner():\n    raise ValueError\nself.a = 1",
    "self.n = int(3.5)",
]
FAST = [
    "self.n = float(self.alpha)",
    "self.model = {'a': 1}[self.kind]",
    "common.check(self.n)",
    "try:\n    self.rows = common.load()\nexcept Exception as e:\n    raise RuntimeError('no rows') from e",
    "try:\n    self.rows = common.load()\nexcept FileNotFoundError:\n    self.rows = None",
    "self.model = Flow('X').latest_successful_run.data.model",
    "import sys\nif not self.n:\n    sys.exit(1)",
]


def test_starts_that_do_nothing_that_can_fail_are_found_whatever_they_do(faulty):
    write = lambda name, start: flow(name, start, "self.model = fit(self)", "pass", head=HEAD)  # noqa: E731
    assert faulty("fail-fast", SLOW + FAST, write) == SLOW


TEST_MODE = "test_mode = Parameter('test_mode', default=False)"
IDLE = [
    "print(self.test_mode)",
    "print(f'test mode: {self.test_mode}')",
    "logging.info('%s', self.test_mode)",
    "if self.test_mode:\n    pass",
    "if self.test_mode:\n    print('a test')",
    "if self.test_mode:\n    self.n = 1\nelse:\n    self.n = 1",
]
READ = [
    "self.n = 1 if self.test_mode else 9",
    "if not self.test_mode:\n    self.n = 1",
    "small = self.test_mode",
    "print(self.test_mode)\nself.rows = self.rows[: 3 if self.test_mode else None]",
]


def test_a_test_mode_that_is_only_said_makes_no_difference(faulty):
    write = lambda name, use: flow(name, "pass", f"{use}\nself.m = common.fit(1)", "pass", head=HEAD, body=TEST_MODE)  # noqa: E731
    assert faulty("test-mode", IDLE + READ, write) == IDLE


def test_a_test_mode_is_read_by_the_name_of_its_attribute(found):
    body = TEST_MODE.replace("test_mode =", "quick =")
    source = flow("AFlow", "self.m = fit(self.quick)", "pass", body=body)
    assert found({"flows/a.py": source}, "test-mode") == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("AFlow]", "[tool.kit.test.AFlow] sets nothing: kit test runs AFlow in full"),
        (
            "AFlow]\nlimit = 100",
            "[tool.kit.test.AFlow] sets what is so by default: a test run is as large as a real one",
        ),
        ("AFlow]\nidle = 3", "no step of AFlow reads idle, which [tool.kit.test.AFlow] sets"),
        ("AFlow]\nlimit = 3", None),
        ("AFlow]\nargs = ['--max-workers', '2']", None),
        ("AFlow]\nlimit = 3\n[tool.kit.test.BFlow]\nlimit = 3", "[tool.kit.test.BFlow]: there is no flow BFlow"),
    ],
)
def test_a_table_that_makes_no_test_mode_is_found(found, table, message):
    body = "limit = Parameter('limit', default=100)\nidle = Parameter('idle', default=100)"
    files = {"flows/a.py": flow("AFlow", "self.rows = load(self.limit)", "pass", body=body)}
    files["pyproject.toml"] = f"[tool.kit.test.{table}\n"
    assert [m for *_, m in found(files, "test-mode")] == ([message] if message else [])


def test_statements_of_functions_inside_of_a_step_count_and_lines_do_not(faulty):
    many = "\n".join(f"    x{n} = {n}" for n in range(30))
    long = [f"def inner():\n{many}\ninner()", f"try:\n{many}\nfinally:\n    pass"]
    short = ['"""' + "\n" * 60 + '"""', "x = f(\n" + "    1,\n" * 60 + ")", "\n# a comment" * 60 + "\npass"]
    write = lambda name, work: flow(name, "pass", work, "pass")  # noqa: E731
    assert faulty("step-length", long + short, write) == long


# ------------------------------------------------------------------ code that was copied

CLEAN = '''
def clean(rows, limit=3):
    """Clean."""
    kept = [row for row in rows if row]
    for row in kept:
        row["total"] = sum(row.values())
    return sorted(kept, key=len)[:limit]
'''


@pytest.mark.parametrize(
    ("copy", "is_one"),
    [
        (CLEAN.replace("kept", "good").replace("row", "line"), True),
        (CLEAN.replace("rows, limit=3)", "rows: list, limit: int = 3) -> list"), True),
        (CLEAN.replace("kept = ", "kept: list = ").replace('"""Clean."""', '"""Other words."""'), True),
        ("import functools\n@functools.cache" + CLEAN, True),
        (CLEAN.replace("sum(", "max("), False),
        (CLEAN.replace('"total"', '"count"'), False),
        (CLEAN.replace("rows if", "table if"), False),
    ],
)
def test_a_copy_is_one_under_other_names_and_type_hints(found, copy, is_one):
    files = {"flows/a.py": flow("AFlow", "pass", "pass", head=CLEAN)}
    files["flows/b.py"] = flow("BFlow", "pass", "pass", head=copy)
    assert len(found(files, "shared-code")) == is_one


def test_a_function_of_a_notebook_that_stands_in_a_module_is_found_unless_it_writes_the_flow(found, tmp_path):
    path = tmp_path / "project/notebooks/a.ipynb"
    notebook(path, "%load_ext kit", f"%time x = 1\n{CLEAN}")
    files = {"flows/common.py": CLEAN}
    ((_, file, line, message),) = found(files, "shared-code")
    assert (file, message) == ("notebooks/a.ipynb", "clean is a copy of clean (flows/common.py:2)")
    assert "def clean" in path.read_text().splitlines()[line - 1]
    notebook(path, "%load_ext kit", CLEAN, "%%mf_step start\nself.x = clean([])")
    assert found(files, "shared-code") == []


def test_a_function_that_two_notebooks_have_is_found_in_the_second(found, tmp_path):
    copied = CLEAN.replace("def clean", "def tidy")
    notebook(tmp_path / "project/notebooks/a.ipynb", "x = 1", CLEAN)
    notebook(tmp_path / "project/notebooks/b.ipynb", copied, copied)
    notebook(tmp_path / "project/notebooks/c.ipynb", f"%%mf_step start\n{CLEAN}")
    assert {(f, m) for _, f, _, m in found({}, "shared-code")} == {
        ("notebooks/b.ipynb", "tidy is a copy of clean (notebooks/a.ipynb, cell 2)")
    }
