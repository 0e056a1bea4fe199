"""`--environment=pypi-uv` and `--isolated`: real runs whose steps have environments of their own."""

import json
import os
import re
import subprocess
import sys
import tarfile
import traceback
from pathlib import Path

import click.testing
import pytest
from support import USER, run_flow, write_files
from wheel_folder import make_index

import kit
from kit import cli, envs, installer, interpreters, session, testmode
from kit.errors import NotFoundError, ReplayError, RequirementError
from kit.flowrun import run_flow as run_flow_here
from kit.project import find_project
from kit.replay import Body, Request
from kit.replay.placeholder import Placeholder

pytestmark = pytest.mark.flow

FLOW = """
    import sys

    from metaflow import FlowSpec, Parameter, card, catch, current, pypi, pypi_base, retry, step
    from metaflow.cards import Markdown

    import helpers


    @pypi_base(packages={"alpha-dist": "1.0"})
    class PinFlow(FlowSpec):
        n = Parameter("n", default=3)

        @pypi(disabled=True)
        @step
        def start(self):
            self.launcher = sys.executable
            self.values = [1, 2]
            self.next(self.old)

        @retry(times=1)
        @card(type="blank")
        @step
        def old(self):
            import alpha

            self.version, self.python = alpha.VERSION, sys.executable
            self.doubled = helpers.double(self.n)
            current.card.append(Markdown("**doubled**"))
            print("old speaks")
            self.next(self.new)

        @pypi(packages={"alpha-dist": "2.0", "beta": "1.0"})
        @step
        def new(self):
            import alpha, beta

            if self.n == 13:
                raise beta.Odd("unlucky")
            if self.n == 14:
                raise ValueError("no such number")
            self.both = f"{self.version} and {alpha.VERSION}"
            self.thing = beta.Thing(self.n)
            self.next(self.end)

        @pypi(disabled=True)
        @step
        def end(self):
            assert sys.executable == self.launcher


    if __name__ == "__main__":
        PinFlow()
"""

USES_KIT = """
    from metaflow import FlowSpec, step


    class PackagedFlow(FlowSpec):
        @step
        def start(self):
            from kit import install_dependencies

            install_dependencies({"alpha": "alpha-dist==1.0"}, quiet=True)
            import alpha

            print(alpha.VERSION, alpha.__file__)
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        PackagedFlow()
"""

