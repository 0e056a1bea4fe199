"""How the cards of a replayed step are shown: as text, in a notebook, as a page of their own."""

from __future__ import annotations

import pytest
from card_flow import Tags, content

import kit
from kit.replay.card import FRAME_LIMIT
from kit.views import card as card_view

pytestmark = pytest.mark.flow


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
