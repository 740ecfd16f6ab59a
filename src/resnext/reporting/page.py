"""Accounts of runs to one page of HTML: a run in full, or several side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from resnext.recipe import dotted_names, get_field
from resnext.reporting.account import Account
from resnext.reporting.figures import (
    NAMES_UP_TO,
    confusion_plot,
    curve,
    reliability_plot,
    shorten,
    val_errors,
)
from resnext.results import paired_test

#: Pairs of classes that are listed as most often confused.
PAIRS = 15


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of one finished run, or of several side by side, and return its path.

    `out` is report.html in the run's folder, or comparison.html beside the first of several. Raises
    `RunError` for a folder that holds no finished run, `OSError` where the page cannot be written.
    """
    accounts = [Account.read(run) for run in runs]
    if len(accounts) == 1:
        out = out or accounts[0].folder / "report.html"
        page = _render("run.html.j2", _run(accounts[0]))
    else:
        out = out or accounts[0].folder.parent / "comparison.html"
        page = _render("comparison.html.j2", _comparison(accounts))
    aside = out.with_name(out.name + ".part")
    aside.write_text(page, encoding="utf-8")
    os.replace(aside, out)
    return out


def _render(template: str, values: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("resnext.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "duration": _duration, "shorten": shorten}
    return environment.get_template(template).render(values)


def _run(account: Account) -> dict[str, Any]:
    """What the page of one run shows."""
    classes, counts = account.contract.classes, account.confusion
    wrong = counts - np.diag(np.diag(counts))
    often = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [
        (classes[row], classes[column], int(wrong[row, column]), int(counts[row].sum()))
        for row, column in zip(*np.unravel_index(often, wrong.shape), strict=True)
        if wrong[row, column]
    ]
    return {
        "run": account,
        "curves": [
            Markup(curve(account.epochs, account.result["metrics"]["best_epoch"], what, label))
            for what, label in (("loss", "loss"), ("top1_error", "top-1 error, %"))
        ],
        "reliability_plot": Markup(reliability_plot(account.reliability)),
        "confusion_plot": Markup(confusion_plot(counts, classes)),
        "named": len(classes) <= NAMES_UP_TO,
        "pairs": pairs,
        "mistakes": list(account.mistakes()),
        "rows": sorted(account.scores.classes, key=lambda row: (row.count == 0, row.f1)),
        "waits": account.result.get("waits"),  # runs of earlier versions have none
    }


def _comparison(accounts: list[Account]) -> dict[str, Any]:
    """What the page of several runs shows."""
    names = _names(accounts)
    recipes = [account.recipe for account in accounts]
    differing = [
        (name, [get_field(recipe, name) for recipe in recipes])
        for name in dotted_names()
        if len({repr(get_field(recipe, name)) for recipe in recipes}) > 1
    ]
    first, *others = accounts
    tests = [
        (name, paired_test(first.right, other.right) if _same_pictures(first, other) else None)
        for name, other in zip(names[1:], others, strict=True)
    ]
    return {
        "runs": list(zip(names, accounts, strict=True)),
        "val_errors": Markup(val_errors(dict(zip(names, (a.epochs for a in accounts), strict=True)))),
        "differing": differing,
        "tests": tests,
        "same_data": len({account.about["fingerprint"] for account in accounts}) == 1,
        "optimistic": any(account.is_optimistic for account in accounts),
    }


def _names(accounts: list[Account]) -> list[str]:
    """A name for each run, the folder's; with a number where two are alike."""
    names: list[str] = []
    for account in accounts:
        name, number = account.name, 2
        while name in names:
            name, number = f"{account.name} ({number})", number + 1
        names.append(name)
    return names


def _same_pictures(one: Account, other: Account) -> bool:
    return one.keys == other.keys and np.array_equal(one.labels, other.labels)


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


def _duration(seconds: float) -> str:
    """As 42 s, 5 min 12 s or 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
