"""The traceback of a failing step: the user's own frames."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest
from hands import work

import kit

# pytest-timeout's own alarm would be in the way of the steps' alarms.
pytestmark = [pytest.mark.flow, pytest.mark.timeout(300, method="thread")]


FAILURES = {
    "fail": (ValueError, ["hands.py", "hands.py", "common.py"]),
    "chain": (KeyError, ["hands.py", "hands.py"]),
    "context": (KeyError, ["hands.py", "hands.py"]),
    "group": (Exception, ["hands.py", "hands.py"]),
    "broken_module": (SyntaxError, ["hands.py", "hands.py"]),
    "interrupt": (KeyboardInterrupt, ["hands.py", "hands.py"]),
    "wrong_next": (Exception, ["hands.py"]),
}


def user_files(error: BaseException) -> list[str]:
    """The files of a traceback from the first one that is not kit's or this test's."""
    names = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    own = (str(Path(kit.__file__).parent), str(Path(__file__).parent))
    while names and names[0].startswith(own):
        del names[0]
    return [Path(name).name for name in names]


@pytest.mark.parametrize("what", FAILURES)
def test_traceback_of_a_failing_step_has_the_users_frames_alone(what: str) -> None:
    kind, files = FAILURES[what]
    if what == "group" and sys.version_info < (3, 11):
        kind = NameError
    with pytest.raises(kind) as caught:
        work(what)
    assert user_files(caught.value) == files
    chained = [caught.value.__cause__, caught.value.__context__, *getattr(caught.value, "exceptions", ())]
    for other in filter(None, chained):
        shown = "".join(traceback.format_exception(other))
        assert "metaflow" not in shown
        assert str(Path(kit.__file__).parent) not in shown


def test_traceback_goes_through_the_users_own_decorator_to_the_step() -> None:
    with pytest.raises(RuntimeError) as caught:
        work("decorator", "start")
    assert user_files(caught.value) == ["hands.py"]
    with pytest.raises(ValueError, match="5 is wrong") as failed:
        work("fail", "start")
    assert user_files(failed.value) == ["hands.py", "hands.py", "hands.py", "common.py"]


def test_timeout_of_metaflows_lands_on_the_line_that_took_too_long() -> None:
    with pytest.raises(Exception, match="timed out") as caught:
        work("sleep", "limited")
    assert user_files(caught.value) == ["hands.py"]
    assert traceback.extract_tb(caught.value.__traceback__)[-1].line == "time.sleep(30)"


def test_exception_that_refuses_a_traceback_still_leads_to_its_line() -> None:
    with pytest.raises(Exception, match=r"cold|cannot assign") as caught:
        work("frozen")
    # From Python 3.11 on contextlib cannot pass it on, in a real task too: it is then the context of that error.
    frozen = caught.value if type(caught.value).__name__ == "Frozen" else caught.value.__context__
    assert frozen is not None
    assert user_files(frozen)[-1] == "hands.py"


def test_what_metaflow_itself_refuses_is_raised_with_its_words() -> None:
    with pytest.raises(Exception, match="pickle"):
        work("unpicklable")
