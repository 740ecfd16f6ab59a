"""The page: complete in itself, small, and kept by browsers until it changes."""

from __future__ import annotations

import re

from resnext.serve.page_route import FILES
from tests.serve.loopback import Served

#: Bytes of the page and all that it loads.
MOST_BYTES = 150_000


def test_the_page_loads_nothing_but_its_own_files(served: Served) -> None:
    answers = {path: served.get(path) for path in FILES}
    assert {answer.status for answer in answers.values()} == {200}
    assert sum(len(answer.body) for answer in answers.values()) < MOST_BYTES
    page = answers["/"].body.decode()
    assert set(re.findall(r'(?:src|href)="(/[^"]*)"', page)) == set(FILES) - {"/"}
    namespace = "http://www.w3.org/2000/svg"
    for answer in answers.values():
        text = answer.body.decode().replace(namespace, "")
        assert not re.findall(r"https?://|//[a-z]+\.|@import|url\(", text)
        assert "innerHTML" not in text  # names of classes and files are text


def test_a_browser_that_has_it_is_told_so(served: Served) -> None:
    first = served.get("/page.js")
    again = served.get("/page.js", **{"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert served.ask("HEAD", "/").status == 200
    assert served.ask("POST", "/").status == 405
