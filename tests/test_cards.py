"""The cards of replayed steps, against those that their real runs stored."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support import run_flow, write_files

import kit
from kit.errors import ReplayError
from kit.replay.cards import FRAME_LIMIT
from kit.views import card as card_view

pytestmark = pytest.mark.flow

EXTENSION = """
    from metaflow import current
    from metaflow.cards import MetaflowCard


    class HtmlCard(MetaflowCard):
        type = "html"

        def __init__(self, options={"attribute": "html"}, **kwargs):
            self.attribute = options["attribute"]

        def render(self, task):
            return str(task[self.attribute].data) if self.attribute in task else "no such artifact"


    class FailingCard(MetaflowCard):
        type = "failing"

        def render(self, task):
            raise ValueError("it cannot be drawn")


    class TaskCard(MetaflowCard):
        type = "task"
        ALLOW_USER_COMPONENTS = True
        RUNTIME_UPDATABLE = True

        def __init__(self, components=[], options={}, graph=None, flow=None, **kwargs):
            self.components, self.options, self.graph, self.flow = components, options, graph, flow

        def render(self, task):
            run = task.parent.parent
            return repr((
                task.pathspec, task.id, task.parent.id, run.id, task.index, task.successful, task.finished,
                task.current_attempt, sorted(a.id for a in task), sorted(task.artifacts._fields), task.data.number,
                "nothing" in task, "mine" in run.user_tags, run["_parameters"].task.data.alpha, task.parent.task.id,
                [t.id for t in task.parent], self.runtime_data["user"], self.options, sorted(self.graph),
                self.flow.name, len(self.components), current.task_id, task.metadata_dict["attempt"],
            ))

        def render_runtime(self, task, data):
            return "not yet"


    CARDS = [HtmlCard, FailingCard, TaskCard]
"""
FLOW = """
    import os

    from metaflow import FlowSpec, Parameter, card, current, step
    from metaflow.cards import Artifact, Image, Markdown, ProgressBar, Table, VegaChart

    PNG = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da636460f85f0f0002870180"
        "eb47ba920000000049454e44ae426082"
    )


    class Where(Markdown):
        def render(self):
            self._text = f"rendered in {current.pathspec}"
            return super().render()


    class CardFlow(FlowSpec):
        alpha = Parameter("alpha", default=3)

        @card(type="html", id="page")
        @card(type="failing", id="broken")
        @card(type="failing", id="unsaved", save_errors=False)
        @card(type="task", id="data", options={"depth": 1})
        @card(type="nosuch", id="nosuch")
        @step
        def start(self):
            self.html = f"<h1>Page of {current.step_name}</h1><p>{self.alpha}</p>"
            self.number = 2 * self.alpha
            shown = current.card["data"]
            shown.append(Markdown("one"))
            shown.clear()
            shown.extend([Markdown("two"), Markdown("three")])
            shown.refresh({"loss": 0.5})
            self.next(self.report)

        @card
        @card(type="blank", id="second", options={"title": "Second"})
        @card(type="blank")
        @step
        def report(self):
            self.kept = "a long afternoon"
            current.card["second"].append(Markdown("# Result\\n\\n<script>alert(1)</script> *nice*"))
            bar = ProgressBar(max=10, label="Rows")
            current.card["second"].append(bar, id="bar")
            for value in range(8):
                bar.update(value)
                current.card["second"].refresh()
            current.card["second"].append(Table([["a", Artifact({"b": 2})]], headers=["<i>name</i>", "value"]))
            current.card["second"].append(Image(PNG, "A dot"))
            chart = {"title": "Points", "mark": "point", "data": {"values": [{"a": 1}]}}
            current.card["second"].append(VegaChart(chart))
            current.card["second"].append(Where())
            self.next(self.end)

        @card
        @step
        def end(self):
            current.card.append(Markdown("# The end"))
            current.card.extend([Markdown("and more")])


    if __name__ == "__main__":
        CardFlow()
"""
PRINT_CARDS = """
import json, kit
cards = kit.run_step("CardFlow/start").cards
pages = {}
for name, card in cards.items():
    try:
        pages[name] = card.html
    except kit.KitError as error:
        pages[name] = f"{type(error).__name__}: {error}"
