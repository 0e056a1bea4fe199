"""The card types that kit adds to Metaflow."""

from metaflow.cards import MetaflowCard


class Page(MetaflowCard):
    """A task's artifact `html`, a whole page, as its card."""

    type = "kit_page"

    def render(self, task):
        """Give the page."""
        return task["html"].data


CARDS = [Page]
