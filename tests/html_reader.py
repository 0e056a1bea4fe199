"""Reads HTML as a browser does."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Notes every tag, attribute and word, and tags that are not closed in order."""

    VOID = frozenset({"img", "br", "hr"})

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], set(), set(), []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data.split()
