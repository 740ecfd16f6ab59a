"""Deep grey: one value is one level in all images of a set, and the values of the set say the range."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resnext.contract import ContractError, GreyRange, Resize
from resnext.data.augment import Augmentation, Flip, PadCrop, ResizedCrop
from resnext.data.decode import BadImage, decode
from resnext.data.device_dataset import BatchAugmentation, DeviceDataset
from resnext.data.fast_jpeg import FastAugmentation
from resnext.data.grey import GreyValues
from resnext.data.images import CachedImages, ImageDataset, Scan
from resnext.data.loaders import evaluation_batches, training_batches
from resnext.data.sampling import SamplingPlan
from resnext.data.scan import scan
from resnext.data.sources import read_split
from resnext.data.splits import Splits
from resnext.data.stored_images import ColumnImages, UnlabelledImages
from resnext.data.streaming import ImageStream
from resnext.progress import run_to_end

KINDS: dict[str, tuple[Any, str]] = {
    "PNG of 16 bits": (np.uint16, "PNG"),
    "TIFF of 16 bits": (np.uint16, "TIFF"),
    "TIFF of 32 bits": (np.int32, "TIFF"),
    "TIFF of floats": (np.float32, "TIFF"),
}
CT = GreyRange(-1000, 3000)


#: Levels are whole.
HALF = 0.5 + 1e-6


def level(value: Any, grey: GreyRange) -> Any:
    """What a value looks like, as it is promised, before it is rounded."""
    share = (np.asarray(value, np.float64) - grey.black) / (grey.white - grey.black)
    return 255 * np.clip(share, 0, 1)


def stored(values: Any, kind: str = "PNG of 16 bits") -> bytes:
    dtype, suffix = KINDS[kind]
    file = io.BytesIO()
    Image.fromarray(np.asarray(values).astype(dtype)).save(file, suffix)
    return file.getvalue()


def shown(source: bytes, grey: GreyRange | None) -> Any:
    red, green, blue = np.moveaxis(np.asarray(decode(source, "key", grey)), 2, 0)
    assert np.array_equal(red, green)
    assert np.array_equal(red, blue)
    return red


ENDS = st.tuples(st.integers(-70_000, 70_000), st.integers(1, 70_000))


@given(st.sampled_from(list(KINDS)), ENDS, st.integers(0, 65535), st.lists(st.integers(0, 65535), min_size=1))
def test_a_value_is_one_level_whatever_lies_beside_it(
    kind: str, ends: tuple[int, int], value: int, others: list[int]
) -> None:
    grey = GreyRange(ends[0], ends[0] + ends[1])
    alone, among = (shown(stored([[value, *more]], kind), grey)[0, 0] for more in ([], others))
    assert alone == among
    assert (
        np.abs(shown(stored([[value, *others]], kind), grey)[0] - level([value, *others], grey)).max() <= HALF
    )


def test_gaps_are_black_and_infinite_values_are_ends() -> None:
    values = [[np.nan, -np.inf, np.inf, 0.0, -1000.0, 1000.0, 3000.0]]
    assert shown(stored(values, "TIFF of floats"), CT)[0].tolist() == [0, 0, 255, 64, 0, 128, 255]


def test_images_of_8_bits_have_no_part_in_it() -> None:
    file, values = io.BytesIO(), np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(values).save(file, "PNG")
    assert np.array_equal(shown(file.getvalue(), CT), values)


def test_a_transparent_value_stays_transparent_and_white_may_be_low() -> None:
    wide = np.array([[0, 1000, 4095]], np.uint16)
    file = io.BytesIO()
    Image.fromarray(wide).save(file, "PNG", transparency=1000)
    assert shown(file.getvalue(), GreyRange(0, 4095))[0].tolist() == [0, 255, 255]
    file = io.BytesIO()
    Image.fromarray(wide).save(file, "TIFF", tiffinfo={262: 0})
    assert shown(file.getvalue(), GreyRange(0, 4095))[0].tolist() == [255, 193, 0]


def test_a_range_has_two_ends() -> None:
    for black, white in ((0, 0), (5, 3), (0, float("inf")), (float("nan"), 1), (0, 1e13)):
        with pytest.raises(ContractError, match="white must be the larger one"):
            GreyRange(black, white)


@pytest.mark.parametrize(
    ("lowest", "largest", "floats", "white"),
    [
        (0, 0, False, 255),
        (3, 255, False, 255),
        (0, 256, False, 1023),
        (0, 1024, False, 4095),
        (250, 4095, False, 4095),
        (0, 4096, False, 16383),
        (0, 16384, False, 65535),
        (0, 65535, False, 65535),
        (0, 65536, False, None),
        (-1, 255, False, None),
        (0, 0.2, True, 1),
        (-0.01, 1.01, True, 1),
        (-0.02, 1, True, None),
        (0, 1.02, True, None),
        (0, 1.2, True, None),
        (0, 63, True, None),
        (0, 64, True, 255),
        (-2.5, 257.5, True, 255),
        (0, 258, True, None),
        (0, 4095, True, None),
    ],
)
def test_the_range_is_the_first_that_no_value_of_the_set_exceeds(
    lowest: float, largest: float, floats: bool, white: float | None
) -> None:
    values = GreyValues(lowest, largest, "a", "b", (lowest, largest), floats, not floats)
    assert values.choose() == (None if white is None else GreyRange(0, white))


def test_floats_beside_whole_numbers_are_not_certain() -> None:
    values = GreyValues(0, 200, "a", "b", (0, 200), has_floats=True, has_whole=True)
    assert values.choose() is None
    assert "some are floats, and some whole numbers" in values.refusal()


def images_of(encoded: list[bytes]) -> ColumnImages:
    labels = np.arange(len(encoded)) % 2
    return ColumnImages(
        pa.chunked_array([encoded]), [f"{i}.png" for i in range(len(encoded))], labels, ("a", "b")
    )


def scanned(images: ImageDataset, grey: GreyRange | None = None) -> Scan:
    return run_to_end(scan(images, 2, grey))


RANDOM = np.random.default_rng(7)
DEEP = [RANDOM.integers(0, 4000, (9, 12)) for _ in range(70)]


@pytest.mark.parametrize("asked", [None, GreyRange(500, 1500)])
def test_colours_are_those_of_the_range(asked: GreyRange | None) -> None:
    """Of deep images and of others, in one look."""
    eight = io.BytesIO()
    Image.fromarray(np.full((9, 12), 40, np.uint8)).save(eight, "PNG")
    found = scanned(images_of([*map(stored, DEEP), eight.getvalue()]), asked)
    used = asked or GreyRange(0, 4095)
    assert found.grey == used
    pixels = np.stack([*(np.rint(level(values, used)) for values in DEEP), np.full((9, 12), 40)]) / 255
    assert found.mean == pytest.approx((pixels.mean(),) * 3, abs=1e-4)
    assert found.std == pytest.approx((pixels.std(),) * 3, abs=1e-4)


def test_every_image_is_looked_at_once() -> None:
    class Counted(ColumnImages):
        read = 0

        def read_bytes(self, index: int) -> bytes | None:
            Counted.read += 1
            return super().read_bytes(index)

    images = images_of([*map(stored, DEEP)])
    found = scanned(Counted(images.column, images.keys, images.labels, images.classes))
    assert Counted.read == len(DEEP)
    assert found.grey == GreyRange(0, 4095)


def test_the_values_of_a_set_are_told_with_their_images() -> None:
    arrays = [np.full((4, 4), value) for value in (100, 30, 2000, 3910, 50)]
    values = scanned(images_of([*map(stored, arrays)])).grey_values
    assert values is not None
    assert (values.lowest, values.lowest_in, values.largest, values.largest_in) == (
        30,
        "1.png",
        3910,
        "3.png",
    )
    assert (values.has_floats, values.has_whole) == (False, True)
    assert [*values.describe(GreyRange(0, 4095))] == [
        "deep grey images: 0 is black, 4,095 is white (the largest value is 3,910)"
    ]
    assert scanned(images_of([stored(np.zeros((2, 2)))])).grey_values is not None
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "PNG")
    assert scanned(images_of([file.getvalue()])).grey_values is None


def test_a_few_large_values_do_not_hide_that_all_others_are_small() -> None:
    dark = [
        np.where(np.arange(5000) == 17 * i, 65535, 200 + np.arange(5000) % 90).reshape(50, 100)
        for i in range(9)
    ]
    values = scanned(images_of([*map(stored, dark)])).grey_values
    assert values is not None
    told = [*values.describe(GreyRange(0, 65535))]
    assert told[1:] == [
        "nearly all of their values lie from 200 to 289, which is little of that range; if these are what "
        "matters, say --data.grey 200 289"
    ]
    assert len([*values.describe(GreyRange(200, 289))]) == 1


def test_signed_values_are_refused_with_what_to_type() -> None:
    found = scanned(images_of([stored([[-1024, 0], [5, 6]], "TIFF of 32 bits"), stored([[7, 3071]])]))
    assert found.grey is None
    assert found.bad == {}
    assert found.grey_values is not None
    assert found.grey_values.refusal() == (
        "deep grey images (of more than 8 bits): their values reach from -1,024 (0.png) to 3,071 (1.png), "
        "and which of them are black and white is not certain; say it with --data.grey -1024 3071, or with "
        "the part of them that matters"
    )
    assert (found.mean, found.std) == ((0, 0, 0), (0.0039,) * 3)


def test_blank_images_are_found() -> None:
    files = {
        "rgb": Image.new("RGB", (9, 9), (1, 2, 3)),
        "centre": Image.fromarray(np.pad(np.full((1, 1), 9, np.uint8), 4)),
        "deep": Image.fromarray(np.full((5, 5), 260, np.uint16)),
        "nearly": Image.fromarray(np.array([[260, 260, 261]], np.uint16)),
        "floats": Image.fromarray(np.full((5, 5), 0.5, np.float32)),
        "row": Image.fromarray(np.array([[3, 3, 4, 3]], np.uint8)),
    }
    encoded = []
    for image in files.values():
        file = io.BytesIO()
        image.save(file, "TIFF")
        encoded.append(file.getvalue())
    blank = scanned(images_of(encoded)).blank
    assert blank.first == ("0.png", "2.png", "4.png")
    assert blank.count == 3
    many = scanned(images_of(encoded[:1] * 9)).blank
    assert (many.count, len(many.first)) == (9, 5)


class Repeat:
    """A stream's `read`."""

    def __init__(self, items: list[bytes]) -> None:
        self.items = items

    def __call__(self) -> Iterator[bytes]:
        return iter(self.items)


