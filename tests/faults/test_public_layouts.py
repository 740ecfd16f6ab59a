"""Layouts of public sets, as distributed: each is read rightly, or refused with the cure; none wrongly.

The truth is in the pixels: those of the upper half say the class of an image, those of the lower half its
split, whatever its folder, table or name says.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from resnext.data.decode import DataError
from resnext.data.sources import read_splits

TWO = ("cat", "dog")
SPLITS = (None, "train", "val", "test")
#: An image: its path, its class (None if nothing says it) and its split (None if the set has none).
Entry = tuple[str, str | None, str | None]


def put(pattern: str, split: str | None = None, classes: Iterable[str] = TWO, count: int = 5) -> list[Entry]:
    """Images of each class: `{c}` stands for its name, `{k}` for its number, `{i}` for that of the image."""
    names = enumerate(classes)
    return [(pattern.format(c=c, k=k, i=i + 10 * k), c, split) for k, c in names for i in range(count)]


def heap(pattern: str, count: int = 3) -> list[Entry]:
    """Images of which nothing says the class, or which are no part of the set."""
    return [(pattern.format(i=i), None, None) for i in range(count)]


def lines(header: str, entries: list[Entry], row: Callable[[str, str, str], str]) -> str:
    """A table of the labelled images: `row` makes a line of path, class and split."""
    return "\n".join([header] * bool(header) + [row(p, c, s or "") for p, c, s in entries if c] + [""])


def stem(path: str) -> str:
    return Path(path).stem


@dataclass(frozen=True)
class Layout:
    """A set as distributed.

    Attributes:
        entries: Its images.
        files: Other files by path.
        given: What is given as DATA, relative to the set.
        says: What the refusal says; empty if the set is read.
        packed: Images that lie in `files`.
    """

    entries: list[Entry]
    files: dict[str, str | bytes] = field(default_factory=dict)
    given: str = ""
    says: str = ""
    packed: list[Entry] = field(default_factory=list)

    @property
    def truth(self) -> list[Entry]:
        return [entry for entry in self.entries + self.packed if entry[1]]


def levels(place: int, split: str | None) -> Any:
    """A grey image whose upper half says the class by its place, and whose lower half says the split."""
    return np.repeat([10 + 20 * place, 10 + 60 * SPLITS.index(split)], 8).reshape(4, 4).astype(np.uint8)


def drawing(place: int, split: str | None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels(place, split)).save(file, "PNG")
    return file.getvalue()


def classes_of(layout: Layout) -> list[str]:
    return sorted({str(c) for _, c, _ in layout.truth})


def write(layout: Layout, root: Path) -> None:
    classes = [*classes_of(layout), None]
    for path, name, split in layout.entries:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(drawing(classes.index(name), split))
    for path, content in layout.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)


def outcome(layout: Layout, root: Path) -> str:
    """`read`, `refused`, or what is wrong."""
    try:
        found = read_splits(str(root / layout.given))
    except DataError as error:
        is_cure = layout.says and re.search(layout.says, str(error), re.DOTALL)
        return "refused" if is_cure else f"refused: {error}"
    if layout.says:
        return f"read as {found.classes}"
    classes = classes_of(layout)
    if list(found.classes) != classes:
        return f"classes {found.classes}"
    seen: list[tuple[str, str | None]] = []
    has_val = any(split == "val" for _, _, split in layout.truth)
    for name, images in found.items():
        for i in range(len(images)):
            shown = np.asarray(images.open(i))[:, :, 0]
            split = SPLITS[(int(shown[3, 0]) - 10) // 60]
            seen.append((classes[(int(shown[0, 3]) - 10) // 20], split))
            if classes[images.labels[i]] != seen[-1][0]:
                return f"{images.keys[i]} is {seen[-1][0]}, not {classes[images.labels[i]]}"
            if split not in (None, name) and (split != "train" or has_val or name != "val"):
                return f"{images.keys[i]} of {split} is in {name}"
    there = [(c, split) for _, c, split in layout.truth]
    return (
        "read" if sorted(map(str, seen)) == sorted(map(str, there)) else f"{len(seen)} of {len(there)} images"
    )


def three(pattern: str, names: tuple[str, str, str], classes: Iterable[str] = TWO) -> list[Entry]:
    """Train, val and test, whose names stand for `{s}`."""
    classes = tuple(classes)
    splits = zip(("train", "val", "test"), names, strict=True)
    return [entry for split, name in splits for entry in put(pattern.replace("{s}", name), split, classes)]


def two(
    pattern: str, train: str, other: str, split: str = "test", classes: Iterable[str] = TWO
) -> list[Entry]:
    classes = tuple(classes)
    return put(pattern.replace("{s}", train), "train", classes) + put(
        pattern.replace("{s}", other), split, classes
    )


#: Sets that are trees of folders and read as such.
FOLDERS = {
    "one folder for each class": Layout(put("{c}/{i}.jpg")),
    "torchvision ImageFolder": Layout(three("{s}/{c}/{i}.png", ("train", "val", "test"))),
    "Keras, flow_from_directory": Layout(two("{s}/{c}/{c}.{i}.jpg", "train", "validation", "val")),
    "YOLO classify": Layout(
        two("{s}/{c}/{i}.jpg", "train", "val", "val"), {"data.yaml": "names: [cat, dog]"}
    ),
    "Roboflow, folders": Layout(
        three("{s}/{c}/{i}_jpg.rf.0a1b.jpg", ("train", "valid", "test")),
        {"README.roboflow.txt": "...", "README.dataset.txt": "..."},
    ),
    "Kaggle cats and dogs": Layout(
        two("{s}/{s}/{c}/{c}.{i}.jpg", "training_set", "test_set", classes=("cats", "dogs"))
    ),
    "Cats and dogs, single folders": Layout(two("{s}/{c}/{c}.{i}.jpg", "training_set", "test_set")),
    "Cats and dogs, single prediction": Layout(
        two("{s}/{c}/{i}.jpg", "dataset_train", "dataset_test") + heap("single_prediction/{i}.jpg", 2)
    ),
    "Microsoft PetImages": Layout(
        put("{c}/{i}.jpg", classes=("Cat", "Dog")), {"Cat/Thumbs.db": b"\xd0\xcf\x11\xe0"}
    ),
    "Intel scenes": Layout(
        two("{s}/{s}/{c}/{i}.jpg", "seg_train", "seg_test", classes=("glacier", "sea"))
        + heap("seg_pred/seg_pred/{i}.jpg")
    ),
    "Fruits-360": Layout(
        two("{s}/{c}/{i}_100.jpg", "Training", "Test", classes=("Apple Braeburn 1", "Kiwi"))
        + heap("test-multiple_fruits/{i}.jpg"),
        {"readme.md": "..."},
    ),
    "brain tumours": Layout(
        two("{s}/{c}/Te-gl_{i}.jpg", "Training", "Testing", classes=("glioma", "notumor"))
    ),
    "Train and Eval": Layout(two("{s}/{c}/{i}.jpg", "Train", "Eval", "val")),
    "CINIC-10": Layout(three("{s}/{c}/cifar10-train-{i}.png", ("train", "valid", "test"))),
    "Imagenette of fastai": Layout(
        two("{s}/{c}/{c}_{i}.JPEG", "train", "val", "val", ("n01440764", "n02102040")),
        {"noisy_imagenette.csv": "path,noisy_labels_0,is_valid\ntrain/n01440764/0.JPEG,n02102040,False\n"},
    ),
    "MNIST as PNG": Layout(two("{s}/{c}/{i}.png", "training", "testing", classes="0123456789")),
    "Places365, easy directories": Layout(two("{s}/{c}/{i}.jpg", "train", "val", "val", ("abbey", "zoo"))),
    "Chest X-ray, pneumonia": Layout(
        three("{s}/{c}/{i}.jpeg", ("train", "val", "test"), ("NORMAL", "PNEUMONIA"))
        + heap("__MACOSX/train/NORMAL/._{i}.jpeg")
        + heap("chest_xray/train/NORMAL/{i}.jpeg")
    ),
    "Horse or human": Layout(
        two("{s}/{c}/{c}01-{i}.png", "train", "validation", "val", ("horses", "humans"))
    ),
    "AFHQ": Layout(two("{s}/{c}/flickr_{c}_{i}.png", "train", "val", "val", ("cat", "dog", "wild"))),
    "TensorFlow flowers": Layout(put("{c}/{i}.jpg", classes=("daisy", "roses")), {"LICENSE.txt": "..."}),
    "Caltech-101, its classes": Layout(
        put("101_ObjectCategories/{c}/image_{i}.jpg", classes=("BACKGROUND_Google", "ant", "crab")),
        given="101_ObjectCategories",
    ),
    "Caltech-256": Layout(
        put("256_ObjectCategories/{c}/{i}.jpg", classes=("001.ak47", "257.clutter")),
        given="256_ObjectCategories",
    ),
    "CUB-200, its images": Layout(
        put("images/{c}/{c}_{i}.jpg", classes=("001.Albatross", "002.Auk")), given="images"
    ),
    "Stanford Dogs, its images": Layout(
        put("Images/{c}/{i}.jpg", classes=("n02085620-Chihuahua", "n02116738-dhole")), given="Images"
    ),
    "Food-101, its images": Layout(
        put("images/{c}/{i}.jpg", classes=("apple_pie", "waffles")), given="images"
    ),
    "DTD, its images": Layout(put("images/{c}/{c}_{i}.jpg", classes=("banded", "zigzagged")), given="images"),
    "EuroSAT, its classes": Layout(put("2750/{c}/{c}_{i}.jpg", classes=("Forest", "River")), given="2750"),
    "PlantVillage, in colour": Layout(
        put("color/{c}/{i}.JPG", classes=("Apple___healthy", "Apple___scab"))
        + heap("grayscale/Apple___scab/{i}.JPG"),
        given="color",
    ),
    "UC Merced": Layout(put("Images/{c}/{c}{i}.tif", classes=("airplane", "river")), given="Images"),
    "Stanford Cars by class": Layout(
        two(
            "car_data/car_data/{s}/{c}/{i}.jpg",
            "train",
            "test",
            classes=("AM General Hummer SUV 2000", "Acura RL"),
        ),
        {"anno_train.csv": "00001.jpg,39,116,569,375,14\n"},
        "car_data/car_data",
    ),
    "GTSRB, training images": Layout(
        put("Images/{c}/{i}.ppm", classes=("00000", "00001")),
        {"Images/00000/GT-00000.csv": "Filename;Width\n"},
        "Images",
    ),
    "Kaggle GTSRB": Layout(
        put("Train/{c}/{i}.png", "train", ("0", "1"))
        + put("Test/{i}.png", "test", ("0", "1"))
        + heap("Meta/{i}.png"),
        {
            "Test.csv": lines(
                "Width,Height,ClassId,Path",
                put("Test/{i}.png", "test", ("0", "1")),
                lambda p, c, _: f"27,26,{c},{p}",
            ),
            "Meta.csv": "Path,ClassId\n",
        },
    ),
    "Kaggle plant seedlings": Layout(
        put("train/{c}/{i}.png", "train", ("Black-grass", "Maize")) + heap("test/{i}.png"),
        {"sample_submission.csv": "file,species\n0.png,Maize\n"},
    ),
    "a test1 without labels": Layout(put("train/{c}/{i}.jpg", "train") + heap("test1/{i}.jpg")),
    "Kvasir": Layout(put("{c}/{i}.jpg", classes=("dyed-lifted-polyps", "normal-cecum"))),
    "Teachable Machine": Layout(put("{c}/{i}.jpg", classes=("Class 1", "Class 2"))),
    "Azure Custom Vision": Layout(put("{c}/{i}.jpg", classes=("[Negative]", "ok"))),
    "unpacked on a Mac": Layout(
        put("{c}/{i}.jpg") + heap("__MACOSX/cat/._{i}.jpg"), {".DS_Store": b"\0\0\0\1Bud1"}
    ),
    "on a Synology": Layout(put("{c}/{i}.jpg") + heap("cat/@eaDir/{i}.jpg") + heap("dog/.thumbs/{i}.jpg")),
    "with notebooks": Layout(put("{c}/{i}.jpg") + heap(".ipynb_checkpoints/{i}.jpg")),
    "letters": Layout(put("{c}/{i}.png", classes=("A", "a"))),
    "breeds below classes": Layout([*put("{c}/tabby-or-pug{k}/{i}.jpg"), ("cat/manx/99.jpg", "cat", None)]),
    "images below classes": Layout(put("train/{c}/images/{i}.jpg", "train")),
    "Tiny ImageNet": Layout(
        put("train/{c}/images/{c}_{i}.JPEG", "train", ("n01443537", "n01629819"))
        + put("val/images/val_{i}.JPEG", "val", ("n01443537", "n01629819"))
        + heap("test/images/test_{i}.JPEG"),
        {
            "wnids.txt": "n01443537\nn01629819\n",
            "words.txt": "n01443537\tgoldfish\n",
            "train/n01443537/n01443537_boxes.txt": "n01443537_0.JPEG\t0\t10\t63\t58\n",
            "val/val_annotations.txt": lines(
                "",
                put("val_{i}.JPEG", "val", ("n01443537", "n01629819")),
                lambda path, name, _: f"{path}\t{name}\t0\t32\t44\t62",
            ),
        },
    ),
    "imagefolder of the hub, by split": Layout(
        put("train/all/{i}.jpg", "train"),
        {"train/metadata.csv": lines("file_name,label", put("all/{i}.jpg"), lambda p, c, _: f"{p},{c}")},
    ),
    "ImageNet, val sorted by valprep": Layout(
        two("{s}/{c}/{c}_{i}.JPEG", "train", "val", "val", ("n01440764", "n01443537"))
    ),
}


def parquet(entries: list[Entry], image: str = "image", label: str = "label", **more: Any) -> bytes:
    """A table of the hub, which names its classes in its metadata."""
    names = sorted({c for _, c, _ in entries if c})
    rows = [(path, names.index(str(c)), drawing(names.index(str(c)), split)) for path, c, split in entries]
    table = pa.table(
        {
            image: [{"bytes": stored, "path": path} for path, _, stored in rows],
            label: [number for _, number, _ in rows],
            **{name: [value] * len(rows) for name, value in more.items()},
        }
    )
    features = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
    info = json.dumps({"info": {"features": features}})
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": info}), file)
    return file.getvalue()


def tar(entries: list[Entry]) -> bytes:
    """A shard of WebDataset."""
    names = sorted({c for _, c, _ in entries if c})
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as shard:
        for path, name, split in entries:
            number = names.index(str(name))
            for suffix, content in ((".jpg", drawing(number, split)), (".cls", str(number).encode())):
                member = tarfile.TarInfo(stem(path) + suffix)
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    return file.getvalue()


def table(pattern: str, header: str, row: Callable[[str, str, str], str], **options: Any) -> Layout:
    """Images, and a table that names them."""
    classes, split = options.get("classes", TWO), options.get("split")
    entries = put(pattern, split, classes)
    name = options.get("name", "labels.csv")
    more = {options.get("given", name): lines(header, entries, row)}
    return Layout(
        entries + options.get("more", []), more | options.get("files", {}), options.get("given", name)
    )


#: Sets with a table that is given.
TABLES = {
    "Kaggle dog breed": table(
        "train/000bec{i}.jpg",
        "id,breed",
        lambda p, c, _: f"{stem(p)},{c}",
        classes=("dingo", "pug"),
        more=heap("test/00a3{i}.jpg"),
        files={"sample_submission.csv": "id,dingo,pug\n"},
    ),
    "Kaggle APTOS": table(
        "train_images/{i}a1.png",
        "id_code,diagnosis",
        lambda p, c, _: f"{stem(p)},{c}",
        classes=("0", "1", "4"),
        name="train.csv",
        more=heap("test_images/{i}ff.png"),
    ),
    "Kaggle cassava": table(
        "train_images/{i}.jpg",
        "image_id,label",
        lambda p, c, _: f"{Path(p).name},{c}",
        classes=("0", "3"),
        name="train.csv",
        more=heap("test_images/22{i}.jpg"),
    ),
    "Kaggle plant pathology": table(
        "images/Train_{i}.jpg",
        "image_id,healthy,rust,scab",
        lambda p, c, _: f"{stem(p)},{int(c == 'healthy')},{int(c == 'rust')},{int(c == 'scab')}",
        classes=("healthy", "rust", "scab"),
        name="train.csv",
        more=heap("images/Test_{i}.jpg"),
    ),
    "ISIC 2019": table(
        "ISIC_2019_Training_Input/ISIC_00{i}.jpg",
        "image,MEL,NV,UNK",
        lambda p, c, _: f"{stem(p)},{float(c == 'MEL')},{float(c == 'NV')},0.0",
        classes=("MEL", "NV"),
        name="ISIC_2019_Training_GroundTruth.csv",
    ),
    "Roboflow, multi-class CSV": table(
        "train/a_jpg.rf.{i}.jpg",
        "filename, cat, dog",
        lambda p, c, _: f"{Path(p).name}, {int(c == 'cat')}, {int(c == 'dog')}",
        given="train/_classes.csv",
    ),
    "Kaggle GTSRB, its table": table(
        "Train/{k}/{i}.png",
        "Width,Height,ClassId,Path",
        lambda p, c, _: f"27,26,{c},{p}",
        classes=("0", "1"),
        name="Train.csv",
    ),
    "MNIST tiny of fastai": table(
        "train/{c}/{i}.png", "name,label", lambda p, c, _: f"{p},{c}", classes="37"
    ),
    "Keras, flow_from_dataframe": table("{i}.jpg", "filename,class", lambda p, c, _: f"{p},{c}"),
    "pandas, with its index": table("{i}.jpg", ",image,label", lambda p, c, _: f"7,{p},{c}"),
    "Excel in Europe": table(
        "a/{i}.jpg", "\ufeffDatei;Image;Label", lambda p, c, _: f"x;a\\{Path(p).name};{c}"
    ),
    "EuroSAT of Kaggle": table(
        "{c}/{c}_{i}.jpg",
        ",Filename,Label,ClassName",
        lambda p, c, _: f"0,{p},{c},x",
        classes=("Forest", "River"),
        name="train.csv",
    ),
    "imagefolder of the hub, metadata.csv": table(
        "{i}.jpg", "file_name,label", lambda p, c, _: f"{p},{c}", name="metadata.csv"
    ),
    "imagefolder of the hub, metadata.jsonl": table(
        "{i}.jpg", "", lambda p, c, _: json.dumps({"file_name": p, "label": c}), name="metadata.jsonl"
    ),
    "one table with its splits": Layout(
        three("images/{s}{i}.jpg", ("a", "b", "c")),
        {
            "pets.csv": lines(
                "split,path,label",
                three("images/{s}{i}.jpg", ("a", "b", "c")),
                lambda p, c, s: f"{'TRAIN' if s == 'train' else s},{p},{c}",
            )
        },
        "pets.csv",
    ),
}

DIGITS = {split: put("{i}.png", split, "0123456789") for split in ("train", "test")}


def hub(image: str, label: str, **more: Any) -> Layout:
    """Parquet files of the hub."""
    names = {split: f"plain_text/{split}-00000-of-00001.parquet" for split in DIGITS}
    files = {name: parquet(DIGITS[split], image, label, **more) for split, name in names.items()}
    return Layout([], files, "plain_text", packed=DIGITS["train"] + DIGITS["test"])


#: Sets whose images are in a few files.
PACKED = {
    "CIFAR-10 of the hub": hub("img", "label"),
    "CIFAR-100 of the hub": hub("img", "fine_label", coarse_label=3),
    "MNIST of the hub": hub("image", "label"),
    "WebDataset": Layout(
        [],
        {f"{split}-00000{part}.tar": tar(DIGITS[split][part::2]) for split in DIGITS for part in (0, 1)},
        packed=DIGITS["train"] + DIGITS["test"],
    ),
}


def in_columns(names: list[str], split: str | None, file: str) -> Layout:
    """A table that has a column for each pixel."""
    entries = put("{i}", split, "0123456789")
    values = {c: ",".join(map(str, levels(int(c), split).ravel())) for c in "0123456789"}
    rows = lines(",".join(["label", *names]), entries, lambda p, c, _: f"{c},{values[c]}")
    return Layout([], {file: rows, "test.csv": ",".join(names) + "\n"}, file, packed=entries)


PIXELS = {
    "Kaggle digits": in_columns([f"pixel{i}" for i in range(16)], None, "train.csv"),
    "Fashion-MNIST of Kaggle": in_columns(
        [f"pixel{i}" for i in range(1, 17)], None, "fashion-mnist_train.csv"
    ),
    "MNIST in CSV": in_columns(
        [f"{y}x{x}" for y in range(1, 5) for x in range(1, 5)], None, "mnist_train.csv"
    ),
}


UNKNOWN = "no (label|image) column; it has .*is needed"
PARENT = r"looks like a data set .*\. Give "
FLAT = "has [0-9]+ images but no class folders; .*or a table"
#: Sets that are refused, since what is meant is not certain or the lists beside them are not read.
REFUSED = {
    "the folder above": Layout(two("pets/{s}/{c}/{i}.jpg", "train", "val", "val"), says=PARENT),
    "Dogs vs Cats": Layout(heap("train/cat.{i}.jpg", 6) + heap("test1/{i}.jpg"), says=FLAT),
    "Kaggle dog breed, its folder": Layout(
        heap("train/{i}.jpg") + heap("test/{i}.jpg"), {"labels.csv": "id,breed\n0,pug\n"}, says=FLAT
    ),
    "Flowers-102": Layout(
        heap("jpg/image_{i}.jpg"), {"imagelabels.mat": b"MATLAB 5.0"}, says="only one class, 'jpg'"
    ),
    "Flowers-17": Layout(heap("jpg/image_{i}.jpg"), {"jpg/files.txt": "image_0.jpg\n"}, "jpg", FLAT),
    "Oxford pets": Layout(
        heap("images/Abyssinian_{i}.jpg", 6) + heap("annotations/trimaps/Abyssinian_{i}.png", 6),
        {"annotations/list.txt": "Abyssinian_100 1 1 1\n"},
        says="are parts of one set, not classes.*Write a table",
    ),
    "segmentation": Layout(heap("images/{i}.png") + heap("masks/{i}.png"), says="Write a table"),
    "Food-101": Layout(
        put("images/{c}/{i}.jpg", classes=("apple_pie", "waffles")),
        {"meta/train.txt": "apple_pie/0\n", "meta/classes.txt": "apple_pie\n"},
        says=PARENT,
    ),
    "Caltech-101": Layout(
        put("101_ObjectCategories/{c}/{i}.jpg"),
        {"Annotations/cat/a.mat": b""},
        says=PARENT + ".*101_ObjectCategories",
    ),
    "CUB-200": Layout(
        put("images/{c}/{i}.jpg", classes=("001.Albatross", "002.Auk")),
        {"images.txt": "1 001.Albatross/0.jpg\n", "attributes/a.txt": "", "parts/parts.txt": "1 back\n"},
        says=PARENT + ".*images.*lists beside it",
    ),
    "Stanford Dogs": Layout(
        put("Images/{c}/{i}.jpg", classes=("n02085620-Chihuahua", "n02116738-dhole")),
        {"Annotation/n02085620-Chihuahua/n02085620_7": "<annotation/>"},
        says=PARENT + ".*Images",
    ),
    "DTD": Layout(
        put("images/{c}/{i}.jpg"), {"labels/train1.txt": "cat/0.jpg\n", "imdb/imdb.mat": b""}, says=PARENT
    ),
    "EuroSAT": Layout(put("2750/{c}/{i}.jpg", classes=("Forest", "River")), says=PARENT),
    "PlantVillage": Layout(
        put("color/{c}/{i}.jpg") + put("grayscale/{c}/{i}.jpg") + put("segmented/{c}/{i}.jpg"),
        says="folders of the same names: 'cat', 'dog'.*give 'color' alone",
    ),
    "COVID radiography": Layout(
        put("{c}/images/{i}.png") + heap("cat/masks/{i}.png") + heap("dog/masks/{i}.png"),
        says="'cat/masks', 'dog/masks' are called like masks",
    ),
    "breast histology": Layout(
        put("10253/{c}/{i}.png", classes="01") + put("10254/{c}/{i}.png", classes="01"),
        says="folders of the same names: '0', '1'",
    ),
    "Omniglot": Layout(
        heap("Greek/character01/{i}.png")
        + heap("Greek/character02/{i}.png")
        + heap("Latin/character01/{i}.png")
        + heap("Latin/character02/{i}.png"),
        says="folders of the same names: 'character01'",
    ),
    "class first, split below": Layout(
        two("cat/{s}/{i}.jpg", "train", "test", classes=["cat"])
        + two("dog/{s}/{i}.jpg", "train", "test", classes=["dog"]),
        says="folders of the same names: 'test', 'train'",
    ),
    "years": Layout(put("2019/{c}/{i}.jpg") + put("2020/{c}/{i}.jpg"), says="which are the classes"),
    "folds": Layout(put("fold1/{c}/{i}.jpg") + put("fold2/{c}/{i}.jpg"), says="called like folds"),
    "ImageNet": Layout(
        put("Data/CLS-LOC/train/{c}/{i}.JPEG", classes=("n01440764", "n01443537"))
        + heap("Data/CLS-LOC/val/{i}.JPEG"),
        {"Annotations/CLS-LOC/val/0.xml": "", "ImageSets/CLS-LOC/val.txt": "0 1\n"},
        says="Give .*Data/CLS-LOC",
    ),
    "ImageNet, its images": Layout(
        put("train/{c}/{i}.JPEG", classes=("n01440764", "n01443537")) + heap("val/{i}.JPEG"),
        says="val: " + FLAT,
    ),
    "STL-10": Layout(
        [], {"train_X.bin": bytes(99), "class_names.txt": "cat\n"}, says="expected one folder for each class"
    ),
    "CIFAR-10 of its authors": Layout(
        [],
        {"data_batch_1": b"\x80\3}q", "batches.meta": b"\x80\3}q"},
        says="expected one folder for each class",
    ),
    "SVHN": Layout(heap("train/{i}.png"), {"train/digitStruct.mat": b"MATLAB 7.3"}, says=FLAT),
    "FGVC Aircraft": Layout(
        heap("images/{i}.jpg"),
        {"images_variant_train.txt": "0034309 707-320\n"},
        says="only one class, 'images'",
    ),
    "FiftyOne": Layout(
        heap("data/{i}.jpg"), {"labels.json": '{"classes": ["cat"]}'}, says="only one class, 'data'"
    ),
    "Edge Impulse": Layout(
        heap("training/cat.{i}.jpg") + heap("testing/cat.{i}.jpg"), {"training/info.labels": "{}"}, says=FLAT
    ),
    "LFW": Layout(
        put("{c}/{c}_{i}.jpg", classes=("Aaron_Eckhart", "Zydrunas_Ilgauskas"), count=1),
        says="fewer than 3 images",
    ),
    "only a test set": Layout(put("test_set/{c}/{i}.jpg") + heap("cat/{i}.jpg"), says="called like a split"),
    "two training sets": Layout(
        put("train2014/{c}/{i}.jpg") + put("train2017/{c}/{i}.jpg"), says="are all train; keep one"
    ),
    "names that differ by case": Layout(
        put("{c}/{i}.jpg", classes=("Cat", "cat", "dog")), says="by case only"
    ),
    "names that differ by blanks": Layout(
        put("{c}/{i}.jpg", classes=("cat", "cat ", "dog")), says="by blanks only"
    ),
    "Google AutoML": table("{i}.jpg", "", lambda p, c, _: f"TRAIN,gs://bucket/{p},{c}", name="automl.csv"),
    "Label Studio": table(
        "{i}.jpg",
        "annotation_id,choice,id,image",
        lambda p, c, _: f"1,{c},7,/data/upload/1/ab-{p}",
        name="project.csv",
    ),
    "HAM10000": table(
        "HAM10000_images_part_1/ISIC_00{i}.jpg",
        "lesion_id,image_id,dx,age",
        lambda p, c, _: f"HAM_0,{stem(p)},{c},80.0",
        classes=("mel", "nv"),
        name="HAM10000_metadata.csv",
    ),
    "FER-2013": table(
        "{i}.jpg", "emotion,pixels,Usage", lambda p, c, _: "0,70 80 82,Training", name="fer2013.csv"
    ),
    "captions": table("{i}.jpg", "file_name,text", lambda p, c, _: f"{p},a {c} on {p}", name="metadata.csv"),
    "ages": table("{i}.jpg", "file_name,age", lambda p, c, _: f"{p},{'1.5' if c == 'cat' else '7.25'}"),
    "several classes each": table(
        "{i}.jpg", "filename,cat,dog,pet", lambda p, c, _: f"{p},{int(c == 'cat')},{int(c == 'dog')},1"
    ),
    "one name of two images": table(
        "train/{i}.jpg", "id,breed", lambda p, c, _: f"{stem(p)},{c}", more=heap("test/{i}.jpg")
    ),
}
SAYS = {
    "Google AutoML": "split,path,label",
    "several classes each": "several ones or none in rows 0, 1",
}
SETS = (
    FOLDERS
    | TABLES
    | PACKED
    | PIXELS
    | {name: replace(layout, says=layout.says or SAYS.get(name, UNKNOWN)) for name, layout in REFUSED.items()}
)


def test_public_layouts(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    outcomes = {}
    for number, (name, layout) in enumerate(SETS.items()):
        write(layout, tmp_path / str(number))
        outcomes[name] = outcome(layout, tmp_path / str(number))
    wrong = {name: one for name, one in outcomes.items() if one not in ("read", "refused")}
    assert wrong == {}
    read = sum(one == "read" for one in outcomes.values())
    assert read >= 30
    record("public layouts", tried=len(SETS), read=read, refused=len(SETS) - read, wrong=len(wrong))
