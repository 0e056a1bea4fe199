"""A flow file loaded afresh, as `python flow.py` would load it, and the process left as it was."""

import contextlib
import pickle
import sys
import threading
from dataclasses import replace

import pytest
from support import write_files

from kit import flowfile
from kit.errors import FlowFileError
from kit.model import FlowInfo
from kit.project import find_project

FLOW = """\
import sys

from metaflow import FlowSpec, Parameter, card, retry, step

{top}


class TrainFlow(FlowSpec):
    epochs = Parameter("epochs", default=3)

    @card
    @retry(times=2)
    @step
    def start(self):
        self.x = 1  # the first
        self.next(self.end)

    @step
    def end(self):
        pass


{end}
"""

MAIN = """\
if __name__ == "__main__":
    prepared = True
    TrainFlow()
    raise RuntimeError("Metaflow would have taken over")
"""


@pytest.fixture
def flow(make_project):
    """Write a flow file, and other files of its folder; gives the flow's description."""

    def write(top="", end=MAIN, **files):
        content = FLOW.format(top=top, end=end)
        root = make_project({"flows/train.py": content, **{f"flows/{name}.py": text for name, text in files.items()}})
        return find_project(root).flow("TrainFlow")

    return write


def refused(info):
    """Give the error with which a flow does not load."""
    with pytest.raises(FlowFileError) as caught:
        flowfile.load(info)
    return caught.value


