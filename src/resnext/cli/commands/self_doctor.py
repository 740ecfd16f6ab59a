"""`resnext doctor --self`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff

from resnext.cli.command import Command
from resnext.cli.screen import say, say_text

if TYPE_CHECKING:
    from resnext.installation import Installation


@dataclass(frozen=True)
class SelfDoctorCommand(Command):
    """Tell what is installed here and what it computes on, to paste into an issue. Nothing is sent."""

    name: ClassVar[str] = "doctor --self"

    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""

    def run(self) -> None:
        from resnext.installation import find_installation

        found = find_installation()
        if self.json:
            say_text(json.dumps(found.to_json(), indent=2))
        else:
            say(*described(found))
        found.check()


def described(found: Installation) -> Iterator[str]:
    """`found` as lines for people."""
    yield f"resnext    {found.version}"
    yield f"python     {found.python}"
    yield f"system     {found.system}"
    if found.computing is not None:
        yield f"processor  {found.computing.processor}"
        yield f"threads    {found.computing.threads}"
        yield f"cuda       {found.computing.cuda or 'torch is built without it'}"
        yield from (f"device     {device}" for device in found.computing.devices)
    if not found.packages:
        yield "packages   unknown: resnext itself was not installed by pip"
    yield from (f"package    {one.name} {one.version or 'missing'}" for one in found.packages)
    for extra in found.extras:
        if extra.problems:
            lacking, cure = ", ".join(extra.problems), f"pip install 'resnext[{extra.name}]'"
            yield f"extra      {extra.name}: no, {lacking}; {cure}"
        else:
            versions = ", ".join(f"{one.name} {one.version}" for one in extra.packages)
            yield f"extra      {extra.name}: yes ({versions})"
    yield from (f"variable   {name}={value}" for name, value in found.variables.items())
    yield from (f"problem    {problem}" for problem in found.problems)