FILES = {
    "flows/pin.py": FLOW,
    "flows/packaged.py": USES_KIT,
    "flows/helpers.py": "def double(n):\n    return 2 * n\n",
    "pyproject.toml": "[tool.kit]\n",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Give what makes uv install from the wheels, into environments that these tests share."""
    folder = tmp_path_factory.mktemp("index")
    return {**make_index(folder), "KIT_CACHE": str(folder / "cache")}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, index):
    """Run the flow once; gives the project's root, and what the run printed."""
    root = tmp_path_factory.mktemp("pins") / "project"
    write_files(root, FILES)
    return root, start(root, index, "run")


@pytest.fixture
def project(recorded, index, monkeypatch):
    """Be in the project, with the run."""
    for name, value in index.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(recorded[0])
    return recorded[0]


@pytest.fixture
def run(project, recorded):
    """Give the pathspec of the run that was recorded first."""
    return "PinFlow/" + re.search(r"run-id (\d+)", recorded[1])[1]


def start(root: Path, index: dict[str, str], *words: str, check: bool = True, file: str = "pin.py") -> str:
    command = [sys.executable, f"flows/{file}", "--no-pylint", "--environment=pypi-uv", *words]
    variables = {**os.environ, **index, "USERNAME": USER}
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_steps_with_contradictory_pins_run_in_one_run_each_with_its_own(project, run, recorded):
    steps = kit.artifacts(run)
    assert steps["new"]["both"] == "1.0 and 2.0"
    assert steps["start"]["launcher"] == sys.executable != steps["old"]["python"]
    assert recorded[1].count("built in") == 2
    assert Path(steps["old"]["python"]).parents[1].parent == Path(os.environ["KIT_CACHE"], "environments")


def test_a_second_run_builds_nothing(project, index):
    assert "building" not in start(project, index, "run", "--max-workers", "1")


def test_a_failed_run_resumes_in_its_environments(project, index):
    assert "no such number" in start(project, index, "run", "--n", "14", check=False)
    text = (project / "flows/pin.py").read_text()
    (project / "flows/pin.py").write_text(text.replace("self.n == 14", "self.n == 1414"))
    try:
        start(project, index, "resume", "new")
        assert kit.artifacts("PinFlow")["new"]["both"] == "1.0 and 2.0"
    finally:
        (project / "flows/pin.py").write_text(text)


def test_spin_runs_a_step_in_its_environment(project, index):
    assert "old speaks" in start(project, index, "spin", "old")


def test_environments_are_built_anew_where_that_is_asked_for_and_with_attaches_to_pinned_steps(project, index):
    output = start(project, index, "--force-rebuild-environments", "run", "--with", "retry:times=2", "--with", "card")
    assert output.count("built in") == 2
    table = kit.artifacts("PinFlow")
    assert table["new"]["both"] == "1.0 and 2.0"
    assert "Task failed" not in output


def test_a_step_that_fails_once_is_retried_in_its_environment(project, index):
    text = (project / "flows/pin.py").read_text()
    failing = 'current.card.append(Markdown("**doubled**"))\n        if current.retry_count == 0:\n            1 / 0'
    (project / "flows/pin.py").write_text(text.replace('current.card.append(Markdown("**doubled**"))', failing))
    try:
        output = start(project, index, "run", "--max-workers", "1")
    finally:
        (project / "flows/pin.py").write_text(text)
    assert "ZeroDivisionError" in output
    assert kit.artifacts("PinFlow")["old"]["version"] == "1.0"


def test_runs_use_what_a_lock_has_resolved_until_a_pin_changes(project, index):
    locked = click.testing.CliRunner().invoke(cli.main, ["env", "lock", "PinFlow"])
    assert locked.exit_code == 0, locked.output
    flow, lock = project / "flows/pin.py", project / "flows/pin.lock.json"
    text = flow.read_text()
    try:
        (machine,) = json.loads(lock.read_text()).values()
        assert {"alpha-dist==2.0", "beta==1.0"} <= set(machine["new"]["packages"])
        assert "kit: new: built in" in start(project, index, "spin", "new")
        assert "building" not in start(project, index, "spin", "new")
        flow.write_text(text.replace('"beta": "1.0"', '"beta": ">=1"'))
        changed = start(project, index, "spin", "new")
        assert "pin.lock.json is of other pins of new than it has now: kit env lock makes it anew." in changed
    finally:
        flow.write_text(text)
        lock.unlink()


def test_kit_test_runs_a_flow_in_the_environments_that_its_settings_name(project, index):
    settings = project / "pyproject.toml"
    settings.write_text('[tool.kit.test.PinFlow]\nenvironment = "pypi-uv"\nn = 4\n')
    try:
        found = find_project(project)
        mode = testmode.test_mode(found, found.flow("PinFlow"))
        done = run_flow_here(found, found.flow("PinFlow"), mode.arguments, mode.options)
    finally:
        settings.write_text("[tool.kit]\n")
    assert done.succeeded, done.log
    assert (mode.options, mode.arguments, done.notes) == (("--environment=pypi-uv",), ("--n", "4"), ())
    assert kit.artifacts(str(done.pathspec))["new"]["both"] == "1.0 and 2.0"


def test_a_run_from_python_takes_the_environments_that_its_pins_need(project, index):
    run = kit.run_flow("PinFlow", {"n": 5}, tags="from python")
    assert (run.status, run["new"]["both"], run.artifacts.target.run.tags) == (
        "succeeded",
        "1.0 and 2.0",
        ("from python",),
    )
    assert "--environment=pypi-uv" in repr(run)
    assert [card.name for card in run.artifacts.cards()] == ["blank"]
    assert (project / ".metaflow/mf.cards" / "PinFlow/runs" / run.pathspec.partition("/")[2]).is_dir()


def test_a_pin_that_cannot_be_had_fails_the_run_before_it_starts(project, index):
    text = (project / "flows/pin.py").read_text()
    (project / "flows/wrong.py").write_text(text.replace('"alpha-dist": "2.0"', '"alpha-dist": "7.0"'))
    try:
        output = start(project, index, "run", check=False, file="wrong.py")
    finally:
        (project / "flows/wrong.py").unlink()
    assert "The environment of a step cannot be built" in output
    assert "new cannot be installed: " in output
    assert "Workflow starting" not in output


def test_core_still_refuses_pins_in_its_default_environment(project):
    output = run_flow(project / "flows/pin.py", check=False)
    assert "--environment=conda or --environment=pypi" in output


# ------------------------------------------------------------------ isolated replay


def test_a_step_is_replayed_in_its_environment_with_the_same_outcome(project, run):
    before = {path: path.stat().st_mtime_ns for path in (project / ".metaflow").rglob("*")}
    with pytest.raises(ReplayError, match=r"old pins other packages .* no alpha-dist instead of 1\.0") as caught:
        kit.run_step(f"{run}/old")
    assert "--isolated" in caught.value.hint
    done = kit.run_step(f"{run}/old", isolated=True)
    assert (done.changed, done.added, done.missing) == (frozenset(), frozenset(), frozenset())
    assert done.artifacts["version"] == "1.0"
    assert done.stdout == "old speaks\n"
    assert done.next_steps == ("new",)
    assert done.cards[""].html.startswith("<!DOCTYPE html>")
    assert "**doubled**" in str(list(done.cards[""]))
    assert {path: path.stat().st_mtime_ns for path in (project / ".metaflow").rglob("*")} == before


def test_an_isolated_replay_takes_other_inputs(project, run):
    done = kit.run_step(f"{run}/old", {"n": 21}, isolated=True)
    assert done.changed == {"n", "doubled"}
    assert done.artifacts["doubled"] == 42


def test_an_artifact_whose_class_is_not_here_is_a_named_placeholder(project, run):
    done = kit.run_step(f"{run}/new", isolated=True)
    assert "thing" in done.same
    thing = done.artifacts["thing"]
    assert isinstance(thing, Placeholder)
    assert "No module named 'beta'" in repr(thing)
    changed = kit.run_step(f"{run}/new", {"n": 4}, isolated=True)
    assert changed.changed == {"n", "thing"}


def test_an_exception_comes_back_with_its_traceback(project, run):
    with pytest.raises(ValueError, match="no such number") as caught:
        kit.run_step(f"{run}/new", {"n": 14}, isolated=True)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.name, last.line) == ("new", 'raise ValueError("no such number")')
    with pytest.raises(ReplayError, match="failed in its environment: Odd: unlucky") as told:
        kit.run_step(f"{run}/new", {"n": 13}, isolated=True)
    assert told.value.details.splitlines()[1].endswith("in new")


