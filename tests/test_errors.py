"""Errors: one line that says what is wrong, one that says what to do."""

import pickle

import pytest

from kit import errors
from kit.errors import KitError, NotFoundError, did_you_mean

SUBCLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error") and name != "KitError"]


def test_an_error_reads_as_what_is_wrong_and_what_to_do():
    assert str(KitError("There is no project here.", "Make a folder `flows`.")).splitlines() == [
        "There is no project here.",
        "Make a folder `flows`.",
    ]


def test_details_follow_below_the_two_lines():
    error = KitError("uv failed.", "Read what it says.", "no solution\n  because\n")
    assert str(error) == "uv failed.\nRead what it says.\n\nno solution\n  because"


@pytest.mark.parametrize("cls", SUBCLASSES, ids=lambda cls: cls.__name__)
def test_every_error_is_a_kit_error_and_says_its_two_lines(cls):
    error = cls("What.", "Do this.")
    assert isinstance(error, KitError)
    assert (str(error), error.message, error.hint, error.details) == ("What.\nDo this.", "What.", "Do this.", "")


@pytest.mark.parametrize("cls", SUBCLASSES, ids=lambda cls: cls.__name__)
def test_an_error_goes_from_process_to_process_whole(cls):
    again = pickle.loads(pickle.dumps(cls("What.", "Do this.", "details")))
    assert type(again) is cls
    assert (again.message, again.hint, again.details) == ("What.", "Do this.", "details")


def test_every_error_of_the_module_is_public():
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == "kit.errors"
    }
    assert defined == {"KitError", *(cls.__name__ for cls in SUBCLASSES)}


def test_the_rendered_traceback_is_the_message_without_frames():
    try:
        raise KitError("No run 12.", "Did you mean 11?", "one\ntwo")
    except KitError as error:
        lines = error._render_traceback_()
    assert lines == ["\x1b[0;31mKitError\x1b[0m: No run 12.", "  Did you mean 11?", "", "  one", "  two"]


def test_what_is_not_found_is_a_missing_key_to_mappings():
    from collections.abc import Mapping

    class Table(Mapping):
        def __getitem__(self, name):
            if name == "model":
                return 1
            raise NotFoundError(f"There is no {name}.", "The artifacts are: model.")

        def __iter__(self):
            return iter(["model"])

        def __len__(self):
            return 1

    table = Table()
    assert "model" in table
    assert "modle" not in table
    assert table.get("modle", "default") == "default"
    with pytest.raises(KeyError):
        table["modle"]


def test_what_is_not_found_does_not_read_like_a_key_error():
    assert str(NotFoundError("There is no x.", "Name another.")) == "There is no x.\nName another."


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("strat", ["start", "fit", "end"], "Did you mean start?"),
        ("FIT", ["start", "fit", "end"], "Did you mean fit?"),
        ("trainflow", ["TrainFlow", "PredictFlow"], "Did you mean TrainFlow?"),
        ("scores", ["score_a", "score_b", "model"], "Did you mean score_a or score_b?"),
        ("score", ["scores", "a_b_score", "model"], "Did you mean scores?"),
        ("x", ["x1", "x2", "x3", "x4"], "Did you mean x1 or x2 or x3?"),
        ("zzz", ["start", "fit"], "The steps are: start, fit."),
        ("zzz", ["fit", "fit", "start"], "The steps are: fit, start."),
        ("fit", [], "There are no steps yet."),
        ("zzz", [f"s{i}" for i in range(8)], "The steps are: s0, s1, s2, s3, s4, s5, s6, s7."),
        ("zzz", [f"s{i}" for i in range(11)], "The steps are: s0, s1, s2, s3, s4, s5, s6, s7 and 3 more."),
        ("", ["start"], "The steps are: start."),
    ],
)
def test_a_wrong_name_is_answered_with_the_near_ones_or_with_those_there_are(name, known, hint):
    assert did_you_mean(name, known, "steps") == hint


def test_a_wrong_name_is_answered_from_any_iterable():
    assert did_you_mean("b", (name for name in ("beta", "b1")), "names") == "Did you mean b1?"
