"""What a replay is told besides the task: attempt, options of decorators, unmet pins, the order of branches."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import USER, run_flow, write_files

import kit

pytestmark = pytest.mark.flow

FILES = {
    "pyproject.toml": "[tool.kit]\n",
    # An environment that takes pins and does nothing about them, as if the packages had been there when the flow ran.
    "extension/metaflow_extensions/pretend/plugins/mfextinit_pretend.py": """
        ENVIRONMENTS_DESC = [("fast-bakery", ".pretend.Pretend")]
        """,
    "extension/metaflow_extensions/pretend/plugins/pretend.py": """
        from metaflow.metaflow_environment import MetaflowEnvironment

        class Pretend(MetaflowEnvironment):
            TYPE = "fast-bakery"  # one of the names that @pypi takes

            def set_local_root(self, root):
                pass
        """,
    "flows/choices.py": """
        from metaflow import FlowSpec, catch, current, project, retry, step

        @project(name="choices")
        class ChoicesFlow(FlowSpec):
            @retry(times=2, minutes_between_retries=0)
            @step
            def start(self):
                self.attempt = current.retry_count
                self.branch = current.branch_name
                self.flow_name = current.project_flow_name
                self.next(self.fail)

            @catch(var="caught")
            @step
            def fail(self):
                raise LookupError("nowhere")
                self.next(self.end)

            @step
            def end(self):
                self.was_caught = bool(self.caught)

        if __name__ == "__main__":
            ChoicesFlow()
        """,
    "flows/pinned.py": """
        from metaflow import FlowSpec, pypi, step

        class PinnedFlow(FlowSpec):
            @pypi(python="3.9.13", packages={"numpy": "1.19.5", "no-such-package": "1.0"})
            @step
            def start(self):
                self.number = 1
                self.next(self.end)

            @step
            def end(self):
                pass

        if __name__ == "__main__":
            PinnedFlow()
        """,
    "flows/order.py": """
        from metaflow import FlowSpec, step

        class OrderFlow(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b, self.c, self.d)

            @step
            def a(self):
                self.name_of = "a"
                self.next(self.join)

            @step
            def b(self):
                self.name_of = "b"
                self.next(self.join)

            @step
            def c(self):
                self.name_of = "c"
                self.next(self.join)

            @step
            def d(self):
                self.name_of = "d"
                self.next(self.join)

            @step
            def join(self, inputs):
                print("joining")
                self.names = [branch.name_of for branch in inputs]
                self.first = inputs[0].name_of
                self.next(self.end)

            @step
            def end(self):
                pass

        if __name__ == "__main__":
            OrderFlow()
        """,
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("choices") / "project"
    write_files(root, FILES)
    (root / ".metaflow").mkdir()
    run_flow(root / "flows" / "choices.py", cwd=root)
    for seed in ("3", "5", "8"):
        os.environ["PYTHONHASHSEED"] = seed
        printed = run_flow(root / "flows" / "order.py", cwd=root)
        (root / f"run of seed {seed}").write_text(re.findall(r"run-id (\d+)", printed)[0])
    del os.environ["PYTHONHASHSEED"]
    subprocess.run(
        [sys.executable, "flows/pinned.py", "--no-pylint", "--environment=fast-bakery", "run"],
        cwd=root,
        env={**os.environ, "USERNAME": USER, "PYTHONPATH": str(root / "extension")},
        check=True,
        capture_output=True,
    )
    return root


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)


def test_attempt_is_the_recorded_one_unless_another_is_given() -> None:
    assert kit.run_step("ChoicesFlow/start").changed == frozenset()
    again = kit.run_step("ChoicesFlow/start", attempt=2)
    assert again.artifacts["attempt"] == 2
    assert again.changed == {"attempt"}


def test_options_of_flow_decorators_are_those_of_the_run_unless_given_again() -> None:
    assert kit.run_step("ChoicesFlow/start").artifacts["branch"] == f"user.{USER}"
    given = kit.run_step("ChoicesFlow/start", flow_options={"branch": "next", "production": "true"})
    assert given.artifacts["branch"] == "prod.next"
    assert given.artifacts["flow_name"] == "choices.prod.next.ChoicesFlow"


def test_unknown_option_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(kit.KitError, match=r"has the option brunch\.\nDid you mean branch\?"):
        kit.run_step("ChoicesFlow/start", flow_options={"brunch": "x"})
    with pytest.raises(kit.KitError, match=r"'perhaps' is not a value for the option production"):
        kit.run_step("ChoicesFlow/start", flow_options={"production": "perhaps"})


def test_exception_that_a_decorator_handled_is_in_the_result() -> None:
    result = kit.run_step("ChoicesFlow/fail")
    assert isinstance(result.exception, LookupError)
    assert result.changed == frozenset()  # the traceback apart, it is the recorded one
    assert result.next_steps == ("end",)
    assert "A decorator handled LookupError: nowhere" in repr(result)
    assert kit.run_step("ChoicesFlow/end").exception is None


def test_pins_that_this_python_does_not_meet_are_refused_by_name() -> None:
    with pytest.raises(kit.KitError) as caught:
        kit.run_step("PinnedFlow/start")
    for said in ("numpy", "instead of 1.19.5", "no no-such-package", "instead of 3.9.13", "unpinned=True"):
        assert said in str(caught.value)
    with pytest.raises(kit.KitError, match="start pins other packages"):
        kit.run_step("PinnedFlow/start", to="end")


def test_step_is_replayed_without_its_pins_where_that_is_asked_for_and_says_so() -> None:
    result = kit.run_step("PinnedFlow/start", unpinned=True)
    assert result.artifacts["number"] == 1
    assert "start pins other packages than this kernel has" in result.notes[-1]
    assert kit.run_step("PinnedFlow/end").notes == ()


def test_step_that_needs_an_image_or_a_gpu_of_its_own_is_refused(recorded: Path) -> None:
    file = recorded / "flows" / "order.py"
    before = file.read_text()
    file.write_text(
        before.replace("import FlowSpec", "import FlowSpec, kubernetes").replace(
            "@step\n    def end", '@kubernetes(image="mine:1", gpu=2)\n    @step\n    def end'
        )
    )
    try:
        with pytest.raises(kit.KitError, match=r"end runs on @kubernetes with the image mine:1 and 2 GPU\(s\)\."):
            kit.run_step("OrderFlow/end")
        assert "here it ran without" in kit.run_step("OrderFlow/end", unpinned=True).notes[-1]
    finally:
        file.write_text(before)


@pytest.mark.parametrize("seed", ["3", "5", "8"])
def test_join_that_looks_at_the_order_of_its_branches_gets_the_recorded_one(recorded: Path, seed: str) -> None:
    join = f"OrderFlow/{(recorded / f'run of seed {seed}').read_text()}/join"
    names = kit.artifacts(join)["join"]["names"]
    result = kit.run_step(join)
    assert result.artifacts["names"] == names
    assert (result.changed, result.added, result.missing) == (frozenset(),) * 3
    assert result.stdout == "joining\n"
    if names != sorted(names):
        assert f"The recorded run had {', '.join(names)}" in result.notes[-1]
    assert kit.run_step(join).changed == frozenset()  # found out once


def test_join_that_was_edited_is_not_tried_in_other_orders_for_long(recorded: Path) -> None:
    file = recorded / "flows" / "order.py"
    before = file.read_text()
    file.write_text(before.replace("branch.name_of for", "branch.name_of.upper() for"))
    try:
        result = kit.run_step("OrderFlow/join")
    finally:
        file.write_text(before)
    assert result.changed >= {"names"}
    assert "no fixed order" in result.notes[-1]
