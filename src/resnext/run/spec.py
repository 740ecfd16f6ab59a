"""What all processes of a run must agree on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resnext.contract import Contract
from resnext.data.contents import contents_digest
from resnext.data.decode import BadImage
from resnext.data.splits import Splits, fingerprint
from resnext.machine import Machine
from resnext.parsing import build
from resnext.recipe import Recipe
from resnext.recipe.options import TrainOptions
from resnext.records import stamp
from resnext.run.documents import DataDocument, WeightsOrigin
from resnext.run.folder import RunFolder


@dataclass(frozen=True)
class RunSpec:
    """The specification of a run: the main process reads it from the run folder and sends it to the others.

    `about` is data.json: name and fingerprint of the data, images left out, and the weights the run starts
    from.
    """

    path: Path
    finished: bool
    recipe: Recipe
    contract: Contract
    about: DataDocument

    @classmethod
    def read(cls, folder: RunFolder) -> RunSpec:
        """The specification in `folder`. Raises `RunError`."""
        about = folder.read_document("data.json", DataDocument)
        return cls(folder.path, folder.is_finished(), folder.recipe(), folder.contract(), about)

    def to_json(self) -> list[Any]:
        """As JSON; `from_json` is the inverse."""
        recipe, contract, about = self.recipe.to_toml(), self.contract.dumps(), asdict(self.about)
        return [str(self.path), self.finished, recipe, contract, about]

    @classmethod
    def from_json(cls, value: list[Any]) -> RunSpec:
        path, finished, recipe, contract, about = value
        data = build(DataDocument, about, "data")
        return cls(Path(path), finished, Recipe.from_toml(recipe), Contract.loads(contract), data)

    @property
    def origin(self) -> WeightsOrigin | None:
        """The weights that the run starts from; None for fresh ones."""
        return self.about.weights

    @property
    def skipped(self) -> dict[str, set[int]]:
        """Indices of the unreadable images that are left out, by split."""
        return {name: set(map(int, bad)) for name, bad in self.about.skipped.items()}

    @property
    def skipped_errors(self) -> tuple[BadImage, ...]:
        """Why each of them is left out."""
        return tuple(BadImage(*bad) for split in self.about.skipped.values() for bad in split.values())


def comparable_facts(
    recipe: Recipe, options: TrainOptions, splits: Splits, machine: Machine
) -> dict[str, str]:
    """What must be equal on all processes that train together."""
    made = stamp("")
    return {
        "commit": f"{made.commit}{', changed' if made.dirty else ''}",
        "data": f"{fingerprint(splits)} {known_contents(splits)}".strip(),
        "device": machine.device.type,
        "recipe": recipe.to_toml(),
        "run": f"{options.name}, --resume {options.resume}, --checkpoint-every {options.checkpoint_every}",
    } | made.versions


def known_contents(splits: Splits) -> str:
    """Digest of what all images hold, where it is known without reading them: of an index; else empty."""
    scans = {name: images.known_scan for name, images in splits.items()}
    contents = {name: scan.contents for name, scan in scans.items() if scan is not None and scan.contents}
    return contents_digest(contents) if len(contents) == len(scans) else ""
