"""The picture of a graph: laid out left to right without crossings, readable on any theme, and as true as the text."""

import os
import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from graphs_for_tests import FOREACH, GRAPHS, NESTED, SWITCHING, graph, linear
from svg_reader import SVG, Drawn, crossings, joined

from kit.model import Graph, GraphNode, Pathspec, StepInfo, TaskInfo, step_type
from kit.views import html, svg, text
from kit.views.graph import alternative, edges, ordered, rows, with_status
from kit.views.page import GLYPHS, Cell, Page
from kit.views.svg import graph_picture

each_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onload='x",
    "]]>&lt;&#0;",
    "a; b → c",
    "\x1b[31m\x00\n\u202e",
    "\udc80",
    "x" * 9000,
]


def nexts(graph):
    return {(node.name, name) for node in graph.nodes for name in node.next}


# ------------------------------------------------------------------ laid out


@each_graph
def test_boxes_are_apart_and_inside_the_picture(graph):
    drawn = Drawn(graph)
    assert set(drawn.boxes) == {node.name for node in graph.nodes}
    for x, y, width, height in drawn.boxes.values():
        assert 0 <= x < x + width <= drawn.width
        assert 8 <= y < y + height <= drawn.height - 9  # room for boxes behind, and for the badge
    for one, other in combinations(drawn.boxes.values(), 2):
        apart_x = one[0] + one[2] < other[0] or other[0] + other[2] < one[0]
        apart_y = one[1] + one[3] + 10 < other[1] or other[1] + other[3] + 10 < one[1]
        assert apart_x or apart_y


@each_graph
def test_every_next_step_is_a_line_from_the_right_end_of_a_box_to_the_left_end_of_the_next(graph):
    assert joined(Drawn(graph)) == nexts(graph)


@each_graph
def test_lines_go_to_the_right_except_those_of_recursion(graph):
    for line in Drawn(graph).lines:
        if line[0][1] != line[-1][1] or line[0][0] < line[-1][0]:
            assert all(a[0] <= b[0] for a, b in pairwise(line))


@each_graph
def test_no_line_passes_through_a_box(graph):
    drawn = Drawn(graph)
    for line in drawn.lines:
        for x, y in line[1:-1]:
            for bx, by, width, height in drawn.boxes.values():
                assert not (bx + 1 < x < bx + width - 1 and by + 1 < y < by + height - 1)


@each_graph
def test_start_is_leftmost_and_end_is_rightmost(graph):
    boxes = Drawn(graph).boxes
    lefts = {name: box[0] for name, box in boxes.items()}
    assert all(lefts["start"] < x for name, x in lefts.items() if name != "start")
    if "end" in lefts:
        assert all(lefts["end"] > x for name, x in lefts.items() if name != "end")


@pytest.mark.parametrize("graph", NESTED.values(), ids=NESTED.keys())
def test_nested_splits_and_foreachs_are_drawn_without_crossings(graph):
    assert crossings(Drawn(graph).lines) == 0


def test_switches_cross_only_where_they_must():
    found = {name: crossings(Drawn(graph).lines) for name, graph in SWITCHING.items()}
    assert found.pop("switches that need crossings") == 9  # each to each of three: as few as two layers can have
    assert set(found.values()) == {0}


def test_the_order_of_switched_steps_is_changed_where_that_saves_a_crossing():
    crossed = graph(
        start="switch: a b", a="switch: x y", b="switch: z x", x="linear: end", y="linear: end", z="linear: end", end=""
    )
    assert crossings(Drawn(crossed).lines) == 0


@pytest.mark.parametrize("count", [3, 60])
def test_a_linear_flow_is_one_straight_line(count):
    same = Graph(tuple(GraphNode(n.name, n.next, n.type, "same") for n in linear(count).nodes))
    drawn = Drawn(same)
    assert len({box[1] for box in drawn.boxes.values()}) == 1
    assert all(len(line) == 2 for line in drawn.lines)


def test_branches_of_the_same_kind_lie_evenly_about_their_split_and_join():
    boxes = Drawn(NESTED["wide"]).boxes
    middles = {name: y + height / 2 for name, (_, y, _, height) in boxes.items()}
    branches = sorted(middles[f"b{i}"] for i in range(20))
    assert abs(middles["start"] - sum(branches) / 20) <= 1
    assert abs(middles["join"] - middles["start"]) <= 1


