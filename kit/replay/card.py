"""A card of a step that was replayed, wherever it ran: its components, and its page to be shown or saved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

__all__ = ["FRAME_LIMIT", "Card", "CardPage", "card_key"]

FRAME_LIMIT = 200_000  # characters: a larger page is not put into the notebook unasked; Metaflow's own has 1.1 million
SHOWN_HEIGHT = 640  # pixels


class Card(Sequence[Any]):
    """A card: a sequence of its components, whose page is there to be shown or saved."""

    id: str
    type: str
    components: tuple[Any, ...]

    @property
    def html(self) -> str:
        """The whole page, as Metaflow's card class renders it.

        Raises:
            ReplayError: There is none.
        """
        raise NotImplementedError

    def save(self, path: str | Path) -> Path:
        """Write the whole page to a file.

        Args:
            path: Where to.

        Returns:
            The path.

        Raises:
            ReplayError: It cannot be rendered.
        """
        path = Path(path)
        path.write_text(self.html, encoding="utf-8")
        return path

    def show(self, height: int = SHOWN_HEIGHT) -> CardPage:
        """Give the whole page as something that a notebook shows: write it as the last line of a cell.

        Args:
            height: In pixels.

        Raises:
            ReplayError: It cannot be rendered.
        """
        return CardPage(self._label(), self.html, height)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Any, ...]: ...

    def __getitem__(self, index: int | slice) -> Any:
        return self.components[index]

    def __len__(self) -> int:
        return len(self.components)

    def _repr_html_(self) -> str:
        """Draw it for a notebook."""
        raise NotImplementedError

    def _label(self) -> str:
        named = f"card {self.id}" if self.id and self.id != self.type else "card"
        return f"{named} of type {self.type}"


def card_key(name: str, kind: str, taken: Collection[str]) -> str:
    """Give the key that a card goes by: its id, "" without one, then its type, "type 2", ...

    Args:
        name: Its id.
        kind: Its type.
        taken: The keys of the cards before it.
    """
    candidates = [name, kind, *(f"{kind} {number}" for number in range(2, len(taken) + 2))]
    return next(candidate for candidate in candidates if candidate not in taken)


@dataclass(frozen=True, repr=False)
class CardPage:
    """The whole page of a card, for a notebook to show.

    Args:
        label: Which card.
        page: Its HTML.
        height: In pixels.
    """

    label: str
    page: str
    height: int

    def __repr__(self) -> str:
        return f"{self.label}: a page of {len(self.page)} characters"

    def _repr_html_(self) -> str:
        from kit.views import card

        return card.frame(self.page, self.height)
