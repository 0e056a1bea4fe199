"""The cards of replayed steps, against those that their real runs stored."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from card_flow import content, stored, tree, with_extension
from support import run_flow, write_files

import kit
from kit.errors import ReplayError

pytestmark = pytest.mark.flow


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
