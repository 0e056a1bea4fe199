"""Outputs of cells read and compared: texts, numbers, tables, images, errors."""

from __future__ import annotations

import base64
import io
import time
from datetime import datetime
from typing import Any

import pytest
from nbformat.v4 import new_output

from kit.errors import NotebookError
from kit.regression.outputs.reading import compare_recorded, mask_recorded, read_outputs
from kit.regression.outputs.rules import Rules, cell_rules
from kit.regression.outputs.sanitize import injected, sanitize

RULES = Rules()


def stream(text: str, name: str = "stdout") -> Any:
    return new_output("stream", name=name, text=text)


def shown(**data: Any) -> Any:
    names = {"text": "text/plain", "html": "text/html", "png": "image/png", "svg": "image/svg+xml"}
    return new_output("display_data", {names[name]: value for name, value in data.items()})


def differences(old: Any, new: Any, rules: Rules = RULES) -> tuple[str, ...]:
    (before,), (after,) = read_outputs([old], rules), read_outputs([new], rules)
    return compare_recorded(before, after, rules)


def text(old: str, new: str, rules: Rules = RULES) -> tuple[str, ...]:
    return differences(stream(old), stream(new), rules)


SAME = [
    ("loss 0.693147181", "loss 0.693147180"),
    ("[1.  2.  3.5]", "[1. 2. 3.5]"),
    ("x    y\n1.0  2\n----", "x  y\n1.0 2\n------"),
    ("np.float64(0.25)", "0.25"),
    ("[np.True_, np.False_]", "[True, False]"),
    ("[1 2 3\n 4 5]", "[1 2\n 3 4 5]"),
    ("2.220446e-16", "0.0"),
    ("<Thing at 0x7f00aa00bb00>", "<Thing at 0x55d0a1b2c3d4>"),
    ("took 3.2 s", "took 11.7 s"),
    ("1.2 ms ± 30 µs per loop", "980 µs ± 3.1 µs per loop"),
    ("wrote /tmp/abc123/out.csv", "wrote /tmp/xyz/out.csv"),
    ("/home/ann/lib/site-packages/numpy/core.py", "/opt/py/lib/numpy/core.py"),
    ("run TrainFlow/1795369642166327/fit/3", "run TrainFlow/1795370419918002/fit/4"),
    ("id 123e4567-e89b-12d3-a456-426614174000", "id 9b2e4567-e89b-42d3-a456-426614174fff"),
    ("\x1b[31mred\x1b[0m", "red"),
    ("10 %\r50 %\rdone\n", "done\n"),
    (f"{time.time()} and {int(time.time()) * 1000}", f"{time.time() - 9.5} and {int(time.time()) * 1000 - 5000}"),
    (f"at {datetime.now():%Y-%m-%d %H:%M:%S}", f"at {datetime.now():%Y-%m-%d} 01:02:03.5"),
    (f"on {datetime.now():%d/%m/%Y %H:%M}", f"on {datetime.now():%d/%m/%Y} 01:02"),
    (f"on {datetime.now():%b %d, %Y %H:%M}", f"on {datetime.now():%b %d, %Y} 03:04"),
    (f"log-{datetime.now():%Y%m%d-%H%M%S}", f"log-{datetime.now():%Y%m%d}-010203"),
    ("{'b', 'a', 'c'}", "{'c', 'a', 'b'}"),
    ("100%|███| 10/10 [00:01<00:00,  9.8it/s]", "100%|███| 10/10 [00:00<00:00, 123.4it/s]"),
    ("/var/ipykernel_12/345.py:1: UserWarning: x", "/var/ipykernel_67/891.py:1: UserWarning: x"),
    ("pid 123, http://localhost:8123/", "pid 4567, http://localhost:44321/"),
    ("3 minutes ago", "just now"),
]


