"""The templates that views are drawn with: every text in them is escaped, and what is not printed is shown."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from kit.views.page import visible

__all__ = ["template"]


@cache
def template(name: str) -> Template:
    """Give a template of kit/views/templates by its file's name."""
    environment = Environment(
        loader=PackageLoader("kit.views"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
