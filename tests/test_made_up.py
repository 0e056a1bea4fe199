"""Steps on inputs that a test makes up, without any run; and the fixture `mf_step`, as pytest itself finds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import write_files

import kit

FILES = {
    "pyproject.toml": "[tool.kit]\n",
    "settings.json": '{"depth": 7}',
    "words.txt": "one two",
    "flows/made.py": """
        from metaflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, current, step

        class MadeFlow(FlowSpec):
            number = Parameter("number", default=5)
            scale = Parameter("scale", type=float, default="0.5")
            table = Parameter("table", type=JSONType, default='{"a": 1}')
            names = Parameter("names", separator=",", default="x,y")
            lazy = Parameter("lazy", type=int, default=lambda context: 11)
            words = IncludeFile("words", default="words.txt")
            config = Config("config", default="settings.json")
            required = Parameter("required", type=int, required=True)
            constant = "fixed"

            @step
            def start(self):
                self.everything = [self.number, self.scale, self.table, self.names, self.lazy, self.constant]
                self.text = self.words.upper()
                self.depth = self.config.depth
                self.next(self.fit)

            @step
            def fit(self):
                self.total = sum(self.rows) * self.number
                self.rows.append(0)
                self.next(self.spread)

            @step
            def spread(self):
                self.items = list("abc")
                self.next(self.letter, foreach="items")

            @step
            def letter(self):
                self.where = (self.input, self.index, len(self.foreach_stack()))
                self.next(self.join)

            @step
            def join(self, inputs):
                self.letters = "".join(i.char for i in inputs)
                self.merge_artifacts(inputs, include=["shared"])
                self.next(self.branch)

            @step
            def branch(self):
                self.next(self.left, self.right)

            @step
            def left(self):
                self.next(self.meet)

            @step
            def right(self):
                self.next(self.meet)

            @step
            def meet(self, inputs):
                self.both = inputs.left.x + inputs.right.x
                self.next(self.end)

            @step
            def end(self):
                self.step_name = current.step_name

        if __name__ == "__main__":
            MadeFlow()
        """,
    "flows/shy.py": """
        from metaflow import FlowSpec, step

        class ShyFlow(FlowSpec):
            @step
            def start(self):
                self.next(self.fit, foreach="items")

            @step
            def fit(self):
                raise ValueError("mine")
                self.next(self.join)

            @step
            def join(self, inputs):
                self.next(self.end)

            @step
            def end(self):
                pass

        if __name__ == "__main__":
            ShyFlow()
        """,
}
REQUIRED = {"required": 1}


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, FILES)
    monkeypatch.chdir(tmp_path)


def test_step_runs_on_the_inputs_that_are_given_and_no_run_is_needed() -> None:
    rows = [1, 2]
    result = kit.run_step("MadeFlow/fit", REQUIRED, inputs={"rows": rows})
    assert result.artifacts["total"] == 15
    assert result.artifacts["rows"] == [1, 2, 0]
    assert rows == [1, 2]  # a task gets a copy of its own
    assert result.next_steps == ("spread",)
    assert result.same is None
    assert not Path(".metaflow").exists()


def test_parameters_have_their_defaults_as_the_command_line_gives_them() -> None:
    result = kit.run_step("MadeFlow/start", REQUIRED, inputs={})
    assert result.artifacts["everything"] == [5, 0.5, {"a": 1}, ["x", "y"], 11, "fixed"]
    assert result.artifacts["text"] == "ONE TWO"
    assert result.artifacts["depth"] == 7


def test_parameters_and_configs_can_be_given() -> None:
    given = {"number": 2, "words": "three", "config": {"depth": 1}, "required": 0}
    result = kit.run_step("MadeFlow/start", given, inputs={})
    assert result.artifacts["everything"][0] == 2
    assert result.artifacts["text"] == "THREE"
    assert result.artifacts["depth"] == 1


def test_required_parameter_that_is_left_out_is_asked_for() -> None:
    with pytest.raises(kit.KitError, match=r"required is required.*\nGive it a value: --set required="):
        kit.run_step("MadeFlow/fit", inputs={"rows": []})


def test_task_of_a_foreach_is_given_its_value_or_its_items() -> None:
    one = kit.run_step("MadeFlow/letter", REQUIRED, inputs={}, foreach="z")
    assert one.artifacts["where"] == ("z", 0, 1)
    third = kit.run_step("MadeFlow/letter", REQUIRED, inputs={"items": ["p", "q", "r"]}, index=2)
    assert third.artifacts["where"] == ("r", 2, 1)


def test_join_of_a_foreach_is_given_a_list() -> None:
    inputs = [{"char": letter, "shared": 1} for letter in "abc"]
    result = kit.run_step("MadeFlow/join", REQUIRED, inputs=inputs)
    assert result.artifacts["letters"] == "abc"
    assert result.artifacts["shared"] == 1
    assert result.next_steps == ("branch",)


def test_join_of_branches_is_given_a_dict_by_the_steps_before_it() -> None:
    result = kit.run_step("MadeFlow/meet", REQUIRED, inputs={"left": {"x": 1}, "right": {"x": 2}})
    assert result.artifacts["both"] == 3


def test_inputs_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(kit.KitError, match=r"join is a join.*\nGive a list of dicts, or .*: letter"):
        kit.run_step("MadeFlow/join", REQUIRED, inputs={"letter": "a"})
    with pytest.raises(kit.KitError, match="fit is not a join"):
        kit.run_step("MadeFlow/fit", REQUIRED, inputs=[{"rows": []}])


def test_what_cannot_be_pickled_is_passed_as_it_is() -> None:
    class Rows(list):  # a local class: no pickle finds it
        pass

    assert kit.run_step("MadeFlow/fit", REQUIRED, inputs={"rows": Rows([4])}).artifacts["total"] == 20


def test_fixture_makes_a_unit_test_of_a_step_three_lines(tmp_path: Path) -> None:
    write_files(
        tmp_path / "tests",
        {
            "test_fit.py": """
                def test_fit_sums_the_rows(mf_step):
                    result = mf_step("MadeFlow/fit", {"required": 1}, inputs={"rows": [1, 2, 3]})
                    assert result.artifacts["total"] == 30

                def test_fit_needs_rows(mf_step):
                    mf_step("MadeFlow/fit", {"required": 1}, inputs={})
                """
        },
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path / "tests")],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout
    assert "AttributeError: Flow MadeFlow has no attribute 'rows'" in done.stdout
    assert "made.py:" in done.stdout


def test_a_failing_step_raises_its_own_exception_where_metaflow_fails_to_write_its_foreach_item() -> None:
    class Shy:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with pytest.raises(ValueError, match="mine") as caught:
        kit.run_step("ShyFlow/fit", inputs={}, foreach=Shy())
    assert caught.traceback[-1].name == "fit"
