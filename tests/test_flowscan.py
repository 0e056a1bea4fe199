"""Flows as their source says: nothing is imported, and nothing that a file can hold stops the scan."""

import os
import textwrap
import warnings

import pytest
from support import write_files

from kit.flowscan import scan

TWO_STEPS = """
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def flow(name, base="FlowSpec", head="from metaflow import FlowSpec, Parameter, step", body=""):
    """Write the source of a flow with two steps."""
    lines = "".join(f"    {line}\n" for line in textwrap.dedent(body).strip().splitlines())
    return f"{head}\n\n\nclass {name}({base}):\n{lines}{TWO_STEPS}"


@pytest.fixture
def scanned(tmp_path):
    """Write files into a folder and scan it."""

    def of(files, recursive=True):
        write_files(tmp_path, files)
        return scan(tmp_path, recursive)

    return of


# ------------------------------------------------------------------ what is found


def test_a_flow_is_found_with_its_file_its_line_and_its_steps_in_order(scanned, tmp_path):
    found = scanned({"train.py": flow("TrainFlow")}).flows["TrainFlow"]
    assert (found.name, found.file, found.line) == ("TrainFlow", str(tmp_path / "train.py"), 4)
    assert found.steps == ("start", "end")


@pytest.mark.parametrize(
    "harm", ["raise RuntimeError('imported')", "open('written', 'w').close()", "import no_such_package", "exit(3)"]
)
def test_a_file_is_read_and_never_run(scanned, tmp_path, monkeypatch, harm):
    monkeypatch.chdir(tmp_path)
    assert list(scanned({"train.py": f"{harm}\n{flow('TrainFlow')}"}).flows) == ["TrainFlow"]
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.parametrize(
    ("head", "base", "decorator"),
    [
        ("from metaflow import FlowSpec, step", "FlowSpec", "step"),
        ("from metaflow import FlowSpec as FS, step as s", "FS", "s"),
        ("import metaflow", "metaflow.FlowSpec", "metaflow.step"),
        ("import metaflow as mf", "mf.FlowSpec", "mf.step"),
        ("from metaflow import FlowSpec, step", "FlowSpec", "step(start=True)"),
        ("from metaflow import *", "FlowSpec", "step"),
        ("from metaflow import FlowSpec, step, retry", "FlowSpec", "retry(times=2)\n    @step"),
        ("from metaflow import FlowSpec, step", "Mixin, FlowSpec", "step"),
    ],
)
def test_a_flow_is_found_however_metaflow_is_imported(scanned, head, base, decorator):
    source = f"{head}\n\nclass TrainFlow({base}):\n    @{decorator}\n    def start(self):\n        pass\n"
    assert scanned({"train.py": source}).flows["TrainFlow"].steps == ("start",)


def test_parameters_are_named_as_the_command_line_takes_them(scanned):
    body = """
        epochs = Parameter("epochs", default=3)
        rate: float = Parameter(name="learning-rate", default=0.1)
        data = metaflow.IncludeFile("data")
        other = Config("other")
        constant = 3
    """
    assert scanned({"t.py": flow("TrainFlow", body=body)}).flows["TrainFlow"].parameters == (
        "epochs",
        "learning-rate",
        "data",
    )


def test_steps_and_parameters_are_inherited_from_a_base_in_another_file(scanned):
    base = """
        from metaflow import FlowSpec as FS, Parameter, step

        class Base(FS):
            seed = Parameter("seed")

            @step
            def start(self):
                self.next(self.fit)

            @step
            def fit(self):
                pass
    """
    derived = """
        from base import Base as B

        class TrainFlow(B):
            epochs = Parameter("epochs")

            @step
            def fit(self):
                pass

            @step
            def end(self):
                pass
    """
    found = scanned({"base.py": base, "train.py": derived}).flows["TrainFlow"]
    assert found.steps == ("start", "fit", "end")
    assert found.parameters == ("seed", "epochs")


def test_a_base_flow_without_steps_is_no_flow_but_its_file_is_a_flow_file(scanned, tmp_path):
    base = "from metaflow import FlowSpec\n\nclass Base(FlowSpec):\n    pass\n"
    found = scanned({"base.py": base, "train.py": flow("TrainFlow", base="Base", head="from base import Base")})
    assert list(found.flows) == ["TrainFlow"]
    assert found.flow_files == {str(tmp_path / "base.py"), str(tmp_path / "train.py")}


def test_a_base_of_the_same_name_in_another_file_does_not_stand_in_for_the_files_own(scanned):
    other = "class Base:\n    pass\n"
    own = "from metaflow import FlowSpec, step\n\nclass Base(FlowSpec):\n    pass\n\n" + flow("TrainFlow", "Base", "")
    assert list(scanned({"a.py": other, "train.py": own}).flows) == ["TrainFlow"]


def test_several_flows_of_a_file_are_all_found_and_do_not_wait_for_each_other(scanned):
    found = scanned({"both.py": flow("A", body='b = "B"') + flow("B", body='a = "A"')}).flows
    assert list(found) == ["A", "B"]
    assert [f.after for f in found.values()] == [(), ()]


def test_classes_that_are_no_flows_are_not_listed(scanned):
    source = "class Model:\n    pass\n\nclass Loop(Loop):\n    pass\n\nclass X(Y):\n    pass\n\nclass Y(X):\n    pass\n"
    assert scanned({"common.py": source}).flows == {}


# ------------------------------------------------------------------ what it reads


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ('run = Flow("TrainFlow").latest_run', ("TrainFlow",)),
        ('run = metaflow.Run("TrainFlow/12")', ("TrainFlow",)),
        ('source = Parameter("source", default="TrainFlow")', ("TrainFlow",)),
        ('source = Parameter("source", default="TrainFlow/12/end")', ("TrainFlow",)),
        ('source = Parameter("source", default="OtherFlow")', ()),
        ('"""Reads what TrainFlow has left."""', ()),
        ('name = "PredictFlow"', ()),
    ],
)
def test_a_flow_comes_after_those_that_its_file_names(scanned, body, after):
    found = scanned({"train.py": flow("TrainFlow"), "predict.py": flow("PredictFlow", body=body)})
    assert found.flows["PredictFlow"].after == after


@pytest.mark.parametrize("words", ['flow="TrainFlow"', 'flows=["TrainFlow"]', 'flow={"name": "TrainFlow"}'])
def test_a_flow_comes_after_the_one_that_triggers_it(scanned, words):
    predict = flow("PredictFlow").replace("class", f"@trigger_on_finish({words})\nclass")
    assert scanned({"train.py": flow("TrainFlow"), "predict.py": predict}).flows["PredictFlow"].after == ("TrainFlow",)


def test_a_flow_comes_after_what_an_imported_module_of_the_project_reads(scanned):
    common = """
        from metaflow import Flow

        NAMES = ("OtherFlow",)

        def latest():
            return Flow("TrainFlow").latest_successful_run
    """
    files = {
        "common.py": common,
        "train.py": flow("TrainFlow"),
        "other.py": flow("OtherFlow"),
        "predict.py": flow("PredictFlow", head="import common\nfrom metaflow import FlowSpec, step"),
    }
    found = scanned(files).flows
    assert found["PredictFlow"].after == ("TrainFlow",)
    assert found["OtherFlow"].after == ()


# ------------------------------------------------------------------ files that do not parse


def test_a_file_that_does_not_parse_is_named_with_its_line_and_the_flows_in_it(scanned, tmp_path):
    broken = flow("PredictFlow") + "\n    def oops(self:\n"
    found = scanned({"train.py": flow("TrainFlow"), "predict.py": broken})
    path = str(tmp_path / "predict.py")
    assert list(found.flows) == ["TrainFlow"]
    assert found.broken[path].startswith(f"line {len(broken.splitlines())}: ")
    assert found.lost == {"PredictFlow": path}


@pytest.mark.parametrize(
    "content",
    [
        "größe = 1\n".encode("latin-1"),
        b"a = 1\n\x00\n",
        b"x = " + b"(" * 5000 + b")" * 5000,
        b"x = " + b"-" * 200_000 + b"1",
        b"if True:\n\tx\n        y\n",
    ],
    ids=["latin-1", "null byte", "nested brackets", "nested signs", "tabs"],
)
def test_what_is_not_python_is_broken_and_the_rest_is_found(scanned, tmp_path, content):
    tmp_path.joinpath("odd.py").write_bytes(content)
    found = scanned({"train.py": flow("TrainFlow")})
    assert list(found.flows) == ["TrainFlow"]
    assert list(found.broken) == [str(tmp_path / "odd.py")]
    assert "None" not in found.broken[str(tmp_path / "odd.py")]


def test_a_file_that_declares_its_encoding_is_read_in_it(scanned, tmp_path):
    source = "# -*- coding: latin-1 -*-\n# größe\n" + flow("TrainFlow")
    tmp_path.joinpath("train.py").write_bytes(source.encode("latin-1"))
    found = scanned({})
    assert list(found.flows) == ["TrainFlow"]
    assert found.broken == {}


def test_an_empty_file_and_an_empty_folder_are_fine(scanned, tmp_path):
    assert scanned({}) == scan(tmp_path / "no such folder")
    found = scanned({"empty.py": "", "notes.txt": "class A(FlowSpec"})
    assert (found.flows, found.broken) == ({}, {})


def test_a_files_doubtful_escapes_are_not_warned_of(scanned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert list(scanned({"train.py": flow("TrainFlow", body='pattern = "\\d"')}).flows) == ["TrainFlow"]
    assert caught == []


# ------------------------------------------------------------------ where it looks


@pytest.mark.parametrize(
    "folder", [".hidden", "__pycache__", "node_modules", "build", "dist", "a/.ipynb_checkpoints", "lib/site-packages"]
)
def test_folders_that_are_not_the_projects_source_are_skipped(scanned, folder):
    assert scanned({f"{folder}/train.py": flow("TrainFlow")}).flows == {}


def test_a_virtual_environment_is_skipped_whatever_its_name(scanned):
    files = {"tools/pyvenv.cfg": "", "tools/lib/train.py": flow("TrainFlow"), "sub/predict.py": flow("PredictFlow")}
    assert list(scanned(files).flows) == ["PredictFlow"]


def test_subfolders_are_left_out_where_that_is_asked_for(scanned):
    assert list(scanned({"a.py": flow("A"), "sub/b.py": flow("B")}, recursive=False).flows) == ["A"]


@pytest.mark.timeout(20)
def test_folders_that_link_to_themselves_are_read_once(scanned, tmp_path):
    write_files(tmp_path, {"train.py": flow("TrainFlow"), "sub/predict.py": flow("PredictFlow")})
    for name in ("one", "two", "sub/three"):
        tmp_path.joinpath(name).symlink_to(tmp_path, target_is_directory=True)
    tmp_path.joinpath("gone.py").symlink_to(tmp_path / "nowhere.py")
    found = scanned({})
    assert set(found.flows) == {"TrainFlow", "PredictFlow"}
    assert found.flow_files == {str(tmp_path / "train.py"), str(tmp_path / "sub/predict.py")}


def test_a_folder_elsewhere_that_is_linked_in_is_read(scanned, tmp_path):
    write_files(tmp_path / "elsewhere", {"train.py": flow("TrainFlow")})
    write_files(tmp_path / "flows", {})
    tmp_path.joinpath("flows", "shared").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert list(scan(tmp_path / "flows").flows) == ["TrainFlow"]


# ------------------------------------------------------------------ after an edit


def test_an_edit_is_noticed(scanned, tmp_path):
    assert list(scanned({"train.py": flow("TrainFlow")}).flows) == ["TrainFlow"]
    assert list(scanned({"train.py": flow("OtherFlow2")}).flows) == ["OtherFlow2"]
    tmp_path.joinpath("train.py").unlink()
    assert scan(tmp_path).flows == {}


def test_an_edit_of_the_same_size_and_with_the_old_time_is_noticed(scanned, tmp_path):
    path = tmp_path / "train.py"
    assert list(scanned({"train.py": flow("TrainFlow")}).flows) == ["TrainFlow"]
    before = path.stat()
    other = tmp_path / "other"
    other.write_text(flow("OtherFlow"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)  # what rsync -t and git's checkout of an archive do
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert list(scan(tmp_path).flows) == ["OtherFlow"]


# ------------------------------------------------------------------ what comes from elsewhere


BASE = """
from metaflow import Config, FlowMutator, FlowSpec, Parameter, step

