"""`model_info`: the contract once more, in the words that OpenVINO Model API reads."""

from __future__ import annotations

from collections.abc import Iterable

from resnext.contract import Contract


def model_info(contract: Contract) -> dict[str, str]:
    """The metadata of a classifier for OpenVINO Model API; only what it would read rightly.

    Lists are joined by blanks there, so names of classes are left out where one of them holds a blank or a
    control character. Images are taken as OpenCV reads them, blue first. Its `crop` is the same square as
    ours where nothing is cut off after resizing; otherwise nothing is said about resizing, and images of
    the input's size are right.

    >>> from resnext.contract import Input, Provenance, Resize
    >>> size, half = Input(3, 32, 32), (0.5,) * 3
    >>> contract = Contract(("cat", "dog"), size, Resize(32, 32), half, half, Provenance("resnet11"))
    >>> model_info(contract)["labels"], model_info(contract)["mean_values"]
    ('cat dog', '127.5 127.5 127.5')
    """
    resize = contract.resize
    info = {
        "model_type": "Classification",
        "mean_values": _numbers(255 * value for value in contract.mean),
        "scale_values": _numbers(255 * value for value in contract.std),
        "reverse_input_channels": "True",
    }
    if resize.shorter_px == resize.crop_px:
        info["resize_type"] = "crop"
    classes = contract.classes
    if all(name.isprintable() and name.split() == [name] for name in classes) and classes != ("None",):
        info["labels"] = " ".join(contract.classes)
    return info


def _numbers(values: Iterable[float]) -> str:
    return " ".join(map(repr, values))