def held(folder: Path) -> dict[str, ImageDataset]:
    """The same four images, in every way that images are held."""
    encoded = [stored(values) for values in DEEP[:4]]
    for i, content in enumerate(encoded):
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        (folder / "ab"[i % 2] / f"{i}.png").write_bytes(content)
    column = images_of(encoded)
    _, files = read_split(str(folder), ("a", "b"))
    order = np.argsort([int(Path(key).stem) for key in files.keys])
    return {
        "column": column,
        "files": files.select(order),
        "stream": ImageStream(Repeat(encoded), column.keys, column.labels, column.classes),
        "some of some": column.select([3, 2, 1, 0]).select([3, 2, 1, 0]),
        "kept": CachedImages(column, 10**6),
        "given": UnlabelledImages(encoded),
        "open": UnlabelledImages([Image.open(io.BytesIO(content)) for content in encoded]),
    }


def test_every_way_to_hold_images_has_the_range(tmp_path: Path) -> None:
    grey = GreyRange(1000, 3000)
    expected = [level(values, grey) for values in DEEP[:4]]
    for name, images in held(tmp_path).items():
        alone = [np.asarray(images.open(i)).copy() for i in range(4)]
        ranged = images.in_range(grey)
        assert ranged.in_range(grey) is ranged
        if name != "open":  # they cannot be sent
            ranged = pickle.loads(pickle.dumps(ranged))
        for i in range(4):
            assert np.abs(np.asarray(ranged.open(i))[:, :, 0] - expected[i]).max() <= HALF, name
            read = ranged.decode_stored(ranged.stored(i), i)
            assert np.array_equal(np.asarray(read), np.asarray(ranged.open(i))), name
            assert np.array_equal(np.asarray(images.open(i)), alone[i]), name  # they are as they were
        assert np.array_equal(np.asarray(ranged.in_range(None).open(1)), alone[1]), name