class Wide(FlowMutator):
    def pre_mutate(self, flow):
        flow.add_parameter("width", Parameter("width", default=1))

class Base(FlowSpec):
    alpha = Parameter("alpha", default=0.1)
    settings = Config("settings", default_value="{}")
"""


@pytest.mark.parametrize(
    ("head", "base", "mutator"),
    [
        ("from company import Base, Wide", "Base", "Wide"),
        ("from company.flows.base import Base as B, Wide as W", "B", "W"),
        ("import company.flows as f", "f.Base", "f.Wide()"),
        ("import company", "company.Base", "company.Wide"),
    ],
)
def test_a_base_flow_and_a_mutator_of_another_module_give_parameters_and_configs_without_an_import(
    scanned, tmp_path, monkeypatch, head, base, mutator
):
    write_files(
        tmp_path / "lib",
        {
            "company/__init__.py": "from .flows import Base, Wide\nraise RuntimeError('imported')",
            "company/flows/__init__.py": "from .base import Base, Wide",
            "company/flows/base.py": BASE,
        },
    )
    monkeypatch.syspath_prepend(tmp_path / "lib")
    source = flow("TrainFlow", base, f"from metaflow import Parameter, step\n{head}", 'mine = Parameter("mine")')
    write_files(tmp_path, {"flows/train.py": source.replace("\nclass", f"\n@{mutator}\nclass")})
    found = scan(tmp_path / "flows").flows["TrainFlow"]
    assert set(found.parameters) == {"alpha", "width", "mine"}
    assert found.configs == ("settings",)