def test_steps_inside_a_foreach_have_a_box_behind_for_each_foreach_around_them():
    drawn = Drawn(NESTED["foreach in a branch"])
    behind = {
        name: sum((x + by, y - by, *size) in drawn.behind for by in (4, 8, 12))
        for name, (x, y, *size) in drawn.boxes.items()
    }
    assert {name: count for name, count in behind.items() if count} == {"each": 1, "deep": 2, "deep_join": 1}


def test_what_a_switch_leads_to_is_dashed():
    root = Drawn(SWITCHING["switch"]).root
    dashed = [path.get("stroke-dasharray") for path in root.findall(f"{SVG}g/{SVG}path")]
    assert [bool(dash) for dash in dashed] == [edge.kind == "switch" for edge in edges(SWITCHING["switch"])]


def test_a_graph_that_metaflow_would_refuse_is_drawn_all_the_same():
    cyclic = graph(start="linear: a", a="linear: b", b="linear: a gone", lost="linear: lost2", lost2="linear: lost a")
    drawn = Drawn(cyclic)
    assert set(drawn.boxes) == {"start", "a", "b", "lost", "lost2"}
    assert "gone" not in alternative(cyclic)
    assert text.render(Page((), graph=Graph(()))) == ""
    assert "<img" not in html.render(Page((), graph=Graph(())))


# ------------------------------------------------------------------ the same in text, in the picture and beside it


def shown(graph):
    """Give the text of a page with a graph, and the attributes of the image in its HTML."""
    page = Page((Cell("title"),), graph=graph)
    found = []
    parser = HTMLParser()
    parser.handle_startendtag = parser.handle_starttag = lambda tag, attrs: found.append((tag, dict(attrs)))
    parser.feed(html.render(page))
    assert [tag for tag, _ in found] == ["div", "div", "b", "div", "img"]
    return text.render(page).splitlines()[1:], found[-1][1]


@each_graph
def test_text_and_picture_and_its_alternative_text_say_the_same(graph):
    lines, image = shown(graph)
    said = [" ".join(line.split()) for line in lines]
    assert image["alt"] == "; ".join(said)
    drawn = ElementTree.fromstring(b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")))  # noqa: S314
    assert sorted(title.text for title in drawn.iter(f"{SVG}title")) == sorted(said)


@each_graph
def test_every_step_status_note_and_next_step_can_be_read_from_the_text(graph):
    lines, _ = shown(graph)
    read = {}
    for line in lines:
        words, *more = re.split(r"\s{2,}", line.strip())
        name, _, following = words.partition(" → ")
        read[name] = (re.split(", | or ", re.sub(r" \(\w+\)$", "", following)) if following else [], more)
    assert set(read) == {node.name for node in graph.nodes}
    for each in graph.nodes:
        status = [f"{GLYPHS[each.status]} {each.status}"] if each.status else []
        assert read[each.name] == (list(each.next), [*status, *([each.note] if each.note else [])])


@each_graph
def test_every_name_status_and_note_that_fits_is_written_in_the_picture(graph):
    drawn = Drawn(graph)
    for each in graph.nodes:
        status = f"{GLYPHS[each.status]} {each.status}" if each.status else ""
        assert [part for part in (each.name, status, each.note) if part] == drawn.texts[each.name][
            : 1 + bool(status) + bool(each.note)
        ]


@each_graph
def test_steps_are_said_in_an_order_that_they_can_run_in(graph):
    place = {node.name: i for i, node in enumerate(ordered(graph))}
    assert all(place[a] < place[b] for a, b in nexts(graph) if a != b)


def test_the_text_of_a_foreach_is_short():
    told = Graph(
        (
            GraphNode("start", ("fit",), "foreach", "succeeded"),
            GraphNode("fit", ("join",), "linear", "failed", "12 tasks, 1 failed"),
            GraphNode("join", ("end",), "join", "pending"),
            GraphNode("end", (), "end", "pending"),
        )
    )
    assert text.render(Page((Cell("A/1"),), graph=told)).splitlines() == [
        "A/1",
        "  start → fit (foreach)  ✓ succeeded",
        "    fit → join           ✗ failed     12 tasks, 1 failed",
        "  join → end             ○ pending",
        "  end                    ○ pending",
    ]
    assert alternative(told) == (
        "start → fit (foreach) ✓ succeeded; fit → join ✗ failed 12 tasks, 1 failed; join → end ○ pending; end ○ pending"
    )


def test_branches_are_indented_below_their_split():
    depths = {row.name: row.depth for row in rows(NESTED["foreach in a branch"])}
    assert depths == {
        "start": 0, "a": 1, "b": 1, "each": 2, "deep": 3, "deep_join": 2, "b_join": 1, "join": 0, "end": 0
    }  # fmt: skip


def test_the_graph_of_a_run_says_how_many_tasks_there_are_and_how_they_fare():
    tasks = tuple(
        TaskInfo(Pathspec("A", "1", "fit", str(i)), status, 0)
        for i, status in enumerate(("succeeded", "failed", "running", "failed"))
    )
    steps = [StepInfo("start", "succeeded", tasks[:1]), StepInfo("fit", "failed", tasks)]
    told = {node.name: (node.status, node.note) for node in with_status(FOREACH, steps).nodes}
    assert told == {
        "start": ("succeeded", ""),
        "fit": ("failed", "4 tasks, 2 failed, 1 running"),
        "join": ("pending", ""),
        "end": ("pending", ""),
    }


@pytest.mark.parametrize(
    ("recorded", "kind"),
    [
        ("start", "start"),
        ("linear", "linear"),
        ("split-static", "split"),
        ("split", "split"),
        ("split-foreach", "foreach"),
        ("foreach", "foreach"),
        ("split-parallel", "parallel"),
        ("split-switch", "switch"),
        ("join", "join"),
        ("end", "end"),
        ("unknown", "linear"),
    ],
)
def test_the_types_that_metaflow_records_are_known(recorded, kind):
    assert step_type(recorded) == kind


# ------------------------------------------------------------------ an image that any notebook shows


@each_graph
def test_the_image_is_small_and_of_plain_shapes_alone(graph):
    picture = graph_picture(graph)
    assert len(picture.source) < 30_000
    root = Drawn(graph).root
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg", "marker", "g", "path", "rect", "text", "title"
    }  # fmt: skip
    assert not {name for each in root.iter() for name in each.attrib if name.startswith("on") or "href" in name}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_hostile_names_statuses_and_notes_are_text(hostile):
    bad = Graph(
        (
            GraphNode(hostile, ("end",), "foreach", hostile, hostile),
            GraphNode("end", (), "end", "failed", hostile),
        )
    )
    source, width, _ = svg.draw(bad)
    tags = {each.tag.removeprefix(SVG) for each in ElementTree.fromstring(source).iter()}  # noqa: S314
    assert tags == {"svg", "marker", "g", "path", "rect", "text", "title"}
    assert width < 700
    lines, image = shown(bad)
    assert len(lines) == 2
    assert set(image) == {"alt", "src", "width", "style"}
    for drawn in (*lines, image["alt"]):
        drawn.encode()
        assert drawn.isprintable()