def test_training_and_evaluation_see_the_same_levels() -> None:
    """By the exact and the fast decoder, in this process and in workers, and kept on the device."""
    grey, side = GreyRange(1000, 3000), 12
    arrays = [RANDOM.integers(0, 4000, (side, side)) for _ in range(4)]
    images = images_of([stored(values) for values in arrays]).in_range(grey)
    resize, plan = Resize(side, side), SamplingPlan(4, 4, 1, 0)
    (judged,) = evaluation_batches(images, resize, 4, 0)
    expected = np.stack([level(values, grey) for values in arrays])
    assert np.abs(judged.images[:, 0].numpy() - expected).max() <= HALF
    pad = PadCrop(resize, side, 0, (0, 0, 0))
    ways = {}
    for workers in (0, 1):
        (ways[f"{workers} workers"],) = training_batches(images, Augmentation((pad,)), plan, 0, workers)
    kept = BatchAugmentation.from_augmentation(Augmentation((pad,)))
    assert kept is not None
    on_device = DeviceDataset(images, kept, torch.device("cpu"))
    assert [*on_device.load()]
    (ways["device"],) = on_device.batches(plan, 0)
    boxes = FastAugmentation((ResizedCrop(side, 1.0, 1.0, "bilinear"), Flip(0.0)))
    (ways["fast"],) = training_batches(images, boxes, plan, 0, 0)
    for name, batch in ways.items():
        assert torch.equal(batch.images, judged.images[batch.indices]), name


def test_without_a_range_each_image_is_judged_alone() -> None:
    assert shown(stored([[0, 260]], "TIFF of 32 bits"), None).tolist() == [[0, 1]]
    assert shown(stored([[0, 250]], "TIFF of 32 bits"), None).tolist() == [[0, 250]]
    with pytest.raises(BadImage, match="which of them are black and white is not certain"):
        decode(stored([[-5, 250]], "TIFF of 32 bits"), "key")


def test_splits_hand_the_range_to_all() -> None:
    images = images_of([stored(values) for values in DEEP[:4]])
    splits = Splits("some", images, images, images.select([1])).in_range(CT)
    assert {one.grey for _, one in splits.items()} == {CT}