def test_a_step_without_pins_has_no_environment_to_be_replayed_in(project, run):
    with pytest.raises(ReplayError, match="start pins no packages"):
        kit.run_step(f"{run}/start", isolated=True)


def test_an_isolated_replay_goes_on_to_later_steps_each_where_it_belongs(project, run):
    done = kit.run_step(f"{run}/old", {"n": 5}, isolated=True, to="end")
    assert done.step == "end"
    assert done.artifacts["both"] == "1.0 and 2.0"
    assert done.artifacts["doubled"] == 10
    assert isinstance(done.artifacts["thing"], Placeholder)
    steps = {name.split("/")[2]: result for name, result in done.downstream.results.items()}
    assert list(steps) == ["old", "new", "end"]
    assert steps["new"].changed == {"n", "doubled", "thing"}
    assert any("environment" in note for note in steps["new"].notes)
    assert not steps["end"].notes


def test_a_cell_stands_in_for_the_body_of_a_step_in_its_environment(project, run):
    here = session.session()
    body = Body("import alpha\nself.version = alpha.VERSION + '!'\n", "a-cell", 3)
    request = Request(isolated=True, body=body)
    done = here.run_step(f"{run}/old", request).result
    assert (done.artifacts["version"], done.next_steps) == ("1.0!", ("new",))
    failing = Request(isolated=True, body=Body("x = 1\nraise KeyError(x)\n", "a-cell", 3))
    with pytest.raises(KeyError) as caught:
        here.run_step(f"{run}/old", failing)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.name) == ("a-cell", 5, "old")


def test_a_step_runs_in_its_environment_on_inputs_that_are_made_up(project):
    done = kit.run_step("PinFlow/old", inputs={"n": 8}, isolated=True)
    assert (done.artifacts["doubled"], done.artifacts["version"], done.same) == (16, "1.0", None)


def test_the_cards_of_an_isolated_replay_are_shown_together_as_those_of_any_replay(project, run):
    cards = kit.run_step(f"{run}/old", isolated=True).cards
    assert "card of type blank" in repr(cards)
    assert "doubled" in cards._repr_html_()


def test_an_input_that_no_step_has_is_refused_before_anything_runs(project, run):
    with pytest.raises(NotFoundError, match="no input artifact or parameter m"):
        kit.run_step(f"{run}/old", {"m": 1}, isolated=True)


# ------------------------------------------------------------------ the code package


def test_install_dependencies_works_from_a_code_package_where_kit_is_not_installed(project, index, tmp_path):
    command = [sys.executable, "flows/packaged.py", "package", "save", str(tmp_path / "code.tgz")]
    subprocess.run(command, cwd=project, env={**os.environ, "USERNAME": USER}, check=True, capture_output=True)
    code = tmp_path / "code"
    with tarfile.open(tmp_path / "code.tgz") as archive:
        archive.extractall(code, **({"filter": "data"} if sys.version_info >= (3, 12) else {}))  # noqa: S202
    uv = installer.find_uv()
    others = [one for one in interpreters.installed_pythons(uv) if one.version.startswith("3.9.")]
    python = others[0].path if others else sys.executable
    subprocess.run([uv, "venv", "-q", "--python", python, str(tmp_path / "bare")], check=True)
    variables = {"PATH": os.pathsep.join([str(Path(uv).parent), "/usr/bin", "/bin"]), "USERNAME": USER, **index}
    variables |= {"PYTHONPATH": str(code / ".mf_code"), "HOME": str(tmp_path)}
    interpreter = str(tmp_path / "bare" / "bin" / "python")
    body = "import kit; from kit import install_dependencies as i; i({'alpha': 'alpha-dist==1.0'}, quiet=True); "
    body += "import alpha; print(kit.__file__, alpha.VERSION, alpha.__file__)"
    done = subprocess.run(
        [interpreter, "-c", body], env=variables, cwd=code, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kit_file, version, alpha_file = done.stdout.split()
    assert kit_file.startswith(str(code))
    assert (version, alpha_file.startswith(str(tmp_path / "bare"))) == ("1.0", True)


def test_no_requirement_reaches_an_installer_as_an_option():
    with pytest.raises(RequirementError, match="carries an option"):
        envs.spec_of(None, {"alpha-dist": ">=1 --pre"})
