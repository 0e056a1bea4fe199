"""The cards of a step that ran in its own environment: the pages that Metaflow rendered there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import ReplayError
from kit.replay.card import FRAME_LIMIT, Card, card_key

__all__ = ["IsolatedCard", "read_cards"]


def read_cards(store: Path, task: tuple[str, str, str, str], collected: Mapping[str, Any]) -> dict[str, IsolatedCard]:
    """Read the cards that a task has stored.

    Args:
        store: The root of the cards.
        task: Flow, run, step and id of the task.
        collected: What the step appended to each card, with its type and id, by Metaflow's key of the card.

    Returns:
        The cards by id; "" for one without an id, and the type (then "type 2", ...) for further ones.
    """
    flow, run, step, task_id = task
    folder = store.joinpath(flow, "runs", run, "steps", step, "tasks", task_id, "cards")
    found: dict[str, IsolatedCard] = {}
    for uuid, card in reversed(list(collected.items())):  # the decorators from the top
        kind, name = str(card["type"]), str(card["id"] or "")
        page = next(folder.glob(f"*-{uuid}.html"), None)
        key = card_key(name, kind, found)
        html = page.read_text(encoding="utf-8") if page else None
        found[key] = IsolatedCard(key, kind, tuple(card["components"]), html)
    return found


@dataclass(frozen=True, repr=False, eq=False)
class IsolatedCard(Card):
    """A card of a step that ran in its own environment: a sequence of its components, which a notebook shows.

    Args:
        id: The card's id; "" for the one without.
        type: The card's type, such as "default" or "blank".
        components: What the step appended to it, as Metaflow renders it: dicts.
        page: The whole page, or None where there is none.
    """

    id: str
    type: str
    components: tuple[Any, ...]
    page: str | None

    @property
    def html(self) -> str:
        """The whole page, as Metaflow's card class rendered it in the step's environment.

        Raises:
            ReplayError: There is none: it could not be rendered.
        """
        if self.page is None:
            raise ReplayError(
                f"The {self._label()} has no page: its rendering failed in the step's environment.",
                "What it printed is in the result's stderr.",
            )
        return self.page

    def __repr__(self) -> str:
        from kit.views import card

        return card.text(self._label(), self.components)

    def _repr_html_(self) -> str:
        from kit.views import card

        small = self.page is not None and len(self.page) <= FRAME_LIMIT
        return card.html(self._label(), self.id, self.components, self.page or "", "", framed=small)