print("CARDS" + json.dumps([list(cards), pages, {name: card._repr_html_() for name, card in cards.items()}]))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose flow has been run, with card types of an extension."""
    root = tmp_path_factory.mktemp("cards")
    write_files(
        root,
        {
            "project/flows/cards.py": FLOW,
            "extension/metaflow_extensions/testers/plugins/cards/several/__init__.py": EXTENSION,
        },
    )
    (root / "project" / ".metaflow").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", with_extension(root / "project"))
        run_flow(root / "project" / "flows" / "cards.py", "--tag", "mine", cwd=root / "project")
    return root / "project"


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)


def with_extension(root: Path) -> str:
    """What PYTHONPATH must be for Metaflow to find the extension."""
    return os.pathsep.join(filter(None, (str(root.parent / "extension"), os.environ.get("PYTHONPATH"))))


def stored(root: Path, step: str, name: str) -> str:
    """The page that the real run stored."""
    (file,) = root.glob(f".metaflow/mf.cards/CardFlow/runs/*/steps/{step}/tasks/*/cards/{name}-*.html")
    return file.read_text(encoding="utf-8")


def content(page: str) -> object:
    """What a page says: the data that Metaflow's script draws, without times, random ids and the order of artifacts."""
    (data,) = re.findall(r'__MF_DATA__\["[^"]*"\] = "([^"]*)"', page)

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in ("id", "created_at", "finished_at")}
        if isinstance(value, list):
            kept = [one for one in value if not (isinstance(one, dict) and one.get("title") == "Task Metadata")]
            named = all(isinstance(one, dict) and "only_repr" in one for one in kept)
            return [plain(one) for one in (sorted(kept, key=lambda one: str(one["name"])) if named else kept)]
        return value

    return plain(json.loads(base64.b64decode(data)))


def tree(root: Path) -> str:
    """A digest of every file below a folder."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return hashlib.sha256(repr([(str(path), path.read_bytes()) for path in files]).encode()).hexdigest()


class Tags(HTMLParser):
    """The tags of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def of_types(recorded: Path) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """The cards of types that an extension brings, replayed in a process that has it: ids, pages, in a notebook."""
    environ = {**os.environ, "PYTHONPATH": with_extension(recorded), "USERNAME": "tester"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_CARDS], cwd=recorded, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ids, pages, shown = json.loads(done.stdout.split("CARDS", 1)[1])
    return ids, pages, shown


# ---------------------------------------------------------------- what the pages hold


def test_default_card_shows_what_the_recorded_one_shows(recorded: Path) -> None:
    end = kit.run_step("CardFlow/end").cards[""]
    assert content(end.html) == content(stored(recorded, "end", "default"))
    report = kit.run_step("CardFlow/report").cards[""]
    assert content(report.html) == content(stored(recorded, "report", "default"))
    assert "a long afternoon" in json.dumps(content(report.html))


def test_blank_card_with_an_id_shows_what_the_recorded_one_shows(recorded: Path) -> None:
    second = kit.run_step("CardFlow/report").cards["second"]
    assert content(second.html) == content(stored(recorded, "report", "blank-second"))
    assert "[METAFLOW_RELOAD_TOKEN]" not in second.html


def test_card_shows_the_replayed_artifacts_and_parameters_not_the_recorded_ones() -> None:
    card = kit.run_step("CardFlow/end", {"kept": "a short morning", "alpha": 11}).cards[""]
    data = json.dumps(content(card.html), sort_keys=True)
    assert "a short morning" in data
    assert "a long afternoon" not in data
    assert '"data": "11", "large_object": false, "name": "alpha"' in data


def test_card_type_of_an_extension_reads_the_replayed_task(recorded: Path, of_types: tuple) -> None:
    _, pages, _ = of_types
    assert pages["page"] == stored(recorded, "start", "html-page") == "<h1>Page of start</h1><p>3</p>"
    assert pages["data"] == stored(recorded, "start", "task-data")
    assert "{'loss': 0.5}" in pages["data"]


def test_card_that_fails_is_an_error_card_as_in_a_real_run(recorded: Path, of_types: tuple) -> None:
    _, pages, shown = of_types
    for page in (pages["broken"], stored(recorded, "start", "failing-broken")):
        said = json.dumps(content(page))
        assert "Error Card" in said
        assert "ValueError: it cannot be drawn" in said
    assert content(pages["nosuch"]) == content(stored(recorded, "start", "nosuch-nosuch"))
    assert "ValueError: it cannot be drawn" in shown["broken"]
    assert "failed" in shown["broken"]


def test_card_that_fails_and_saves_no_errors_is_an_error_that_says_so(recorded: Path, of_types: tuple) -> None:
    _, pages, shown = of_types
    assert not list(recorded.glob(".metaflow/mf.cards/**/failing-unsaved-*.html"))
    assert pages["unsaved"].startswith("ReplayError: The card unsaved of type failing cannot be rendered: ValueError")
    assert "save_errors=False" in shown["unsaved"]


def test_cards_are_in_the_order_of_their_decorators(of_types: tuple) -> None:
    assert of_types[0] == ["page", "broken", "unsaved", "data", "nosuch"]


# ---------------------------------------------------------------- what a result offers


