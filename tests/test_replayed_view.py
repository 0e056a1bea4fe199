"""What is shown of a replayed step: each changed artifact with what differs in it, the same in text and HTML."""

import subprocess
import sys

import pytest
from html_reader import Reader

from kit.model import Difference, LazyArtifacts, StepResult
from kit.views import html, replayed, text

DIFF = Difference("text", "3 lines: 1 line added, 1 line removed", ("@@ -1,2 +1,2 @@", "- a", "+ b", "  c <i>&"))
NUMBER = Difference("number", "0.912 → 0.934 (+0.022, +2.4 %)")
HOSTILE = ["<script>alert(1)</script>", "</pre></td><img src=x>", "{{ 7 * 7 }}", "\x1b[31mred", "\u202egnp", "a\nb"]


def result(**fields):
    given = {
        "origin": "TrainFlow/12/fit/3",
        "step": "fit",
        "artifacts": {"model": 1, "score": 2, "name": "TrainFlow"},
        "same": frozenset({"model", "name"}),
        "changed": frozenset({"score", "report"}),
        "added": frozenset({"extra"}),
        "missing": frozenset({"old"}),
        "next_steps": ("join",),
        "exception": None,
        "seconds": 0.012,
        "differences": {"score": NUMBER, "report": DIFF},
        "types": {"extra": "int", "old": "pandas.DataFrame"},
    }
    return StepResult(**{**given, **fields})


def many(number, lines=(), kind="number"):
    names = [f"a{i:03}" for i in range(number)]
    return result(changed=frozenset(names), differences={name: Difference(kind, "1 → 2", lines) for name in names})


RESULTS = {
    "changed": result(notes=("Took task 3, the first that failed.",), cards={"": (1, 2)}),
    "without differences": result(differences={}, types={}),
    "all the same": result(changed=frozenset(), added=frozenset(), missing=frozenset()),
    "nothing at all": result(**dict.fromkeys(("same", "changed", "added", "missing"), frozenset()), artifacts={}),
    "failed": result(exception=ValueError("too small")),
    "unrecorded": result(same=None, changed=None, added=None, missing=None, next_steps=()),
    "many": many(50, ("- 1", "+ 2") * 6),
    "same many": result(same=frozenset(f"a{i}" for i in range(200))),
}
RESULTS.update(
    {
        f"hostile {i}": result(
            origin=name,
            same=frozenset({name}),
            changed=frozenset({name}),
            added=frozenset({name}),
            differences={name: Difference("text", name, (name, f"+ {name}", f"- {name}"))},
            types={name: name},
            notes=(name,),
            exception=ValueError(name),
        )
        for i, name in enumerate(HOSTILE)
    }
)
each_result = pytest.mark.parametrize("shown", RESULTS.values(), ids=RESULTS.keys())


def line_of(shown, word):
    return next(line for line in repr(shown).splitlines() if word in line)


# ------------------------------------------------------------------ the same in both


@each_result
def test_text_and_html_say_the_same_in_the_same_order(shown):
    assert "".join(repr(shown).split()) == "".join(Reader(shown._repr_html_()).words)


@each_result
def test_what_is_shown_by_a_notebook_and_a_terminal_is_one_page(shown):
    page = replayed.step_page(shown)
    assert repr(shown) == text.render(page)
    assert shown._repr_html_() == html.render(page)


@each_result
def test_html_is_of_tags_and_attributes_that_untrusted_notebooks_keep(shown):
    read = Reader(shown._repr_html_())
    assert read.tags <= {"div", "details", "summary", "table", "tbody", "tr", "td", "b", "code", "span", "pre"}
    assert read.attributes <= {"style", "open"}


@each_result
def test_nothing_that_a_terminal_obeys_is_shown(shown):
    assert not {"\x1b", "\u202e"} & set(repr(shown) + shown._repr_html_())


# ------------------------------------------------------------------ what is said


def test_a_changed_artifact_is_shown_with_its_name_and_what_differs():
    assert line_of(RESULTS["changed"], "score") == "≠ changed  score   0.912 → 0.934 (+0.022, +2.4 %)"


