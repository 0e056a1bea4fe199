"""Isolated replay of flows that have much to them: each task beside the recorded one, in the step's own environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from s3_server import s3_server
from support import USER, write_files
from wheel_folder import make_index, write_wheel

import kit
from kit import session
from kit.errors import FlowFileError, ReplayError
from kit.replay.placeholder import Placeholder

pytestmark = pytest.mark.flow

MANY = """
    import os

    import gamma
    from metaflow import (
        Config, FlowMutator, FlowSpec, IncludeFile, Parameter, StepMutator, catch, current, environment, project, pypi,
        pypi_base, step,
    )

    import tools


    class Pinned(FlowMutator):
        def pre_mutate(self, mutable_flow):
            mutable_flow.add_parameter("added", Parameter("added", default=7))


    class Named(StepMutator):
        def mutate(self, mutable_step):
            mutable_step.add_decorator(environment, deco_kwargs={"vars": {"GREETING": "hello"}})


    class Model(gamma.Base):
        def __init__(self, n):
            self.n = n


    class Tally:
        def __init__(self, n):
            self.n = n

        def __eq__(self, other):
            return self.n == other.n


    @Pinned
    @project(name="many")
    @pypi_base(packages={"alpha-dist": "1.0", "gamma": "1.0"})
    class ManyFlow(FlowSpec):
        config = Config("config", default="flows/config.json")
        text = IncludeFile("text", default="flows/words.txt")
        n = Parameter("n", default=3)
        CONSTANT = 10

        @step
        def start(self):
            self.items = ["a", "b", "c"]
            self.next(self.each, foreach="items")

        @Named
        @catch(var="failure")
        @step
        def each(self):
            import alpha

            self.said = f"{self.input} {alpha.VERSION} {os.environ['GREETING']} {self.config.depth} {self.added}"
            self.where = (current.project_name, current.branch_name, current.task_id, current.retry_count)
            self.model, self.tally = Model(self.n), Tally(self.n + self.CONSTANT)
            self.length = len(self.text)
            if self.input == "c":
                raise ValueError("no c")
            self.next(self.join)

        @step
        def join(self, inputs):
            import alpha

            self.all = [one.said for one in inputs if not one.failure]
            self.total = tools.total(one.index for one in inputs)
            self.merge_artifacts(inputs, include=["length"])
            self.next(self.end)

        @pypi(disabled=True)
        @step
        def end(self):
            print(self.all)


    if __name__ == "__main__":
        ManyFlow()
"""

FILES = {
    "flows/many.py": MANY,
    "flows/tools.py": "import gamma\n\n\ndef total(numbers):\n    return sum(numbers)\n",
    "flows/config.json": '{"depth": 4}',
    "flows/words.txt": "some words",
    "pyproject.toml": "[tool.kit]\n",
}

S3_FLOW = """
    from metaflow import FlowMutator, FlowSpec, card, pypi, step


    class Pins(FlowMutator):
        def mutate(self, mutable_flow):
            for name, each in mutable_flow.steps:
                if name == "fit":
                    each.add_decorator(pypi, deco_kwargs={"packages": {"alpha-dist": "2.0"}})


    @Pins
    class RemoteFlow(FlowSpec):
        @step
        def start(self):
            self.numbers = list(range(100))
            self.next(self.fit)

        @card(type="blank")
        @step
        def fit(self):
            try:
                import alpha
            except ImportError:
                self.version = "none"
            else:
                self.version = alpha.VERSION
            self.total = sum(self.numbers)
            self.next(self.end)

        @step
        def end(self):
            self.doubled = 2 * self.total


    if __name__ == "__main__":
        RemoteFlow()
"""

REPLAY = """
import json
import kit

