"""The cards of a replayed step: as text, as plain HTML that notebooks keep, and as a page in a frame.

Metaflow's components render to dicts ("type": "table", ...), which a script of one megabyte draws in the browser. Here
they are drawn without it; what that script alone can draw (charts, the graph) is named.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from markupsafe import Markup, escape

from kit.views.page import size, visible
from kit.views.template import template

__all__ = ["Block", "blocks", "frame", "html", "text", "together"]

MAX_ROWS = 50
MAX_CHARACTERS = 10_000  # of one block
MAX_TEXT = 72  # of one block in the text
MIN_HEIGHT, MAX_HEIGHT, LINE_HEIGHT = 80, 480, 28  # pixels
ONLY_IN_FULL = {"vegaChart": "a Vega chart", "dag": "the flow's graph", "barChart": "a chart", "lineChart": "a chart"}
KEYS = {"log": "data", "pythonCode": "data", "jsonViewer": "json_string", "yamlViewer": "yaml_string"}
NAMES = {"jsonViewer": "JSONViewer", "yamlViewer": "YAMLViewer", "html": "HTML", "artifacts": "Artifact"}
HEADINGS = {"title", "subtitle", "heading"}
PAGE_DATA = re.compile(r'__MF_DATA__\["[^"]*"\] = "([A-Za-z0-9+/=]*)"')
OWN_HEIGHT = re.compile(r"<(script|svg|img|canvas|iframe|video|object)\b", re.IGNORECASE)
NEW_LINE = re.compile(r"<(p|div|tr|li|h\d|br|pre|section|table)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A piece of a card.

    Args:
        kind: How it is drawn: "markdown", "text", "heading", "code", "table", "image", "bar", "value", "section",
            "frame" or "absent".
        text: What it says.
        title: What stands above it; the label of an image.
        children: What is in it, for a section.
        columns: The names of a table's columns.
        rows: The cells of a table.
        fraction: How far a bar is, from 0 to 1.
        name: The name of the component, for the text.
    """

    kind: str
    text: str = ""
    title: str = ""
    children: tuple[Block, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Block, ...], ...] = ()
    fraction: float = 0.0
    name: str = ""


def html(label: str, card_id: str, parts: Sequence[Any], page: str, error: str, framed: bool) -> str:
    """Draw a card for a notebook.

    Args:
        label: Which card, such as "card second of type blank".
        card_id: Its key in the result's `cards`.
        parts: Its components as Metaflow renders them: dicts and strings.
        page: The whole page of the card; "" where there is none.
        error: Why the page could not be rendered; "" where it could.
        framed: Whether to show the page itself, in a frame, and the components folded below it.
    """
    own = blocks(parts)
    shown = own if framed or error else (_page_blocks(page) or own)
    failed = _error_block(error) if error else None
    return template("card.html.j2").render(
        label=label,
        key=f".cards[{json.dumps(card_id)}]",
        count=_counted(own),
        blocks=shown,
        failed=failed,
        folds=any(not block.title for block in shown),
        size=size(len(page)),
        page=page,
        frame=Markup(frame(page, _height(page))) if framed else "",  # noqa: S704  # drawn by a template, escaped there
        markdown=_markdown,
        lines=_lines,
    )


def frame(page: str, height: int) -> str:
    """Draw a whole page in a frame that scripts cannot leave.

    Args:
        page: The HTML.
        height: In pixels.
    """
    return template("frame.html.j2").render(page=escape(page), height=height)


def together(drawn: Sequence[str]) -> str:
    """Put drawn cards below each other."""
    return "<hr>".join(drawn) or str(escape("no cards"))


def text(label: str, parts: Sequence[Any]) -> str:
    """Draw a card as text, a line a component."""
    own = blocks(parts)
    rows = [(block.name, _summary(block)) for block in _flat(own)]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join([visible(f"{label}  {_counted(own)}"), *(f"  {name:{width}}  {said}" for name, said in rows)])


