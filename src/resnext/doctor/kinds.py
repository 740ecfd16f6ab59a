"""The kinds of findings: what each means, how much harm it does, and what is done about it unless a person
decides otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resnext.data.manifest import Action
from resnext.errors import ResnextError

Harm = Literal["low", "medium", "high"]
#: From little harm to much.
HARMS: tuple[Harm, ...] = ("low", "medium", "high")


class FindingsFound(ResnextError):
    """There are findings that do as much harm as was said to be too much."""

    exit_code = 4


@dataclass(frozen=True)
class FindingKind:
    """A kind of finding.

    Attributes:
        name: What it is called in the manifest.
        harm: How much it harms a training or its score.
        title: What it is, for people.
        cure: What to do about it.
        action: What the manifest says of such an image of train; of val and test it says `keep`, unless the
            image cannot be read, since leaving images out of them would change what the score is about.
    """

    name: str
    harm: Harm
    title: str
    cure: str
    action: Action = "keep"

    @property
    def rank(self) -> int:
        """Place in `HARMS`."""
        return HARMS.index(self.harm)


_SEE = "Look at them; drop what no user of the model would ask about"
#: All kinds by name, in the order in which they are told among those of the same harm.
KINDS: dict[str, FindingKind] = {
    kind.name: kind
    for kind in (
        FindingKind(
            "leak",
            "high",
            "the same image in two splits",
            "Drop it where it is trained on: a score on images that were trained on is too good",
            "drop",
        ),
        FindingKind(
            "near_leak",
            "high",
            "nearly the same image in two splits",
            "Drop it where it is trained on: a score on images that were trained on is too good",
            "drop",
        ),
        FindingKind(
            "conflict",
            "high",
            "the same image under two labels",
            "One label is wrong: relabel the image, or leave all copies out",
            "drop",
        ),
        FindingKind(
            "emptied",
            "high",
            "what the manifest would leave empty",
            "Keep some of these images, add others, or divide the set again",
        ),
        FindingKind("empty_file", "high", "files without bytes", "Fetch them again", "drop"),
        FindingKind("truncated", "high", "files that are cut off", "Fetch them again", "drop"),
        FindingKind("unreadable", "high", "files that cannot be read", "Repair or remove them", "drop"),
        FindingKind("refused", "high", "the set cannot be trained on as it is", "See the sentence"),
        FindingKind(
            "lookalike_classes",
            "high",
            "one class under two names",
            "Give both folders, or all rows, one name",
        ),
        FindingKind("empty_class", "high", "classes without an image", "Add images, or remove the class"),
        FindingKind(
            "missing_class",
            "high",
            "classes that a split lacks",
            "Move some of their images there: what is not judged is not known",
        ),
        FindingKind(
            "label",
            "medium",
            "labels that are probably wrong",
            "Look at them, and relabel or drop; those of val and test are never changed unseen",
            "drop",
        ),
        FindingKind(
            "near_conflict",
            "medium",
            "nearly the same image under two labels",
            "One label may be wrong: look at both, then relabel or drop",
        ),
        FindingKind(
            "shift",
            "medium",
            "a split is not drawn like train",
            "Divide all images at random again, unless the difference is meant",
        ),
        FindingKind("small_split", "medium", "a split too small to tell", "Move images there"),
        FindingKind(
            "imbalance",
            "medium",
            "classes of very different size",
            "Add images to the small ones, or weigh them: --data.balance weights",
        ),
        FindingKind(
            "duplicate",
            "medium",
            "the same image twice in a split",
            "Keep one: the others only count it more often",
            "drop",
        ),
        FindingKind(
            "many_alike",
            "low",
            "many images look alike, so near duplicates may be missed",
            "Divide the set by what was photographed, such as the video, not by image",
        ),
        FindingKind("nearly_blank", "medium", "images of almost one colour", _SEE),
        FindingKind("near_duplicate", "low", "nearly the same image twice in a split", _SEE),
        FindingKind("odd_size", "low", "images much smaller or larger than the others", _SEE),
        FindingKind("odd_aspect", "low", "images far longer than wide", _SEE),
        FindingKind("dark", "low", "very dark images", _SEE),
        FindingKind("blurred", "low", "blurred images", _SEE),
        FindingKind("grey", "low", "grey images among coloured ones", _SEE),
        FindingKind("wrong_extension", "low", "names that say another format", "Rename them"),
        FindingKind("several_frames", "low", "files with several images", "Only the first is used"),
        FindingKind("cmyk", "low", "colours for print (CMYK)", "They are converted without their profile"),
        FindingKind("deep_16_bit", "low", "16 bits a channel", "Say what is black and white: --data.grey"),
        FindingKind("palette_transparency", "low", "palettes with transparency", "They are laid on white"),
        FindingKind("exif_rotated", "low", "turned by EXIF", "They are turned upright here; others may not"),
    )
}
