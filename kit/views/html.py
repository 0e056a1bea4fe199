"""A page as HTML that notebooks, trusted or not, nbconvert and GitHub all show."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from kit.views.page import GLYPHS, Page, visible

__all__ = ["render"]


def render(page: Page) -> str:
    """Draw a page as HTML; every text in it is escaped by the template."""
    return _template().render(page=page, glyphs=GLYPHS)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("kit.views"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
