"""A page of a report: a template and values, as one HTML file that needs no network."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from resnext.names import printable_lines


def render(template: str, values: dict[str, Any]) -> str:
    """The page that `template` makes of `values`, whose text is escaped."""
    environment = Environment(
        loader=PackageLoader("resnext.reporting", "templates"),
        autoescape=True,
        finalize=_without_controls,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "duration": _duration}
    return environment.get_template(template).render(values)


def _without_controls(value: object) -> object:
    """A value of a page, without what could turn the text around it."""
    return printable_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


def _duration(seconds: float) -> str:
    """A measured time for people; `duration` of the display, which estimates, is coarser.

    >>> _duration(42), _duration(312), _duration(7300)
    ('42 s', '5 min 12 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
