"""A flow with cards of every kind, and what its real run stored."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

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