@pytest.mark.parametrize(("old", "new"), SAME, ids=range(len(SAME)))  # some hold the time: no names for tests
def test_what_is_no_result_makes_no_difference(old: str, new: str) -> None:
    assert text(old, new) == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("accuracy: 0.97", "accuracy: 0.98", "line 1: 'accuracy: 0.97': 0.97 -> 0.98"),
        ("p = 1.23e-05", "p = 9.99e-05", "line 1: 'p = 1.23e-05': 1.23e-05 -> 9.99e-05"),
        ("rows 100", "rows 101", "line 1: 'rows 100': 100 -> 101"),
        ("0.5", "-0.5", "line 1: 0.5 -> -0.5"),
        ("50 %", "50 kg", "line 1: '50 %' -> '50 kg'"),
        ("ok", "not ok", "line 1: 'ok' -> 'not ok'"),
        ("{1, 2}", "{2, 3}", "line 1: '{1, 2}': 1 -> 2 and 1 more"),
        (
            "50%|█ | 5/10 [00:01<00:01,  9it/s]",
            "50%|█ | 6/10 [00:01<00:01,  9it/s]",
            "line 1: '50%|█ | 5/10 [<duration>]': 5 -> 6",
        ),
        ("born 06.05.2019", "born 07.05.2019", "line 1: 'born 06.05.2019': 06.05 -> 07.05"),
        ("nan", "1.0", "line 1: 'nan' -> '1.0'"),
        ("a\nb\nc", "a\nc", "line 2: - 'b'"),
        ("a\nb", "a\nx\nb", "after line 1: + 'x'"),
        ("x # y", "x 5 y", "line 1: 'x # y' -> 'x 5 y'"),
        ("on 2019-05-06 10:00:00", "on 2019-05-07 10:00:00", "line 1: 'on 2019-05-06 <time>': 06 -> 07"),
        ("flow Train/12/fit", "flow Train/13/fit", "line 1: 'flow Train/12/fit': 12 -> 13"),
    ],
)
def test_what_is_a_result_is_told_with_its_line(old: str, new: str, message: str) -> None:
    assert text(old, new) == (message,)


def test_the_injected_pathspec_is_taken_out_whatever_its_ids_look_like() -> None:
    first = injected(["Train/12", 5, "plain"])
    assert sanitize("Train/12 and Train/12/fit, not Train/123", RULES, first) == (
        "Train/<run> and Train/<run>/fit, not Train/123"
    )


def test_streams_that_come_in_pieces_are_one() -> None:
    (whole,) = read_outputs([stream("a"), stream("warning", "stderr"), stream("b\n")], RULES)
    assert whole.value == ["ab"]


def test_the_standard_error_is_compared_where_the_project_says_so() -> None:
    kinds = [each.kind for each in read_outputs([stream("x", "stderr")], Rules(stderr=True))]
    assert kinds == ["stderr"]


TABLE = """<style>.a{color:%s}</style><table id="T_%s"><thead><tr><th></th><th>price</th><th>n</th></tr></thead>
<tbody><tr><th>apple</th><td>%s</td><td>3</td></tr><tr><th>pear</th><td>2.5</td><td>4</td></tr></tbody></table>"""


def test_tables_are_compared_cell_by_cell_and_named() -> None:
    old, new = shown(html=TABLE % ("red", 1, "3.2")), shown(html=TABLE % ("blue", 2, "3.4"))
    assert differences(old, new) == ("row 'apple', column 'price': 3.2 -> 3.4",)


def test_styles_and_ids_of_a_table_make_no_difference() -> None:
    old, new = shown(html=TABLE % ("red", "ab1", "3.2000001")), shown(html=TABLE % ("blue", "cd2", "3.2000001"))
    assert differences(old, new) == ()


def test_a_row_that_came_is_told() -> None:
    more = (TABLE % ("red", 1, "3.2")).replace("</tbody>", "<tr><th>fig</th><td>1</td><td>1</td></tr></tbody>")
    (message,) = differences(shown(html=TABLE % ("red", 1, "3.2")), shown(html=more))
    assert message == "2 rows of 3 cells -> 3 rows of 3 cells; new: 'fig | 1 | 1'"


def test_text_around_tables_counts_as_well() -> None:
    old, new = shown(html="<p>5 rows</p><pre>a\nb</pre>"), shown(html="<p>6 rows</p><pre>a\nb</pre>")
    assert differences(old, new) == ("line 1: '5 rows': 5 -> 6",)


