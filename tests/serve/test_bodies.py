"""Forms, as browsers, curl and others write them, and broken ones."""

from __future__ import annotations

import contextlib
from email.message import EmailMessage
from email.policy import HTTP

import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st

from resnext.serve.bodies import images_in
from tests.serve.loopback import form


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
def test_a_form_gives_back_its_files(contents: list[bytes]) -> None:
    found = images_in(*form(*contents), 8)
    assert [one.content for one in found] == contents
    assert [one.name for one in found] == [f"{number}.png" for number in range(len(contents))]


def test_forms_of_another_writer_are_read() -> None:
    """Python's `email` writes multipart by the same RFC."""
    message = EmailMessage(policy=HTTP)
    message["Content-Type"] = "multipart/form-data"
    for name in ("a.png", 'b "c".png'):
        part = EmailMessage(policy=HTTP)
        part.set_content(b"\x00\r\n--x\xff", "image", "png", cte="binary")
        del part["Content-Disposition"]
        part.add_header("Content-Disposition", "form-data", name="images", filename=name)
        message.attach(part)
    head, _, body = message.as_bytes().partition(b"\r\n\r\n")
    kind = head.decode().partition("Content-Type:")[2].partition("\r\nMIME")[0].replace("\r\n", " ").strip()
    found = images_in(body, kind, 8)
    assert [one.name for one in found] == ["a.png", 'b "c".png']
    assert [one.content for one in found] == [b"\x00\r\n--x\xff"] * 2


def test_fields_that_are_no_files_and_files_that_were_not_chosen_are_passed_over() -> None:
    body = (
        b"preamble\r\n--B\r\ncontent-disposition: form-data; name=note\r\n\r\nhello\r\n"
        b'--B\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name="i"; filename=""\r\n\r\n\r\n'
        b'--B\r\nContent-Disposition: form-data; name="i"; filename="1.png"\r\n\r\nx\r\n--B--\r\nepilogue'
    )
    assert [one.name for one in images_in(body, 'Multipart/Form-Data; boundary="B"', 8)] == ["1.png"]


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 300))
def test_a_damaged_form_is_read_or_refused_and_nothing_else(noise: bytes, start: int, length: int) -> None:
    body, kind = form(b"one", b"two\r\n", b"three")
    damaged = body[:start] + noise + body[start + length :]
    with contextlib.suppress(HTTPException):
        assert len(images_in(damaged, kind, 64)) > 0


def test_many_small_parts_cost_no_more_than_their_number_allows() -> None:
    body, kind = form(*[b""] * 50_000)
    with pytest.raises(HTTPException, match="413"):
        images_in(body, kind, 64)