def test_card_is_a_sequence_of_its_live_components() -> None:
    cards = kit.run_step("CardFlow/report").cards
    second = cards["second"]
    assert list(cards) == ["", "second", "blank"]
    assert (second.id, second.type, second.options) == ("second", "blank", {"title": "Second"})
    names = ["Markdown", "ProgressBar", "Table", "Image", "VegaChart", "Where"]
    assert [type(component).__name__ for component in second] == names
    assert len(second) == 6
    assert second[1] is second.components[1]
    second[1].update(9)
    assert "9 of 10" in repr(second)
    assert '"value": 9' in json.dumps(content(second.html))


def test_second_card_without_an_id_goes_by_its_type() -> None:
    cards = kit.run_step("CardFlow/report").cards
    assert (cards[""].type, cards["blank"].type) == ("default", "blank")
    with pytest.raises(KeyError):
        cards["nothing"]


def test_component_that_reads_current_finds_the_steps_own_after_the_replay() -> None:
    card = kit.run_step("CardFlow/report").cards["second"]
    origin = kit.artifacts("CardFlow/report").steps[0].tasks[0].pathspec
    assert f"rendered in {origin}" in json.dumps(content(card.html))


def test_page_is_saved_to_a_file(tmp_path: Path) -> None:
    path = kit.run_step("CardFlow/end").cards[""].save(tmp_path / "card.html")
    assert "The end" in json.dumps(content(path.read_text(encoding="utf-8")))


def test_step_without_cards_has_none(recorded: Path) -> None:
    write_files(
        recorded,
        {
            "flows/bare.py": """
                from metaflow import FlowSpec, step

                class BareFlow(FlowSpec):
                    @step
                    def start(self):
                        self.next(self.end)

                    @step
                    def end(self):
                        pass

                if __name__ == "__main__":
                    BareFlow()
            """
        },
    )
    run_flow(recorded / "flows" / "bare.py", cwd=recorded)
    cards = kit.run_step("BareFlow/end").cards
    assert (len(cards), repr(cards)) == (0, "no cards")


# ---------------------------------------------------------------- how it is shown


def test_text_names_each_component_and_what_it_says() -> None:
    lines = repr(kit.run_step("CardFlow/report").cards["second"]).splitlines()
    assert lines[0] == "card second of type blank  6 components"
    assert [line.split()[0] for line in lines[1:]] == [
        *("Markdown", "ProgressBar", "Table", "Image", "VegaChart", "Markdown")
    ]
    assert "Rows 7 of 10" in lines[2]
    assert "1 row: <i>name</i>, value" in lines[3]


def test_notebook_shows_the_components_in_plain_html_that_is_small_and_escaped() -> None:
    html = kit.run_step("CardFlow/report").cards["second"]._repr_html_()
    tags = Tags(html).tags
    assert len(html) < 20_000
    assert not {"script", "style", "iframe", "svg"} & {tag for tag, _ in tags}
    assert "<h1>Result</h1>" in html
    assert "&lt;script&gt;" in html
    assert "&lt;i&gt;name&lt;/i&gt;" in html
    assert "7 of 10" in html
    (image,) = [attributes for tag, attributes in tags if tag == "img"]
    assert image["alt"] == "A dot"
    assert str(image["src"]).startswith("data:image/png;base64,iVBOR")
    assert "Points: a Vega chart" in html
    assert ".cards[&#34;second&#34;].show()" in html


def test_notebook_shows_a_small_page_of_its_own_in_a_frame_that_cannot_reach_the_notebook(of_types: tuple) -> None:
    _, pages, shown = of_types
    (frame,) = [attributes for tag, attributes in Tags(shown["page"]).tags if tag == "iframe"]
    assert frame["srcdoc"] == pages["page"]
    assert "allow-same-origin" not in str(frame["sandbox"])
    assert "two" in shown["data"]  # what is left where frames are dropped


def test_whole_page_is_shown_when_it_is_asked_for() -> None:
    card = kit.run_step("CardFlow/end").cards[""]
    page = card.show(height=300)
    (frame,) = [attributes for tag, attributes in Tags(page._repr_html_()).tags if tag == "iframe"]
    assert content(str(frame["srcdoc"])) == content(card.html)
    assert "height:300px" in page._repr_html_()
    assert len(card.html) > FRAME_LIMIT
    assert repr(page).startswith("card of type default: a page of")


def test_all_cards_of_a_step_are_shown_together() -> None:
    cards = kit.run_step("CardFlow/report").cards
    assert cards._repr_html_().count("<hr>") == 2
    assert repr(cards).count("of type blank") == 2