def test_errors_are_compared_by_type_and_message() -> None:
    def error(name: str, message: str) -> Any:
        return new_output("error", ename=name, evalue=message, traceback=["anything"])

    assert differences(error("KeyError", "'a'"), error("KeyError", "'a'")) == ()
    assert differences(error("KeyError", "'a'"), error("ValueError", "'a'")) == ("'KeyError' -> 'ValueError'",)
    assert differences(error("KeyError", "'a'"), error("KeyError", "'b'")) == ("line 1: \"'a'\" -> \"'b'\"",)


def png(edit: int = 0, noise: int = 0, size: int = 96) -> str:
    from PIL import Image

    image = Image.new("RGB", (size, size), (200, 200 + noise, 200))
    image.paste((200 - edit, 30, 30), (20, 40, 34, 54))
    file = io.BytesIO()
    image.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def test_images_are_compared_by_what_an_eye_would_see() -> None:
    assert differences(shown(png=png()), shown(png=png(noise=2))) == ()
    (message,) = differences(shown(png=png()), shown(png=png(edit=120)))
    assert message.startswith("the block of 16 x 16 pixels at (16, 32) differs by ")
    assert differences(shown(png=png()), shown(png=png(size=80))) == ("96 x 96 pixels -> 80 x 80",)


def test_drawings_are_compared_by_their_elements() -> None:
    drawing = '<svg><metadata>%s</metadata><g id="g%s"><rect x="%s" clip-path="url(#%s)"/></g></svg>'
    assert (
        differences(shown(svg=drawing % ("now", 1, "2.0", "p1")), shown(svg=drawing % ("then", 2, "2.0", "p2"))) == ()
    )
    assert differences(shown(svg=drawing % ("now", 1, "2.0", "p1")), shown(svg=drawing % ("now", 1, "2.5", "p1")))


def test_structured_data_is_compared_by_its_parts() -> None:
    def plot(y: float) -> Any:
        mime = "application/vnd.plotly.v1+json"
        return new_output("display_data", {mime: {"data": [{"type": "bar", "y": [1.0, y]}]}, "text/plain": "Figure"})

    assert differences(plot(2.0), plot(2.5)) == ("data[0].y: 1 of 2 values differ, [1]: 2 -> 2.5",)


@pytest.mark.parametrize("source", ["<table><tr><td>", "</table></td>", "<tr><td>x", "<b", "", "<p>" * 3000])
def test_html_of_any_kind_can_be_read(source: str) -> None:
    read_outputs([shown(html=source, text="x")], RULES)


def test_what_differs_between_two_runs_is_masked_word_by_word() -> None:
    (one,), (other,) = (read_outputs([stream(f"seed {seed} of 5\nscore 0.5")], RULES) for seed in (17, 99))
    masked = mask_recorded(one, other, RULES)
    assert masked.value == ["seed <varies> of 5", "score 0.5"]
    (third,), (wrong,) = (
        read_outputs([stream(each)], RULES) for each in ("seed 3 of 5\nscore 0.5", "seed 3 of 6\nscore 0.5")
    )
    assert compare_recorded(masked, third, RULES) == ()
    assert compare_recorded(masked, wrong, RULES)


def test_tags_of_a_cell_change_the_rules() -> None:
    loose = cell_rules(RULES, ["kit-tol=1e-2"], "cell 1")
    assert text("n 1000 of 0.500", "n 1005 of 0.501", loose) == ()
    assert cell_rules(RULES, ["kit-ignore"], "cell 1").ignore
    only = cell_rules(RULES, ["kit-only=text"], "cell 1")
    outputs = [shown(html="<b>1</b>", text="1"), shown(png=png(), text="x"), stream("y")]
    assert [each.value for each in read_outputs(outputs, only)] == [["1"], ["y"]]


@pytest.mark.parametrize("tag", ["kit-tol=", "kit-tol=tiny", "kit-tol=-1", "kit-only=pictures", "kit-only="])
def test_a_tag_that_means_nothing_is_refused(tag: str) -> None:
    with pytest.raises(NotebookError, match="Cell 3 is tagged"):
        cell_rules(RULES, [tag], "Cell 3")
