"""Text and HTML of what kit shows: they say the same, escape everything, and draw without Metaflow."""

from datetime import datetime, timedelta

import pytest
from html_reader import Reader

from kit.model import ArtifactInfo, FlowRuns, Pathspec, RunInfo, StepInfo, TaskInfo
from kit.views import build, html, text
from kit.views.page import GLYPHS, Cell, Page, Table, age, duration, mark_of, size

NOW = datetime(2024, 5, 17, 12, 0)
HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)'",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "two\nlines\r\nand\ttabs",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egnp.exe",
    "lone \udc80 surrogate",
    "x" * 5000,
    "größe ✓ 数",
    "",
]


def run(name="TrainFlow", status="failed", user="anna", tags=("daily",), seconds=64.0):
    return RunInfo(name, "12", status, datetime.now(), user, tags, seconds, "/data/.metaflow")


def task(number, *artifacts, step="fit", status="succeeded", values=()):
    infos = tuple(ArtifactInfo(step, str(number), name, kind, length, sha) for name, kind, length, sha in artifacts)
    return TaskInfo(Pathspec("TrainFlow", "12", step, str(number)), status, 0, (number,), values, infos)


STEPS = (
    StepInfo("start", "succeeded", (task(1, ("data", "numpy.ndarray", 1_500, "a"), step="start"),)),
    StepInfo(
        "fit",
        "failed",
        (
            task(2, ("data", "numpy.ndarray", 1_500, "a"), ("model", "Model", 20_000, "b"), values=("0.1",)),
            task(3, ("data", "numpy.ndarray", 1_500, "a"), status="failed", values=("0.2",)),
        ),
    ),
    StepInfo("end", "pending", ()),
)

PAGES = {
    "project": build.project_page("/home/anna/p", [FlowRuns("A", "flows/a.py", (run("A"),)), FlowRuns("B", None, ())]),
    "empty project": build.project_page("/home/anna/p", []),
    "run": build.run_page(run(), STEPS, None, ["a note"]),
    "one step": build.run_page(run(status="running", seconds=None, tags=(), user=""), STEPS[1:2], None, []),
    "some artifacts": build.run_page(run(status="succeeded"), STEPS, frozenset({"model"}), []),
    "requirements": build.dependency_page([("uv", ">=2", "1.2", "2.1", "install"), ("x", "any", None, None, "skip")]),
}


def hostile_page(name):
    """Build a page that says a hostile name in every place that it has."""
    cells = (Cell(name), Cell(name, code=True), Cell(name, mark="failed"), Cell(name, mark=name))
    table = Table(heading=cells, columns=(name,) * 4, rows=(cells, cells), tail=(name,))
    return Page(cells, (table, Table((), (name,) * 4, (cells,))), (name,))


PAGES.update({f"hostile {i}": hostile_page(name) for i, name in enumerate(HOSTILE)})
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())


# ------------------------------------------------------------------ the same in both


@each_page
def test_text_and_html_say_the_same_in_the_same_order(page):
    assert "".join(text.render(page).split()) == "".join(Reader(html.render(page)).words)


@each_page
def test_every_cell_is_in_both(page):
    cells = [*page.title, *(cell for t in page.tables for row in (t.heading, *t.rows) for cell in row)]
    plain, drawn = text.render(page), " ".join(Reader(html.render(page)).words)
    for cell in cells:
        if cell.text.isprintable():
            assert cell.text in plain
            assert " ".join(cell.text.split()) in drawn


@pytest.mark.parametrize("status", GLYPHS)
def test_a_status_is_a_glyph_and_a_word_never_a_colour_alone(status):
    page = Page((mark_of(status),))
    assert text.render(page).split(maxsplit=1) == [GLYPHS[status], status]
    assert " ".join(Reader(html.render(page)).words) == f"{GLYPHS[status]} {status}"


# ------------------------------------------------------------------ safe HTML


@each_page
def test_html_is_balanced_and_of_tags_and_attributes_that_untrusted_notebooks_keep(page):
    read = Reader(html.render(page))
    assert read.tags <= {"div", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "b", "code", "span"}
    assert read.attributes <= {"style", "open"}


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:20]))
def test_hostile_names_can_be_sent_and_keep_to_their_line(name):
    page = hostile_page(name)
    for drawn in (text.render(page), html.render(page)):
        drawn.encode("utf-8")
        assert "\x1b" not in drawn
        assert "\u202e" not in drawn
    assert text.render(page).count("\n") == 8


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:20]))
def test_hostile_names_pass_through_every_builder(name):
    tasks = (task(1, (name, name, 1, "a"), step=name, values=(name,)), task(2, values=(name, None)))
    steps = [StepInfo(name, "failed", tasks)]
    pages = [
        build.project_page(name, [FlowRuns(name, name, (run(name, user=name, tags=(name,)),))]),
        build.run_page(run(name, user=name, tags=(name,)), steps, None, [name]),
        build.dependency_page([(name,) * 5]),
    ]
    for page in pages:
        read = Reader(html.render(page))
        assert not read.tags & {"script", "img", "style", "svg"}
        assert read.attributes <= {"style", "open"}


# ------------------------------------------------------------------ what is said


def test_an_artifact_that_a_step_only_passed_on_is_counted_with_the_inherited_ones():
    shown = text.render(PAGES["run"]).splitlines()
    assert [line.split() for line in shown if "ndarray" in line] == [["data", "numpy.ndarray", "1.5", "kB"]]
    assert any(line.strip() == "inherited: data" for line in shown)


def test_a_foreach_says_how_many_tasks_failed_and_what_they_were_given():
    shown = text.render(PAGES["one step"])
    assert "2 tasks, 1 failed" in shown
    assert "0.1 · 0.2" in shown


def test_columns_of_text_are_aligned():
    rows = ((Cell("a"), Cell("1")), (Cell("long"), Cell("2")))
    assert text.render(Page((Cell("t"),), (Table((), (), rows),))) == "t\na     1\nlong  2"


@pytest.mark.parametrize(("folded", "start"), [(False, "<details open"), (True, "<details style")])
def test_a_folded_table_shows_its_heading_alone(folded, start):
    assert start in html.render(Page((), (Table((Cell("h"),), ("c",), ((Cell("x"),),), folded),)))


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (1_249, "1.2 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (200_000_000, "200 MB"),
        (999_999_999, "1.0 GB"),
        (5_000_000_000_000, "5000 GB"),
    ],
)
def test_a_size_is_written_with_its_unit(count, written):
    assert size(count) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, ""),
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.008, "8 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (1.34, "1.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (60, "1 min 0 s"),
        (250, "4 min 10 s"),
        (119.6, "2 min 0 s"),
        (3599.7, "1 h 0 min"),
        (7321, "2 h 2 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_a_duration_is_written_with_its_units(seconds, written):
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("since", "written"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=1), "yesterday"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=13, hours=23), "13 days ago"),
        (timedelta(days=14), "on 2024-05-03"),
        (timedelta(days=400), "on 2023-04-13"),
    ],
)
def test_an_age_is_written_as_a_person_says_it(since, written):
    assert age(NOW - since, NOW) == written