def test_markdown_of_a_card_cannot_bring_tags_or_script_links() -> None:
    hostile = "<img src=x onerror=alert(1)> [link](javascript:alert(1)) \u202eturned"
    html = card_view.html("card", "", [{"type": "markdown", "source": hostile}], "", "", framed=False)
    assert not {"img", "a", "script"} & {tag for tag, _ in Tags(html).tags}
    assert "\u202e" not in html


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "section", "title": "Part", "contents": [{"type": "text", "text": "inner"}]}, ("Part", "inner")),
        ({"type": "artifacts", "data": [{"name": "x", "type": "int", "data": "3"}]}, ("x", "int", "3")),
        ({"type": "valueBox", "title": "Sum", "value": 12, "change_indicator": "up"}, ("Sum", "12", "up")),
        ({"type": "log", "data": "a\nb"}, ("a\nb",)),
        ({"type": "jsonViewer", "json_string": "[1]", "title": "J"}, ("J", "[1]")),
        ({"type": "table", "columns": ["k", "l"], "data": [["v", "w"]], "vertical": True}, ("k", "v", "l", "w")),
        ({"type": "table", "data": [[str(n)] for n in range(80)]}, ("49", "30 more rows")),
        ({"type": "eventsTimeline", "events": [{"metadata": {"n": 1}, "payloads": {}}]}, ("n: 1",)),
        ({"type": "image", "src": "http://example.org/x.png", "label": "Far"}, ("Far", "not in the card")),
        ({"type": "of an extension", "value": 5}, ("of an extension", "5")),
        ({"type": "progressBar", "value": "?", "max": 0}, ("? of 0",)),
        ("plain <b>text</b>", ("plain &lt;b&gt;text",)),
    ],
)
def test_every_kind_of_component_says_what_it_holds(part: object, said: tuple[str, ...]) -> None:
    html = card_view.html("card", "", [part], "", "", framed=False)
    assert [word for word in said if word not in html] == []
    assert card_view.text("card", [part]).startswith("card  1 component")


# ---------------------------------------------------------------- clean hands


def test_cards_start_no_process_and_no_thread_and_write_no_file(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    before, threads = tree(recorded), threading.active_count()
    for step in ("report", "end"):
        cards = kit.run_step(f"CardFlow/{step}").cards
        for card in cards.values():
            assert card.html
            assert card._repr_html_()
    assert (tree(recorded), threading.active_count()) == (before, threads)
    assert list(tmp_path.iterdir()) == []


def test_rendering_a_card_leaves_the_process_as_it_was() -> None:
    import signal

    from metaflow import current
    from metaflow.cards import BlankCard, get_cards
    from metaflow.client import core

    cards = kit.run_step("CardFlow/report").cards
    state = (dict(os.environ), list(sys.argv), list(sys.path), signal.getsignal(signal.SIGALRM))
    client = (core.current_namespace, core.current_metadata)
    main = sys.modules["__main__"]
    for card in cards.values():
        assert card.html
    assert (dict(os.environ), list(sys.argv), list(sys.path), signal.getsignal(signal.SIGALRM)) == state
    assert (core.current_namespace, core.current_metadata) == client
    assert sys.modules["__main__"] is main
    assert not hasattr(current, "card")
    assert "runtime_data" not in vars(BlankCard)
    assert callable(get_cards)


def test_card_that_hangs_is_ended_after_its_timeout(recorded: Path) -> None:
    source = (recorded / "flows" / "cards.py").read_text(encoding="utf-8")
    hanging = source.replace(
        '@card(type="blank", id="second", options={"title": "Second"})',
        '@card(type="test_timeout_card", id="second", timeout=1, options={"timeout": 60})',
    )
    (recorded / "flows" / "cards.py").write_text(hanging, encoding="utf-8")
    try:
        with contextlib.redirect_stderr(None):
            page = kit.run_step("CardFlow/report").cards["second"].html
    finally:
        (recorded / "flows" / "cards.py").write_text(source, encoding="utf-8")
    assert "Card rendering timed out after 1 seconds" in json.dumps(content(page))


def test_error_of_a_card_is_one_of_kits(monkeypatch: pytest.MonkeyPatch) -> None:
    from metaflow.cards import BlankCard

    def fail(*_args: object, **_kwargs: object) -> str:
        raise OSError("no ink")

    cards = kit.run_step("CardFlow/report").cards
    monkeypatch.setattr(BlankCard, "render", fail)
    cards["second"]._renderer.attributes["save_errors"] = False  # type: ignore[index]
    with pytest.raises(ReplayError, match="OSError: no ink"):
        cards["second"].show()


def test_real_kernel_shows_cards(recorded: Path, start_kernel) -> None:
    kernel = start_kernel(recorded, PYTHONPATH=with_extension(recorded))
    kernel.check("%load_ext kit")
    kernel.check("result = %mf_run_step CardFlow/report")
    shown = kernel.check("result.cards['second']")
    assert "<h1>Result</h1>" in shown.html
    assert shown.text.startswith("card second of type blank")
    assert "<iframe" in kernel.check("result.cards['second'].show()").html
