"""`resnext doctor --self`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from resnext.cli.commands.doctor import DoctorCommand
from resnext.cli.commands.self_doctor import SelfDoctorCommand, described
from resnext.cli.parser import parse
from resnext.errors import UsageError
from resnext.installation import Extra, Installation, Package
from resnext.version import __version__

Run = Callable[..., int]


def test_it_is_chosen_by_its_option_alone() -> None:
    assert parse(["doctor", "--self"]) == SelfDoctorCommand()
    assert parse(["doctor", "--json", "--self"]) == SelfDoctorCommand(json=True)
    assert isinstance(parse(["doctor", "IMAGES"]), DoctorCommand)
    with pytest.raises(UsageError, match=r"there is no option --folds of `resnext doctor --self`"):
        parse(["doctor", "--self", "--folds", "3"])


def test_what_it_tells(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--self") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"resnext    {__version__}\n")
    assert "\npackage    torch " in said
    assert run("doctor", "--self", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == __version__
    for package in told["packages"]:
        assert f"package    {package['name']} {package['version']}\n" in said


def test_what_is_missing_is_told_with_its_cure() -> None:
    extra = Extra("heif", (Package("pillow-heif", None, ">=0.20"),))
    lines = [*described(Installation("1", "", "", (), (extra,), None, "torch is broken", {}))]
    assert "extra      heif: no, pillow-heif is missing; pip install 'resnext[heif]'" in lines
    assert "packages   unknown: resnext itself was not installed by pip" in lines
    assert lines[-1] == "problem    torch is broken"


def test_the_help_of_doctor_names_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--help") == 0
    assert "resnext doctor --self" in capsys.readouterr().out
