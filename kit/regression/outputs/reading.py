"""An executed cell's outputs, read into what is compared and kept."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from kit.regression.compared import Recorded
from kit.regression.outputs.capture import FIGURE_MIME
from kit.regression.outputs.figures import compare_data, mask_data
from kit.regression.outputs.images import compare_images, image_size
from kit.regression.outputs.rules import Rules
from kit.regression.outputs.sanitize import sanitize
from kit.regression.outputs.tables import compare_html, mask_html, read_html
from kit.regression.outputs.text import VARIES, compare_lines, compare_text, mask_lines

__all__ = ["compare_recorded", "is_compared", "mask_recorded", "read_outputs"]

RASTERS = ("image/png", "image/jpeg", "image/gif", "image/webp")
DATA = re.compile(r"application/(?:json|geo\+json|vnd\.(?:plotly|vega|vegalite)\..*json)$")
TEXTS = ("text/latex", "text/markdown", "application/javascript", "text/plain")
WIDGET = "application/vnd.jupyter.widget-view+json"
CLOSER = 1000  # two runs that follow each other differ by less than later ones will
FAMILY = {"stdout": "text", "stderr": "text", "html": "table"}  # what kit-only calls a kind; others by their own name

Sanitizers = Sequence[tuple[re.Pattern[str], str]]


def read_outputs(outputs: Iterable[Mapping[str, Any]], rules: Rules, first: Sanitizers = ()) -> list[Recorded]:
    """Read a cell's outputs: streams coalesced, each display by the form that says most, texts sanitized.

    Args:
        outputs: As nbformat has them.
        rules: Which kinds are compared, and the sanitizers.
        first: Sanitizers that go before all others.
    """
    clean = partial(sanitize, rules=rules, first=first)
    streams: dict[str, str] = {}
    found: list[Recorded] = []
    places: dict[str, int] = {}
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":  # a kernel may send it in pieces, other outputs between them
            name = output["name"]
            if name == "stderr" and not rules.stderr:
                continue
            if name not in streams:
                places[name] = len(found)
                found.append(Recorded(name, []))
            streams[name] = streams.get(name, "") + _joined(output["text"])
        elif kind == "error":
            message = clean(_joined(output.get("evalue", "")))
            found.append(Recorded("error", {"type": output.get("ename", ""), "message": message.split("\n")}))
        elif kind in ("display_data", "execute_result"):
            shown = _display(output["data"], clean, text_only=rules.only == {"text"})
            found += [shown] if shown else []
    for name, text in streams.items():
        found[places[name]] = Recorded(name, _lines(clean(text)))
    found = [each for each in found if each.value != []]
    return [each for each in found if is_compared(each, rules)]


def is_compared(output: Recorded, rules: Rules) -> bool:
    """Whether an output is of a kind that is compared."""
    return not rules.only or FAMILY.get(output.kind, output.kind) in rules.only


def compare_recorded(old: Recorded, new: Recorded, rules: Rules) -> tuple[str, ...]:
    """Say what differs between an output of the reference and one of the executed notebook, a line each."""
    if old.value == VARIES:
        return ()
    if old.kind != new.kind:
        return (f"{old.summary} -> {new.summary}",)
    if old.kind in ("figure", "data"):
        return compare_data(old.value, new.value, rules)
    if old.kind == "html":
        return compare_html(old.value, new.value, rules)
    if old.kind == "image":
        if not old.image:
            return ("the reference's image file is gone",)
        message = compare_images(old.image, new.image)
        return (message,) if message else ()
    if old.kind == "error":
        message = compare_text(old.value["type"], new.value["type"], rules)
        return (message,) if message else compare_lines(old.value["message"], new.value["message"], rules)
    return compare_lines(old.value, new.value, rules)


def mask_recorded(one: Recorded, other: Recorded, rules: Rules) -> Recorded:
    """Give an output with VARIES in place of what differs in another run of the same cell."""
    rules = replace(rules, rtol=rules.rtol / CLOSER)
    if not compare_recorded(one, other, rules):
        return one
    value: Any = VARIES
    if one.kind == other.kind:
        if one.kind in ("figure", "data"):
            value = mask_data(one.value, other.value, rules)
        elif one.kind == "html":
            value = mask_html(one.value, other.value, rules)
        elif one.kind == "error":
            same_type = one.value["type"] == other.value["type"]
            lines = mask_lines(one.value["message"], other.value["message"], rules)
            value = {"type": one.value["type"] if same_type else VARIES, "message": lines}
        elif one.kind != "image":
            value = mask_lines(one.value, other.value, rules)
    return Recorded(one.kind, value, one.image, one.mime)


def _display(data: Mapping[str, Any], clean: Any, text_only: bool) -> Recorded | None:
    """Read a display by the form that says most about it."""
    plain = _lines(clean(_joined(data.get("text/plain", ""))))
    mime = next((name for name in RASTERS if name in data), "")
    if text_only or WIDGET in data:
        return None if mime or FIGURE_MIME in data else Recorded("text", plain)
    picture = _decoded(data[mime]) if mime else b""
    if FIGURE_MIME in data:
        return Recorded("figure", data[FIGURE_MIME], picture, mime)
    structured = next((name for name in data if DATA.match(name)), None)
    if structured:
        return Recorded("data", _cleaned(data[structured], clean))
    if mime:
        return Recorded("image", {"size": image_size(picture)}, picture, mime)
    if "text/html" in data:
        read = read_html(_joined(data["text/html"]), clean)
        return Recorded("html", read) if read["text"] or read["tables"] else Recorded("text", plain)
    if "image/svg+xml" in data:
        return Recorded("text", _drawing(_joined(data["image/svg+xml"]), clean))
    text = next((name for name in TEXTS if name in data), None)
    return Recorded("text", _lines(clean(_joined(data[text])))) if text else None


def _drawing(source: str, clean: Any) -> list[str]:
    """Read an SVG, a line for each of its elements, without the names that libraries draw at random."""
    source = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<\?.*?\?>|<!DOCTYPE.*?>", "", source, flags=re.DOTALL)
    source = re.sub(r"""\s(?:id|(?:xlink:)?href)=(?:"[^"]*"|'[^']*')|url\(#[^)]*\)""", "", source)
    lines = (" ".join(part.split()) for part in source.replace("<", "\n<").split("\n"))
    return [clean(line) for line in lines if line and not line.startswith("</")]


def _cleaned(value: Any, clean: Any) -> Any:
    """Sanitize the texts in structured data, and the ids that libraries draw at random."""
    if isinstance(value, Mapping):
        return {str(name): _cleaned(part, clean) for name, part in value.items()}
    if isinstance(value, list):
        return [_cleaned(part, clean) for part in value]
    return clean(value) if isinstance(value, str) else value


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(_joined(value))
    except (binascii.Error, ValueError):
        return b""


def _joined(value: Any) -> str:
    """Give a text, which nbformat allows to be a list of lines."""
    return "".join(value) if isinstance(value, list) else str(value)


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines
