"""What `kit check` finds in flows, and what it leaves alone."""

import pytest
from check_projects import TESTED, flow
from support import write_files

from kit.checks.run import check


def test_a_file_that_does_not_parse_is_found_with_its_line(found):
    ((rule, file, line, message),) = found({"flows/a.py": "x = 1\ndef f(:\n"}, "syntax")
    assert (rule, file, line) == ("syntax", "flows/a.py", 2)
    assert message.startswith("does not parse: ")


def test_a_file_that_nests_too_deeply_is_said_to_and_stops_no_other_rule(found):
    deep = "x = a" + ".b()" * 900
    files = {f"flows/{name}.py": flow(f"{name}Flow", deep, deep, head=f"def f():\n    {deep}\n") for name in "AB"}
    assert [m for *_, m in found(files)] == ["does not parse: it is nested too deeply to be checked"] * 2


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbfx = 1\r\n", b"x = 1\x00", b"x = '\xff'", b"print 'x'\n"])
def test_a_file_of_any_content_is_read_or_said_not_to_be(tmp_path, content):
    write_files(tmp_path, {"flows/a.py": "", ".gitignore": ".metaflow"})
    (tmp_path / "flows/a.py").write_bytes(content)
    assert {f.rule for f in check([tmp_path]).findings} <= {"syntax"}


def test_a_long_step_is_found_and_the_project_says_what_is_long(found):
    work = "for n in range(3):\n" + "\n".join(f"    self.x{n} = n" for n in range(8))
    files = {"flows/a.py": flow("AFlow", "pass", f'"""Not counted."""\n{work}', "pass")}
    assert found(files, "step-length") == []
    files["pyproject.toml"] = "[tool.kit.check]\nstep_statements = 9\n"
    message = "step b of AFlow has 10 statements, more than 9"
    assert found(files, "step-length") == [("step-length", "flows/a.py", 10, message)]


def test_a_step_that_two_flows_inherit_is_found_once(found):
    base = flow("BaseFlow", "\n".join(f"self.x{n} = {n}" for n in range(30)), "pass")
    child = "\nclass ChildFlow(BaseFlow):\n    pass\n\nclass OtherFlow(BaseFlow):\n    pass\n"
    assert len(found({"flows/a.py": base + child}, "step-length")) == 1


@pytest.mark.parametrize("start", ["pass", 'self.rows = 3\nprint("go")', "self.limit = int_ if self.test_mode else 3"])
def test_a_start_that_cannot_fail_is_found_where_a_later_step_can(found, start):
    files = {"flows/a.py": flow("AFlow", start, "self.rows = load()", "pass")}
    ((rule, _, line, message),) = found(files, "fail-fast")
    assert (rule, line) == ("fail-fast", 6)
    assert message == "start of AFlow does nothing that can fail: a mistake is found in a later step"


@pytest.mark.parametrize(
    "start",
    [
        "check(self.limit)",
        "assert self.limit > 0",
        "if not self.limit:\n    raise ValueError(self.limit)",
        "import pandas",
        "with open(self.path) as file:\n    self.text = file.read()",
        "import os\nself.bucket = os.environ['BUCKET']",
        "self.validate()",
    ],
)
def test_a_start_that_checks_anything_is_fine(found, start):
    body = "def validate(self):\n    assert self.limit"
    assert found({"flows/a.py": flow("AFlow", start, "self.rows = load()", "pass", body=body)}, "fail-fast") == []


def test_a_method_that_start_calls_is_looked_into(found):
    body = "def hello(self):\n    print(self.limit)"
    files = {"flows/a.py": flow("AFlow", "self.hello()", "self.rows = load()", "pass", body=body)}
    assert len(found(files, "fail-fast")) == 1


def test_a_flow_without_a_test_mode_is_found_at_its_class(found):
    files = {"flows/a.py": flow("AFlow", "self.rows = load()", "pass")}
    message = "AFlow has no test mode: kit test runs it in full"
    assert found(files, "test-mode") == [("test-mode", "flows/a.py", 4, message)]


def test_a_table_of_the_project_is_a_test_mode_and_must_name_parameters_that_are_there(found):
    limit = 'limit = Parameter("limit", default=1)'
    files = {"flows/a.py": flow("AFlow", "self.rows = load()", "pass", body=limit)}
    files["pyproject.toml"] = "[tool.kit.test.AFlow]\nlimit = 3\nargs = ['--tag', 'x']\n"
    assert found(files, "test-mode") == []
    files["pyproject.toml"] = "[tool.kit.test.AFlow]\nlimits = 3\n"
    ((_, _, _, message),) = found(files, "test-mode")
    assert message == "[tool.kit.test.AFlow] names limits, which AFlow has no Parameter for"


def test_a_test_mode_that_nobody_reads_or_that_is_on_by_default_is_found(found):
    files = {
        "flows/a.py": flow("AFlow", "self.rows = load()", "pass", body=TESTED),
        "flows/b.py": flow("BFlow", "self.rows = load(self.test_mode)", "pass", body=TESTED.replace("False", "True")),
    }
    assert [(f, m.split(":")[0]) for _, f, _, m in found(files, "test-mode")] == [
        ("flows/a.py", "no step of AFlow reads test_mode"),
        ("flows/b.py", "test_mode of BFlow is on by default"),
    ]


@pytest.mark.parametrize(
    "use", ["load(self.test_mode)", "load(self)", 'getattr(self, "test_mode")', "common.rows(flow=self)"]
)
def test_a_test_mode_may_be_read_in_any_way(found, use):
    assert found({"flows/a.py": flow("AFlow", f"self.rows = {use}", "pass", body=TESTED)}, "test-mode") == []


def test_a_test_mode_of_a_base_class_in_another_file_counts(found):
    files = {
        "flows/common.py": f"from metaflow import FlowSpec, Parameter\n\nclass Base(FlowSpec):\n    {TESTED}\n",
        "flows/a.py": flow("AFlow", "self.rows = load(self.test_mode)", "pass").replace("(FlowSpec)", "(Base)"),
    }
    assert found(files, "test-mode") == []