done = kit.run_step("RemoteFlow/fit", {"numbers": [1, 2]}, isolated=True)
way = kit.run_step("RemoteFlow/fit", isolated=True, to="end")
print("RESULT", json.dumps({
    "version": done.artifacts["version"],
    "total": done.artifacts["total"],
    "changed": sorted(done.changed),
    "cards": list(done.cards),
    "end": way.artifacts["doubled"],
}))
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Give what makes uv install from the wheels, and a folder of a package that this interpreter lacks."""
    folder = tmp_path_factory.mktemp("index")
    found = {**make_index(folder), "KIT_CACHE": str(folder / "cache")}
    source = "class Base:\n    def __init_subclass__(cls): cls.made = True\n"
    write_wheel(folder / "wheels", "gamma", "1.0", "gamma", source)
    write_wheel(folder / "wheels", "boto3", "2.0", "boto3")  # Metaflow wants it there; nothing imports it
    write_files(folder / "launcher", {"gamma.py": source})
    return found, folder / "launcher"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, index):
    """Run the flow, by a launcher that has what the flow file imports; gives the project's root."""
    root = tmp_path_factory.mktemp("many") / "project"
    write_files(root, FILES)
    run(root, {**index[0], "PYTHONPATH": str(index[1])}, "many.py", "--environment=pypi-uv", "--branch", "b")
    return root


@pytest.fixture
def project(recorded, index, monkeypatch):
    for name, value in index[0].items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(recorded)
    return recorded


def run(root: Path, variables: dict[str, str], file: str, *options: str) -> str:
    command = [sys.executable, f"flows/{file}", "--no-pylint", *options, "run", "--max-workers", "1"]
    environ = {**os.environ, **variables, "USERNAME": USER}
    done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("step", ["start", "each", "join"])
def test_what_the_kernel_cannot_import_does_not_stop_a_step_in_its_own_environment(project, step):
    index = 2 if step == "each" else None
    done = kit.run_step(f"ManyFlow/{step}", isolated=True, index=index, flow_options={"branch": "b"})
    assert (done.changed, done.added, done.missing) == (frozenset(), frozenset(), frozenset())
    if step == "each":
        assert done.artifacts["said"] == "c 1.0 hello 4 7"
        assert done.artifacts["where"][:2] == ("many", "test.b")
        assert isinstance(done.exception, ValueError)
        assert isinstance(done.artifacts["model"], Placeholder)
        assert done.artifacts["text"] == "some words"


def test_parameters_configs_files_and_constants_are_overridden_in_another_process(project):
    overrides = {"n": 5, "config": {"depth": 9}, "text": "words", "CONSTANT": 20}
    done = kit.run_step("ManyFlow/each", overrides, index=1, isolated=True, flow_options={"branch": "b"})
    assert done.artifacts["said"] == "b 1.0 hello 9 7"
    assert (done.artifacts["length"], done.artifacts["text"]) == (5, "words")
    assert {"said", "length", "tally"} <= done.changed


def test_in_this_process_the_flow_file_is_refused_with_what_can_be_done(project):
    with pytest.raises(FlowFileError, match="No module named 'gamma'") as caught:
        kit.run_step("ManyFlow/each")
    assert "%mf_install_deps --flow ManyFlow" in caught.value.hint
    assert "--isolated" in caught.value.hint


def test_the_pins_of_a_flow_are_read_where_its_imports_are_missing(project):
    from kit import pinned

    found = pinned.flow_pins(session.session().runs, "ManyFlow", "each")
    assert {pin.name: pin.wanted for pin in found} == {"alpha-dist": "1.0", "gamma": "1.0"}


def test_binding_inputs_here_for_a_step_elsewhere_is_refused(project):
    from kit.replay import Request, step_inputs

    here = session.session()
    with pytest.raises(ReplayError, match="--isolated is another process"):
        step_inputs(here.runs, here.resolve("ManyFlow/each"), Request(isolated=True))


def test_a_run_in_s3_is_replayed_in_the_steps_environment(tmp_path, index):
    root = tmp_path / "project"
    write_files(root, {"flows/remote.py": S3_FLOW, "pyproject.toml": "[tool.kit]\n"})
    with s3_server() as (environ, _):
        variables = {**environ, **index[0]}
        run(root, variables, "remote.py", "--environment=unpinned")
        done = subprocess.run(
            [sys.executable, "-c", REPLAY],
            cwd=root,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "RESULT" in done.stdout, done.stdout + done.stderr
    found = json.loads(done.stdout.split("RESULT")[1].splitlines()[0])
    assert found == {
        "version": "2.0",
        "total": 3,
        "changed": ["numbers", "total", "version"],
        "cards": [""],
        "end": 9900,
    }