def test_a_long_name_is_shortened_in_the_middle_and_told_in_full_beside():
    long = "train_the_distributed_gradient_boosting_model"
    picture = Drawn(Graph((GraphNode("start", (long,)), GraphNode(long, ()))))
    written = picture.texts[long][0]
    assert re.fullmatch(r"train_the.*….*_model", written)
    assert picture.titles[long] == long


def test_wide_names_get_wide_boxes():
    width = {name: Drawn(Graph((GraphNode(name),))).boxes[name][2] for name in ("iiii", "aaaa", "数据处理")}
    assert width["iiii"] < width["aaaa"] < width["数据处理"]


@pytest.mark.parametrize("status", [*GLYPHS, ""])
def test_text_can_be_read_on_its_box_and_boxes_and_lines_be_seen_on_any_theme(status):
    fill, stroke, ink = svg.COLOURS.get(status, svg.QUIET)
    assert contrast(ink, fill) >= 4.5
    assert contrast("#1f2328", fill) >= 7
    line = Drawn(FOREACH).root.find(f"{SVG}g").get("stroke")
    for page in ("#ffffff", "#111111"):
        assert contrast(stroke, page) >= 3 or contrast(fill, page) >= 3
        assert contrast(line, page) >= 3


def contrast(one, other):
    """Give the contrast of two colours as WCAG 2 has it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("graph", "style"), [(FOREACH, "max-width:100%"), (linear(60), "max-width:none")])
def test_a_picture_shrinks_to_its_place_until_it_would_not_be_read_and_then_scrolls(graph, style):
    _, image = shown(graph)
    assert style in image["style"]
    assert int(image["width"]) == Drawn(graph).width


def test_a_graph_is_drawn_the_same_every_time():
    code = (
        "from kit.model import *; from kit.views import svg\n"
        "names = [f'b{i}' for i in range(9)]\n"
        "nodes = [GraphNode('start', tuple(names), 'switch'), *(GraphNode(n, ('end', n), 'switch') for n in names)]\n"
        "print(svg.draw(Graph((*nodes, GraphNode('end')))))"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(drawn) == 1