def blocks(parts: Sequence[Any]) -> tuple[Block, ...]:
    """Turn what Metaflow's components render to into blocks.

    Args:
        parts: Dicts and strings.
    """
    return tuple(_block(part) for part in parts)


def _block(part: Any) -> Block:
    if not isinstance(part, dict):
        return Block("text", _cut(str(part)), name="text")
    kind = str(part.get("type"))
    title = " · ".join(str(part[key]) for key in ("title", "subtitle") if part.get(key))
    name = NAMES.get(kind, kind[:1].upper() + kind[1:])
    if kind in ("section", "page"):
        return Block("section", title=title, children=blocks(part.get("contents") or ()), name=name)
    if kind == "markdown":
        return Block("markdown", _cut(str(part.get("source") or "").strip("\n")), name=name)
    if kind in HEADINGS:
        return Block("heading", str(part.get("text")), name=name)
    if kind == "text":
        return Block("text", _cut(str(part.get("text"))), name=name)
    if kind in KEYS:
        return Block("code", _cut(str(part.get(KEYS[kind], "")).strip("\n")), title, name=name)
    if kind == "image":
        return _image(str(part.get("src")), str(part.get("label") or title))
    if kind == "html":
        return Block("frame", str(part.get("data")), title, name=name)
    if kind in ONLY_IN_FULL:
        return Block("absent", ONLY_IN_FULL[kind], _chart_title(part) or title, name=name)
    if kind in DRAWN:
        return DRAWN[kind](part)
    return Block("code", _cut(json.dumps(part, indent=2, default=str)), name=name)


def _table(part: dict[str, Any]) -> Block:
    columns: Sequence[Any] = part.get("columns") or ()
    data: Sequence[Any] = part.get("data") or ()
    title = str(part.get("title") or "")
    if part.get("vertical") and len(data) == 1:
        data, columns = [list(pair) for pair in zip(columns, data[0], strict=False)], ()
    rows = tuple(blocks(row) for row in data[:MAX_ROWS] if row)
    more = f"{len(data) - MAX_ROWS} more rows" if len(data) > MAX_ROWS else ""
    return Block("table", more, title, columns=tuple(map(str, columns)), rows=rows, name="Table")


def _artifacts(part: dict[str, Any]) -> Block:
    found: Sequence[Any] = part.get("data") or ()
    if len(found) == 1 and not found[0].get("name"):
        return Block("code", _cut(str(found[0].get("data"))), name="Artifact")
    rows = tuple(
        (
            Block("text", str(one.get("name") or "")),
            Block("text", str(one.get("type"))),
            Block("code", _cut(str(one.get("data")))),
        )
        for one in found
    )
    return Block("table", columns=("artifact", "type", "value"), rows=rows, name="Artifact")


def _image(source: str, label: str) -> Block:
    source = "".join(source.split())  # Metaflow breaks the base64 into lines
    if not source.startswith("data:image/"):
        return Block("absent", "an image that is not in the card", label, name="Image")
    return Block("image", source, label, name="Image")


def _bar(part: dict[str, Any]) -> Block:
    value, most, unit = part.get("value"), part.get("max"), str(part.get("unit") or "")
    numbers = isinstance(value, (int, float)) and isinstance(most, (int, float)) and most > 0
    fraction = min(max(value / most, 0.0), 1.0) if numbers else 0.0  # type: ignore[operator]
    said = " ".join(filter(None, (f"{value} of {most}", unit, str(part.get("details") or ""))))
    return Block("bar", said, str(part.get("label") or ""), fraction=fraction, name="ProgressBar")


def _value(part: dict[str, Any]) -> Block:
    more = [Block("text", str(part[key])) for key in ("subtitle", "change_indicator") if part.get(key)]
    return Block("value", str(part.get("value")), str(part.get("title") or ""), tuple(more), name="ValueBox")


