"""Text and HTML of everything that kit shows. Knows `kit.model` alone, so it draws without Metaflow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.views.page import Page

__all__ = ["Displayed"]


class Displayed(ABC):
    """Something that terminals show as text and notebooks as HTML, both drawn from one page."""

    @abstractmethod
    def _page(self) -> Page:
        """Say what there is to show."""

    def __repr__(self) -> str:
        from kit.views import text

        return text.render(self._page())

    def _repr_html_(self) -> str:
        from kit.views import html

        return html.render(self._page())
