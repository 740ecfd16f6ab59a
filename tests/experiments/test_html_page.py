"""The page in HTML: the Markdown that it is made of, and nothing that texts smuggle in."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from resnext.experiments.html_page import to_html


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_each_block_becomes_what_it_is() -> None:
    text = "# A & B\n\nOne **two** `three <b>` *four*\nfive\n\n"
    text += "| a | b |\n|---|---|\n| 1<br>2 | `x` |\n\n|\n\n![p](f/p.svg)"
    html = to_html(text, {"p.svg": "<?xml version='1.0'?><svg><g/></svg>"})
    for part in (
        "<h1>A &amp; B</h1>",
        "<p>One <strong>two</strong> <code>three &lt;b&gt;</code> <em>four</em>\nfive</p>",
        "<tr><th>a</th><th>b</th></tr>",
        "<tr><td>1<br>2</td><td><code>x</code></td></tr>",
        "<p>|</p>",
        '<figure role="img" aria-label="p"><svg><g/></svg></figure>',
    ):
        assert part in html


@given(st.text(alphabet="ab <>&\"'`*|#[]()!\n", max_size=60))
def test_no_text_makes_an_element_of_its_own(text: str) -> None:
    found = Tags(to_html(f"x {text}", {}))
    own = {"html", "head", "meta", "title", "style", "body", "p", "h1", "strong", "em", "code", "br"}
    assert set(found.tags) <= own | {"h2", "h3", "h4", "h5", "h6", "table", "tr", "td", "th"}
