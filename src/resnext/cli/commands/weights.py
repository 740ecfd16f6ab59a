"""`resnext weights`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from resnext.cli.command import Command
from resnext.cli.screen import say
from resnext.errors import UsageError


@dataclass(frozen=True)
class WeightsCommand(Command):
    """List public weights by name, fetch or add them, or check those that are here.

    `resnext weights` lists all, `resnext weights seresnext` those whose names contain it. `fetch NAME` gets
    weights from the hub, `add FILE` keeps a file that was fetched by hand under its name, and `verify`
    compares all files with their digests.
    """

    name: ClassVar[str] = "weights"

    words: Annotated[Positional[tuple[str, ...]], arg(metavar="LIKE|fetch NAME|add FILE|verify")] = ()
    """A part of a name, or what to do."""
    of: Annotated[str | None, arg(metavar="NAME")] = None
    """With `add`: which weights of the catalogue the file has, if its name does not say it."""

    def run(self) -> None:
        what, words = (self.words or ("",))[0], self.words[1:]
        actions = {"fetch": self._fetch, "add": self._add, "verify": self._verify}
        if what not in actions:
            words, action = self.words, self._list
        else:
            action = actions[what]
        if self.of is not None and what != "add":
            raise UsageError("--of: goes with add, as in resnext weights add FILE --of NAME")
        action(words)

    def _list(self, words: tuple[str, ...]) -> None:
        from resnext.catalogue import catalogue, find_local, unknown_name
        from resnext.cli.output import number_table, print_table

        like = _one(words, "LIKE") if words else ""
        listed = [entry for entry in catalogue() if like in entry.name or like == entry.network]
        if not listed:
            raise unknown_name(like)
        table = number_table(["weights", "licence"], ["top-1 (%)", "at px", "here"])
        table.columns[0].no_wrap = True
        for entry in listed:
            top1 = "" if entry.top1 is None else f"{entry.top1:.2f}"
            table.add_row(entry.name, entry.licence, top1, str(entry.size_px), str(find_local(entry) or ""))
        print_table(table)

    def _fetch(self, words: tuple[str, ...]) -> None:
        from resnext.catalogue import locate

        located = locate(_one(words, "NAME"))
        say(str(located.entry or words[0]), str(located.path))

    def _add(self, words: tuple[str, ...]) -> None:
        from resnext.weights import add_weights

        entry, folder = add_weights(Path(_one(words, "FILE")), self.of)
        say(str(entry), str(folder))

    def _verify(self, words: tuple[str, ...]) -> None:
        from resnext.catalogue import DamagedWeights, catalogue, verify_local

        if words:
            raise UsageError("verify: takes no further words; it checks all that is here")
        damaged = []
        for entry in catalogue():
            try:
                if path := verify_local(entry):
                    say(f"whole    {entry.name}  {path}")
            except DamagedWeights as error:
                damaged.append(entry.name)
                say(f"damaged  {entry.name}  {error}")
        if damaged:
            raise DamagedWeights(f"{len(damaged)} damaged: {', '.join(damaged)}")


def _one(words: tuple[str, ...], what: str) -> str:
    if len(words) != 1:
        raise UsageError(
            f"weights: takes one {what}, not {len(words)}; resnext weights --help shows the forms"
        )
    return words[0]
