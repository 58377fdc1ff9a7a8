"""What a reader sees of a page and its figures."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree


class Page(HTMLParser):
    """What a reader sees of a page: titles, rows of tables, captions; and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.texts, self.references, self._inside = [], {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.references += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        tag = self._inside[-1] if self._inside else ""
        if tag in ("td", "th"):
            self.rows[-1][-1] += data
        self.texts.setdefault(tag, []).append(data.strip())


def svgs(text):
    """The figures of a page."""
    return re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)


def words(svg):
    """The texts in figures."""
    found = ElementTree.fromstring(f"<all>{svg}</all>")
    return {"".join(e.itertext()) for e in found.iter("{http://www.w3.org/2000/svg}text")}
