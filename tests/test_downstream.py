"""Replays that go on to later steps, in memory, as Metaflow's scheduler would have gone on."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import run_flow, write_files

import kit

pytestmark = pytest.mark.flow

FLOWS = {
    "pyproject.toml": "[tool.kit]\n",
    "flows/fan.py": """
        from metaflow import FlowSpec, Parameter, current, step

        class FanFlow(FlowSpec):
            scale = Parameter("scale", default=1)

            @step
            def start(self):
                self.items = [1, 2, 3]
                self.next(self.work, foreach="items")

            @step
            def work(self):
                self.result = self.input * 10 * self.scale
                self.where = current.pathspec
                self.next(self.check)

            @step
            def check(self):
                self.positive = self.result > 0
                self.next(self.join)

            @step
            def join(self, inputs):
                self.total = sum(i.result for i in inputs)
                self.count = len(list(inputs))
                self.all_positive = all(i.positive for i in inputs)
                self.merge_artifacts(inputs, include=["items"])
                self.next(self.verdict)

            @step
            def verdict(self):
                self.good = self.total > 30
                self.next(self.left, self.right)

            @step
            def left(self):
                self.side = "good" if self.good else "bad"
                self.next(self.meet)

            @step
            def right(self):
                self.other = 1
                self.next(self.meet)

            @step
            def meet(self, inputs):
                self.side = inputs.left.side
                self.other = inputs.right.other
                self.next(self.end)

            @step
            def end(self):
                print("the side is", self.side)

        if __name__ == "__main__":
            FanFlow()
        """,
    "flows/ways.py": """
        from metaflow import FlowSpec, Parameter, current, step

        class WaysFlow(FlowSpec):
            way = Parameter("way", default="short")
            rounds = Parameter("rounds", default=2)

            @step
            def start(self):
                self.count = 0
                self.chosen = self.way
                self.next({"short": self.short, "long": self.long}, condition="chosen")

            @step
            def short(self):
                self.length = 1
                self.next(self.loop)

            @step
            def long(self):
                self.length = 100
                self.task = current.task_id
                self.next(self.loop)

            @step
            def loop(self):
                self.count = self.count + self.length
                self.again = "yes" if self.count < self.rounds * self.length else "no"
                self.next({"yes": self.loop, "no": self.end}, condition="again")

            @step
            def end(self):
                self.last = self.count

        if __name__ == "__main__":
            WaysFlow()
        """,
    "flows/halted.py": """
        from metaflow import FlowSpec, current, step

        class HaltedFlow(FlowSpec):
            @step
            def start(self):
                self.names = ["a", "b", "c"]
                self.next(self.letter, foreach="names")

            @step
            def letter(self):
                if self.input == "a":
                    raise ValueError("not this one")
                self.upper = self.input.upper()
                self.address = current.pathspec
                self.next(self.join)

            @step
            def join(self, inputs):
                self.next(self.end)

            @step
            def end(self):
                pass

        if __name__ == "__main__":
            HaltedFlow()
        """,
    "flows/twig.py": """
        from metaflow import FlowSpec, current, step

        class TwigFlow(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b)

            @step
            def a(self):
                raise ValueError("before b has begun")
                self.next(self.join)

            @step
            def b(self):
                self.first = current.task_id
                self.next(self.c)

            @step
            def c(self):
                self.second = current.task_id
                self.next(self.join)

            @step
            def join(self, inputs):
                self.next(self.end)

            @step
            def end(self):
                pass

        if __name__ == "__main__":
            TwigFlow()
        """,
    "flows/broken.py": """
        from metaflow import FlowSpec, Parameter, step

        class BrokenFlow(FlowSpec):
            divisor = Parameter("divisor", default=0)

            @step
            def start(self):
                self.number = 6
                self.next(self.divide)

            @step
            def divide(self):
                self.quotient = self.number / self.divisor
                self.next(self.spread)

            @step
            def spread(self):
                self.parts = [self.quotient, 2 * self.quotient]
                self.next(self.part, foreach="parts")

            @step
            def part(self):
                self.value = self.input
                self.next(self.join)

            @step
            def join(self, inputs):
                self.parts = [i.value for i in inputs]
                self.next(self.end)

            @step
            def end(self):
                pass

        if __name__ == "__main__":
            BrokenFlow()
        """,
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("downstream") / "project"
    write_files(root, FLOWS)
    (root / ".metaflow").mkdir()
    for name in ("fan", "ways"):
        run_flow(root / "flows" / f"{name}.py", cwd=root)
    run_flow(root / "flows" / "broken.py", cwd=root, check=False)
    for name in ("halted", "twig"):
        run_flow(root / "flows" / f"{name}.py", "--max-workers", "1", cwd=root, check=False)
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)


def statuses(result: kit.StepResult) -> dict[str, str]:
    assert result.downstream is not None
    return {node.name: node.status for node in result.downstream.graph.nodes if node.status != "not run"}


def test_task_with_recorded_siblings_goes_on_with_theirs() -> None:
    result = kit.run_step("FanFlow/work", {"scale": 2}, index=1, to="join")
    assert result.step == "join"
    assert result.artifacts["total"] == 10 + 40 + 30
    assert result.changed == {"scale", "total"}
    assert statuses(result) == {"work": "changed", "check": "changed", "join": "changed"}
    assert [origin.split("/")[2] for origin in result.downstream.results] == ["work", "check", "join"]


def test_step_none_of_whose_inputs_changed_is_not_run_again() -> None:
    result = kit.run_step("FanFlow/verdict", {"total": 61}, to="end")
    assert statuses(result)["verdict"] == "changed"  # the total itself is passed on
    result = kit.run_step("FanFlow/start", to="end")
    assert statuses(result) == dict.fromkeys(("start",), "same") | dict.fromkeys(
        ("work", "check", "join", "verdict", "left", "right", "meet", "end"), "skipped"
    )
    assert result.changed == result.added == result.missing == frozenset()
    assert result.artifacts["side"] == "good"
    assert len(result.downstream.skipped) == 3 + 3 + 6


def test_step_that_leaves_what_it_left_before_ends_the_way() -> None:
    result = kit.run_step("FanFlow/check", {"result": 20}, index=1, to="end")  # 20 is what was recorded
    assert statuses(result)["check"] == "same"
    assert statuses(result)["join"] == "skipped"
    assert "not run again" in result.notes[-1]


def test_foreach_that_grew_has_new_tasks_and_its_join_all_of_them(recorded: Path) -> None:
    with edited(recorded / "flows" / "fan.py", "[1, 2, 3]", "[1, 2, 3, 4, 5]"):
        result = kit.run_step("FanFlow/start", to="join")
    assert result.artifacts["total"] == 150
    assert result.artifacts["count"] == 5
    notes = {node.name: node.note for node in result.downstream.graph.nodes}
    assert notes["check"] == "3 changed, 2 new"
    pathspecs = {r.artifacts["where"] for r in result.downstream.results.values() if r.step == "work"}
    assert len(pathspecs) == 5


def test_foreach_that_shrank_loses_its_last_tasks(recorded: Path) -> None:
    with edited(recorded / "flows" / "fan.py", "[1, 2, 3]", "[1, 2]"):
        result = kit.run_step("FanFlow/start", to="end")
    assert (
        result.downstream.results[next(p for p in result.downstream.results if "/join/" in p)].artifacts["count"] == 2
    )
    assert result.downstream.gone == 2
    assert result.artifacts["side"] == "bad"


def test_parameter_that_is_replaced_is_so_all_the_way() -> None:
    result = kit.run_step("FanFlow/start", {"scale": 3}, to="end")
    assert result.artifacts["scale"] == 3
    assert result.stdout == "the side is good\n"
    join = next(r for r in result.downstream.results.values() if r.step == "join")
    assert join.artifacts["total"] == 180


def test_switch_that_goes_the_other_way_is_followed() -> None:
    result = kit.run_step("WaysFlow/start", {"way": "long"}, to="end")
    assert result.artifacts["last"] == 200
    assert [r.step for r in result.downstream.results.values()] == ["start", "long", "loop", "loop", "end"]
    assert result.downstream.gone == 1
    assert statuses(result)["long"] == "new"


def test_loop_that_takes_more_rounds_is_followed() -> None:
    result = kit.run_step("WaysFlow/short", {"rounds": 5}, to="end")
    assert result.artifacts["last"] == 5
    assert sum(r.step == "loop" for r in result.downstream.results.values()) == 5


def test_step_that_is_no_longer_reached_is_said_not_to_be() -> None:
    with pytest.raises(kit.KitError, match=r"now goes another way: short is not reached"):
        kit.run_step("WaysFlow/start", {"way": "long"}, to="short")


def test_mended_step_goes_on_to_steps_that_never_ran() -> None:
    result = kit.run_step("BrokenFlow/divide", {"divisor": 3}, to="end")
    assert result.artifacts["parts"] == [2.0, 4.0]
    assert result.same is None
    assert statuses(result)["part"] == "new"
    assert len(set(result.downstream.results)) == 6


def test_target_that_does_not_come_after_the_step_is_refused_with_those_that_do() -> None:
    with pytest.raises(kit.KitError, match=r"start does not come after join\.\n.*verdict"):
        kit.run_step("FanFlow/join", to="start")
    with pytest.raises(kit.KitError, match=r"jion does not come after work\.\nDid you mean join\?"):
        kit.run_step("FanFlow/work", to="jion")


def test_failing_step_on_the_way_raises_its_own_exception() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        kit.run_step("FanFlow/work", {"scale": None}, to="join")


@pytest.mark.parametrize("choice", [{"index": 2}, {"foreach": "c"}], ids=["index", "value"])
def test_task_that_never_ran_is_replayed_where_its_inputs_are_there(choice: dict[str, object]) -> None:
    result = kit.run_step("HaltedFlow/letter", **choice)
    assert result.artifacts["upper"] == "C"
    assert result.artifacts["address"] == result.origin
    assert result.same is result.changed is result.added is result.missing is None
    assert "has not run: there is nothing to compare with" in result.notes[-1]


def test_tasks_that_never_ran_have_ids_of_their_own() -> None:
    artifacts = kit.run_step("TwigFlow/b", to="c").artifacts
    assert int(artifacts["second"]) == int(artifacts["first"]) + 1


def test_step_whose_inputs_never_came_is_refused() -> None:
    with pytest.raises(kit.KitError, match=r"HaltedFlow/\d+/join has no task: the run did not come that far"):
        kit.run_step("HaltedFlow/join")


def test_join_of_a_foreach_that_did_not_finish_is_not_gone_on_to() -> None:
    with pytest.raises(kit.KitError, match=r"join waits for tasks that the recorded run HaltedFlow/\d+ did not finish"):
        kit.run_step("HaltedFlow/letter", index=1, to="end")


class edited:  # noqa: N801  # reads as a word of the test
    """A file with other text for a while."""

    def __init__(self, file: Path, old: str, new: str) -> None:
        self.file, self.before = file, file.read_text()
        assert old in self.before
        self.after = self.before.replace(old, new)

    def __enter__(self) -> None:
        self.file.write_text(self.after)

    def __exit__(self, *_: object) -> None:
        self.file.write_text(self.before)