@pytest.fixture
def hurried():
    """Let threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    yield lambda: sys.setswitchinterval(1e-6)
    sys.setswitchinterval(before)


# ------------------------------------------------------------------ what is loaded


def test_each_load_gives_a_class_of_its_own(flow):
    info = flow()
    first, second = flowfile.load(info), flowfile.load(info)
    assert first.cls is not second.cls
    assert {step.__name__ for step in first.cls._steps} == {"start", "end"}
    assert first.info == info


def test_a_load_sees_an_edit_whatever_its_time(flow):
    before = flowfile.load(flow(top="VALUE = 1"))
    after = flowfile.load(flow(top="VALUE = 2"))
    assert (before.module.VALUE, after.module.VALUE) == (1, 2)
    assert before.digest != after.digest


def test_a_flow_file_runs_as_main_from_its_own_folder(flow, tmp_path):
    module = flowfile.load(flow(top="name, file, argv, path = __name__, __file__, sys.argv, sys.path[0]")).module
    file = str(tmp_path / "project" / "flows" / "train.py")
    assert (module.name, module.file, module.argv) == ("__main__", file, [file])
    assert module.path == str(tmp_path / "project" / "flows")


def test_its_classes_pickle_as_those_of_a_run_do(flow):
    loaded = flowfile.load(flow(top="class Model:\n    pass"))
    with flowfile.as_script(loaded.module):
        data = pickle.dumps(loaded.module.Model())
        assert type(pickle.loads(data)) is loaded.module.Model
    assert b"__main__" in data


def test_what_stands_before_the_flow_is_started_runs_and_the_command_line_does_not(flow):
    assert flowfile.load(flow()).module.prepared is True


@pytest.mark.parametrize(
    "end",
    ["", "TrainFlow()", "if __name__ == '__main__':\n    flow = TrainFlow()", "def main():\n    TrainFlow()\n\nmain()"],
    ids=["none", "bare", "kept", "function"],
)
def test_a_flow_is_loaded_however_its_file_starts_it(flow, end):
    assert flowfile.load(flow(end=end)).cls.__name__ == "TrainFlow"


def test_a_flow_that_imports_its_base_and_helpers_from_its_folder_is_loaded(flow):
    info = flow(top="import helper_of_train\nVALUE = helper_of_train.VALUE", helper_of_train="VALUE = 7\n")
    assert flowfile.load(info).module.VALUE == 7
    sys.modules.pop("helper_of_train")


def test_the_command_line_is_metaflows_own_again(flow):
    from metaflow import cli

    before = cli.main
    flowfile.load(flow())
    assert cli.main is before


# ------------------------------------------------------------------ the source of a step


def test_the_source_of_a_step_is_that_of_the_file_its_decorators_included(flow):
    assert flowfile.load(flow()).source("start") == (
        "@card\n@retry(times=2)\n@step\ndef start(self):\n    self.x = 1  # the first\n    self.next(self.end)\n"
    )
    assert flowfile.load(flow(top="# one line more")).source("end") == "@step\ndef end(self):\n    pass\n"


# ------------------------------------------------------------------ what does not load


@pytest.mark.parametrize(
    ("top", "line", "what"),
    [
        ("x = (1,\n    2", 5, "SyntaxError"),
        ("import no_such_package_anywhere", 5, "ModuleNotFoundError: No module named 'no_such_package_anywhere'"),
        ("from metaflow import NoSuchName", 5, "ImportError"),
        ("def f():\n    return 1 / 0\n\n\nf()", 6, "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", 5, "SystemExit: 3"),
        ("import json\njson.loads('{')", 6, "JSONDecodeError"),
        ("raise RuntimeError('one\\ntwo')", 5, "RuntimeError: one"),
        ("raise RuntimeError", 5, "RuntimeError ("),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_does_not_load_is_an_error_that_names_the_file_and_the_line(make_project, top, line, what):
    root = make_project({"flows/train.py": FLOW.format(top=top, end=MAIN)})
    file = str(root / "flows" / "train.py")
    error = refused(FlowInfo("TrainFlow", file, 1, ("start", "end")))
    assert error.message.startswith("TrainFlow does not load: ")
    assert what in error.message
    assert f"({file}, line {line})" in error.message
    assert len(error.message.splitlines()) == len(error.hint.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("x = (\n", 1, "SyntaxError"),
        ("VALUE = 1\nVALUE.nothing\n", 2, "AttributeError"),
        ("\nimport no_such_package_anywhere\n", 2, "ModuleNotFoundError"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
    ],
)
def test_what_a_module_of_the_folder_does_wrong_is_said_of_that_module(flow, content, line, what):
    error = refused(flow(top="import helper_that_fails", helper_that_fails=content))
    assert what in error.message
    assert f"helper_that_fails.py, line {line})" in error.message


def test_a_package_that_is_missing_is_answered_with_how_to_install_it(flow):
    assert "%mf_install_deps" in refused(flow(top="import no_such_package_anywhere")).hint


def test_an_error_of_kits_own_keeps_its_hint(flow):
    error = refused(flow(top="from kit import install_dependencies\ninstall_dependencies('--pre')"))
    assert "RequirementError" in error.message
    assert "train.py, line 6)" in error.message
    assert error.hint != "Mend that line, then try again."


def test_the_frames_of_the_users_files_are_in_the_details(flow):
    error = refused(flow(top="import helper_that_fails", helper_that_fails="def f():\n    1 / 0\n\n\nf()\n"))
    assert "in f\n    1 / 0" in error.details
    assert "import helper_that_fails" in error.details
    assert "kit/flowfile.py" not in error.details


def test_a_file_that_is_gone_is_an_error(flow):
    info = flow()
    error = refused(replace(info, file=info.file.replace("train.py", "gone.py")))
    assert "gone.py cannot be read: No such file or directory" in error.message


@pytest.mark.parametrize("end", ["del TrainFlow", "TrainFlow = 3", "class TrainFlow:\n    pass"])
def test_a_file_that_no_longer_defines_the_flow_is_an_error(make_project, end):
    root = make_project({"flows/train.py": FLOW.format(top="", end=end)})
    error = refused(FlowInfo("TrainFlow", str(root / "flows" / "train.py"), 1, ("start", "end")))
    assert "no longer defines TrainFlow" in error.message


# ------------------------------------------------------------------ the process


@pytest.mark.parametrize(
    "top",
    [
        "",
        "raise RuntimeError",
        "import no_such_package_anywhere",
        "x = (",
        "sys.argv.append('x')\nsys.path.insert(0, 'x')",
        "sys.argv = ['x']\nsys.path = ['x'] + sys.path",
    ],
)
def test_what_the_process_shares_is_put_back_also_after_a_failure(make_project, top):
    root = make_project({"flows/train.py": FLOW.format(top=top, end=MAIN)})
    path, argv, main = sys.path, sys.argv, sys.modules["__main__"]
    contents = list(path), list(argv)
    with contextlib.suppress(FlowFileError):
        flowfile.load(FlowInfo("TrainFlow", str(root / "flows" / "train.py"), 1, ("start", "end")))
    assert (sys.path is path, sys.argv is argv, sys.modules["__main__"] is main) == (True, True, True)
    assert (list(sys.path), list(sys.argv)) == contents


def test_two_threads_that_load_at_once_do_not_disturb_each_other(hurried, tmp_path):
    top = "seen = sys.argv[0], sys.modules['__main__'].__file__, sys.path[0]"
    infos = []
    for name in ("one", "two"):
        write_files(tmp_path / name, {"train.py": FLOW.format(top=top, end=MAIN)})
        infos.append(FlowInfo("TrainFlow", str(tmp_path / name / "train.py"), 1, ("start", "end")))
    before = list(sys.path), sys.argv, sys.modules["__main__"]
    hurried()
    seen, failed = [], []

    def load(info):
        try:
            for _ in range(10):
                seen.append((info, flowfile.load(info).module.seen))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=load, args=(info,)) for info in infos * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(seen) == 40
    assert all(found == (info.file, info.file, info.file.removesuffix("/train.py")) for info, found in seen)
    assert (list(sys.path), sys.argv, sys.modules["__main__"]) == before


# ------------------------------------------------------------------ the cache


def test_a_cached_load_is_the_same_until_the_file_changes(flow):
    info = flow()
    first = flowfile.load_cached(info)
    assert flowfile.load_cached(info).cls is first.cls
    changed = flowfile.load_cached(flow(top="VALUE = 2"))
    assert changed.cls is not first.cls
    assert changed.module.VALUE == 2


def test_two_flows_of_a_file_are_cached_beside_each_other(make_project):
    second = "class OtherFlow(TrainFlow):\n    pass\n"
    project = find_project(make_project({"flows/train.py": FLOW.format(top="", end=second)}))
    train, other = project.flow("TrainFlow"), project.flow("OtherFlow")
    first = flowfile.load_cached(train)
    assert flowfile.load_cached(other).cls.__name__ == "OtherFlow"
    assert flowfile.load_cached(train).cls is first.cls


def test_threads_that_load_at_once_share_the_cached_class(flow, hurried):
    info = flow()
    hurried()
    found = []
    threads = [threading.Thread(target=lambda: found.append(flowfile.load_cached(info).cls)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_file_that_does_not_load_leaves_nothing_in_the_cache(flow):
    info = flow(top="raise RuntimeError")
    with pytest.raises(FlowFileError):
        flowfile.load_cached(info)
    assert flowfile.load_cached(flow()).cls.__name__ == "TrainFlow"
