"""The cards of a replayed step: what it appended to them, without the process that Metaflow starts for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kit import internals

__all__ = ["collected", "no_card_process"]


@contextmanager
def no_card_process() -> Iterator[None]:
    """Keep @card from starting the process, of two to three seconds, that renders and stores a card."""
    creator = internals.CardCreator
    before = creator._run_cards_subprocess
    creator._run_cards_subprocess = lambda *_args, **_kwargs: None
    try:
        yield
    finally:
        creator._run_cards_subprocess = before


def collected() -> dict[str, tuple[Any, ...]]:
    """Give the components of the step's cards, by the card's id ("" for a card without one)."""
    collector = internals.current.get("card")
    if collector is None:
        return {}
    ids = {uuid: name for name, uuid in collector._card_id_map.items()}
    return {
        str(ids.get(uuid, "")): tuple(manager.components) for uuid, manager in collector._card_component_store.items()
    }
