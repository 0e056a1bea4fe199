"""A page as HTML that notebooks, trusted or not, nbconvert and GitHub all show."""

from __future__ import annotations

from kit.views.page import GLYPHS, Page
from kit.views.template import template

__all__ = ["render"]


def render(page: Page) -> str:
    """Draw a page as HTML; every text in it is escaped by the template."""
    picture = None
    if page.graph is not None and page.graph.nodes:
        from kit.views.svg import graph_picture  # most pages have none

        picture = graph_picture(page.graph)
    return template("page.html.j2").render(page=page, glyphs=GLYPHS, picture=picture)