def _events(part: dict[str, Any]) -> Block:
    rows = []
    for event in part.get("events") or ():
        said = ", ".join(f"{key}: {value}" for key, value in event.get("metadata", {}).items() if key != "timestamp")
        payloads = blocks(list(event.get("payloads", {}).values()))
        rows.append((Block("text", said), Block("section", children=payloads)))
    return Block("table", title=str(part.get("title") or ""), rows=tuple(rows[:MAX_ROWS]), name="EventsTimeline")


DRAWN: dict[str, Callable[[dict[str, Any]], Block]] = {
    "artifacts": _artifacts,
    "eventsTimeline": _events,
    "progressBar": _bar,
    "table": _table,
    "valueBox": _value,
}


def _chart_title(part: dict[str, Any]) -> str:
    spec = part.get("spec")
    title = spec.get("title") if isinstance(spec, dict) else None
    return str(title.get("text") if isinstance(title, dict) else title) if title else ""


def _error_block(error: str) -> Block:
    return Block("code", _cut(error.strip("\n")))


def _page_blocks(page: str) -> tuple[Block, ...]:
    """Read the blocks of a page that Metaflow's template made: what its script would draw."""
    found = PAGE_DATA.search(page)
    if found is None:
        return ()
    try:
        parts = json.loads(base64.b64decode(found.group(1)))["components"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        return ()
    return tuple(child for block in blocks(parts) if block.name == "Page" for child in _opened(block.children))


def _opened(children: Sequence[Block]) -> tuple[Block, ...]:
    """Take the blocks out of sections without a title."""
    found: list[Block] = []
    for block in children:
        found += _opened(block.children) if block.kind == "section" and not block.title else [block]
    return tuple(found)


def _flat(own: Sequence[Block]) -> tuple[Block, ...]:
    return tuple(one for block in own for one in (_flat(block.children) if block.kind == "section" else (block,)))


def _counted(own: Sequence[Block]) -> str:
    number = len(_flat(own))
    return f"{number or 'no'} component" + ("" if number == 1 else "s")


def _summary(block: Block) -> str:
    said = " ".join(filter(None, (block.title, block.text)))
    if block.kind == "table":
        rows = "1 row" if len(block.rows) == 1 else f"{len(block.rows)} rows"
        columns = ", ".join(filter(None, block.columns))
        said = ": ".join(filter(None, (" ".join(filter(None, (block.title, rows))), columns)))
    elif block.kind == "image":
        said = " ".join(filter(None, (block.title, size(len(block.text) * 3 // 4))))
    lines = said.splitlines() or [""]
    first = visible(lines[0])
    return first[:MAX_TEXT] + "…" if len(lines) > 1 or len(first) > MAX_TEXT else first


def _cut(said: str) -> str:
    return said if len(said) <= MAX_CHARACTERS else f"{said[:MAX_CHARACTERS]}\n… {len(said) - MAX_CHARACTERS} more"


def _lines(said: str) -> Markup:
    """Escape a text, its line ends kept."""
    return escape("\n".join(visible(line.replace("\t", "    ")) for line in said.splitlines()))


def _markdown(said: str) -> Markup:
    """Turn Markdown into HTML; tags in it are shown as text, and so is all of it without the reader."""
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        return Markup('<div style="white-space:pre-wrap">{}</div>').format(_lines(said))
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return Markup(reader.render("\n".join(map(visible, said.splitlines()))))  # noqa: S704  # the reader escapes text, and refuses script links


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def handle_data(self, data: str) -> None:
        self.length += len(data.strip())


def _height(page: str) -> int:
    """Estimate the height of a small page, in pixels; one that draws gets all the room."""
    if OWN_HEIGHT.search(page):
        return MAX_HEIGHT
    reader = _Text()
    reader.feed(page)
    lines = len(NEW_LINE.findall(page)) + reader.length // 100 + 1
    return min(max(LINE_HEIGHT * (lines + 2), MIN_HEIGHT), MAX_HEIGHT)