def test_the_lines_of_a_difference_follow_their_artifact_indented():
    lines = repr(RESULTS["changed"]).splitlines()
    at = next(i for i, line in enumerate(lines) if "report" in line)
    assert lines[at + 1 : at + 5] == [f"    {line}" for line in DIFF.lines]


def test_html_sets_the_lines_in_a_block_that_keeps_them_apart():
    drawn = RESULTS["changed"]._repr_html_()
    block = drawn[drawn.index("<pre") : drawn.index("</pre>")]
    assert block.count("\n") == 0
    assert block.count("&#10;") == len(DIFF.lines) - 1
    assert "  c &lt;i&gt;&amp;" in block


def test_lines_of_a_diff_are_told_apart_by_their_signs_too():
    words = Reader(RESULTS["changed"]._repr_html_()).words
    assert "".join(words).count("-a+bc") == 1


def test_added_and_missing_artifacts_are_shown_with_their_types():
    assert line_of(RESULTS["changed"], "extra").split() == ["+", "added", "extra", "int"]
    assert line_of(RESULTS["changed"], "old").split() == ["-", "missing", "old", "was", "pandas.DataFrame"]


def test_types_that_are_not_known_are_left_out():
    assert line_of(RESULTS["without differences"], "extra").split() == ["+", "added", "extra"]


def test_artifacts_that_are_the_same_are_a_folded_count():
    assert "✓ same  1 artifact\n" in repr(RESULTS["changed"])
    drawn = RESULTS["changed"]._repr_html_()
    folded = drawn[drawn.index("✓") :]
    assert "<details" not in folded
    assert "<details open" not in drawn[drawn.rindex("<details") : drawn.index("✓")]


def test_the_flows_own_name_is_not_shown_as_an_artifact():
    assert "model, name" not in repr(RESULTS["changed"])


def test_differences_past_a_screen_are_folded():
    drawn = many(6, ("x",) * 12, "text")._repr_html_()
    assert drawn.count("<details open>") == 3
    assert drawn.count("<details>") == 3


def test_many_parts_of_one_object_are_folded_below_its_summary():
    assert "<details open>" in many(1, ("x",) * 5, "object")._repr_html_()
    assert "<details open>" not in many(1, ("x",) * 6, "object")._repr_html_()


def test_of_very_many_changed_artifacts_the_first_are_shown_and_the_others_named():
    shown = repr(RESULTS["many"])
    assert shown.count("1 → 2") == 12
    assert "and 38 more" in shown
    assert "a012, a013" in shown


def test_only_differences_that_are_shown_are_computed():
    read = []
    names = tuple(f"a{i:02}" for i in range(20))
    lazy = LazyArtifacts(names, lambda name: read.append(name) or NUMBER)
    shown = result(changed=frozenset(names), differences=lazy)
    assert read == []
    repr(shown)
    shown._repr_html_()
    assert read == list(names[:12])


def test_a_step_with_nothing_recorded_says_so():
    assert "Nothing was recorded for this task" in repr(RESULTS["unrecorded"])


def test_an_exception_that_a_decorator_handled_is_named():
    assert "A decorator handled ValueError: too small" in repr(RESULTS["failed"])


def test_a_difference_that_is_shown_alone_reads_as_it_does_in_the_page():
    assert repr(DIFF).splitlines() == [DIFF.summary, *(f"  {line}" for line in DIFF.lines)]


# ------------------------------------------------------------------ without Metaflow

DRAW = """
import sys
from kit.model import Difference, StepResult
shown = StepResult("A/1/fit/2", "fit", {"x": 1}, frozenset(), frozenset("x"), frozenset(), frozenset(), (), None, 0.1,
                   differences={"x": Difference("number", "1 -> 2")})
print(repr(shown), shown._repr_html_())
heavy = {"metaflow", "IPython", "matplotlib", "numpy", "pandas"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""


def test_a_result_is_drawn_without_metaflow_or_ipython():
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "A/1/fit/2" in done.stdout
