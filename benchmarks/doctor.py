"""How much of what is wrong with data `resnext doctor` finds, how much of it is right, and its pace.

`python benchmarks/doctor.py PART DATA ...`, each of which appends a line to results/doctor.jsonl:

- `near CIFAR10`: test images with a near duplicate in train, and sheets of 200 of the pairs that are
  reported, drawn at random, to be looked at (`--sheets FOLDER`); `--right N` records how many were right.
- `planted TINY_IMAGENET`: 1,000 of 20,000 images altered in seven ways; recall of each way, and precision.
- `broken TINY_IMAGENET`: 10,000 images of which 1 % are broken or odd in 12 ways; all are to be named.
- `labels CIFAR10 --model RUN`: 5 % of the labels changed at random, and 5 % to the class that the model takes
  for nearest; precision and recall, beside cleanlab's on the same predictions.
- `pace TINY_IMAGENET`: images a second at 32 and 512 px, beside cleanvision's same checks where it can be
  imported (PYTHONPATH), in turn.
- `memory CIFAR10`: the memory and the time that a doctor of 20,000 images takes, and one of --images; each
  image is turned and has noise of its own. The images lie in an Arrow file, which stays on the disk: pages of
  files are not counted.
- `pays CIFAR10`: networks trained on a set with planted errors and leaks, as it is and with the manifest, in
  pairs by seed, judged on all images of test that did not leak. Labels are judged by the network that was
  trained on the set as it is, or by one that was trained on --elsewhere other images, as public weights are.
  Half an hour on two cores.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

import resnext
from resnext.data.images import ImageDataset
from resnext.data.manifest import COLUMNS
from resnext.data.sources import read_splits, read_splits_by_name
from resnext.doctor import ExaminedSet, FactsFile, measure_images
from resnext.doctor.labels import find_issues, predict_held_out
from resnext.engine.embedding import embed_batches
from resnext.machine import cpu_name
from resnext.progress import run_to_end
from resnext.records import append_record, stamp
from resnext.statistics import Rate, interval

RESULTS = Path(__file__).parents[1] / "results" / "doctor.jsonl"
RANDOM = np.random.default_rng(0)
#: Images that hashes and distances were chosen on.
CHOSEN_ON = 20_000
Altering = Callable[[Image.Image], Image.Image]


def recompress(image: Image.Image, quality: int = 50) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def crop(image: Image.Image) -> Image.Image:
    """95 % of each side, anywhere."""
    w, h = round(0.95 * image.width), round(0.95 * image.height)
    x, y = RANDOM.integers(0, image.width - w + 1), RANDOM.integers(0, image.height - h + 1)
    return image.crop((x, y, x + w, y + h)).resize(image.size, Image.Resampling.BICUBIC)


ALTERATIONS: dict[str, Altering] = {
    "recompression (quality 50)": recompress,
    "resize to 60 %": lambda image: image.resize((image.width * 6 // 10, image.height * 6 // 10)),
    "crop of 5 %": crop,
    "flip": ImageOps.mirror,
    "border of 6 %": lambda image: ImageOps.expand(image, round(0.06 * image.width), "white"),
    "brightness by 30 %": lambda image: ImageEnhance.Brightness(image).enhance(RANDOM.choice([0.7, 1.3])),
    "rotation by 3 degrees": lambda image: image.rotate(
        float(RANDOM.choice([-3, 3])), Image.Resampling.BICUBIC
    ),
}


def save(image: Image.Image, path: Path, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def manifest(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path, columns=list(COLUMNS)).to_pylist()


def near(given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "m.parquet"
        found = resnext.examine(given.data, out)
        rows = [row for row in manifest(out) if row["finding"] in ("leak", "near_leak")]
    assert found is not None
    rows = [row for row in rows if row["other"].startswith("test: ")]
    drawn = [rows[i] for i in RANDOM.permutation(len(rows))[:200]]
    if given.sheets:
        draw_sheets(drawn, found.examined, given.sheets)
    tests = len({row["other"] for row in rows})
    record = {"pairs": len(rows), "test_images": tests, "looked_at": len(drawn) if given.right else 0}
    print(f"{tests} test images with a near duplicate in train or val, in {len(rows)} pairs")
    if given.right:
        rate = Rate(given.right, len(drawn))
        record |= {"right": given.right, "precision": rate.share, "interval": rate.interval}
        print(f"{given.right} of {len(drawn)} right: {rate.interval_text}")
    return record


def draw_sheets(rows: list[dict[str, Any]], examined: ExaminedSet, folder: Path) -> None:
    """50 pairs a sheet, with the place of each pair among those drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {(row["split"], row["key"]) for row in rows}
    wanted |= {("test", row["other"].removeprefix("test: ")) for row in rows}
    opened = {
        (split, key): images.open(index).resize((84, 84), Image.Resampling.LANCZOS)
        for split, images in examined.splits.items()
        for index, key in enumerate(images.keys)
        if (split, key) in wanted
    }
    for start in range(0, len(rows), 50):
        sheet = Image.new("RGB", (1800, 540), "white")
        for place, row in enumerate(rows[start : start + 50]):
            x, y = place % 10 * 180, place // 10 * 108
            sheet.paste(opened[row["split"], row["key"]], (x, y))
            sheet.paste(opened["test", row["other"].removeprefix("test: ")], (x + 86, y))
            ImageDraw.Draw(sheet).text((x, y + 86), f"{start + place}: {row['score']:.2f}", fill="black")
        sheet.save(folder / f"pairs-{start:03}.png")


def planted(given: argparse.Namespace) -> dict[str, Any]:
    images = read_splits(given.data).train
    # Hashes and distances were chosen on the first 20,000 of this order: these are others.
    drawn = np.random.default_rng(1).permutation(len(images))[CHOSEN_ON : CHOSEN_ON + given.images]
    altered = drawn[: given.images // 20]
    kinds = list(ALTERATIONS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        for i in drawn.tolist():
            name = images.classes[images.labels[i]]
            save(images.open(i), root / "train" / name / f"{i}.png")
        for place, i in enumerate(altered.tolist()):
            name, kind = images.classes[images.labels[i]], place % len(kinds)
            image = ALTERATIONS[kinds[kind]](images.open(i))
            save(image, root / "test" / name / f"{i}.jpg", quality=90)
        out = Path(folder) / "m.parquet"
        resnext.examine(root, out)
        rows = [row for row in manifest(out) if row["finding"] in ("leak", "near_leak")]
    found = {  # the original may have gone to the part that takes the place of val
        int(Path(row["key"]).stem) for row in rows if Path(row["key"]).stem == Path(row["other"]).stem
    }
    pairs = [row for row in rows if row["other"].startswith("test: ")]
    right = sum(Path(row["key"]).stem == Path(row["other"]).stem for row in pairs)
    recalls = {}
    for number, kind in enumerate(kinds):
        own = [i for place, i in enumerate(altered.tolist()) if place % len(kinds) == number]
        recalls[kind] = Rate(sum(i in found for i in own), len(own))
        print(f"{kind:28} {recalls[kind].successes:4} of {recalls[kind].n:4}: {recalls[kind].interval_text}")
    precision = Rate(right, len(pairs))
    print(f"precision {precision.successes} of {precision.n}: {precision.interval_text}")
    return {
        "images": len(drawn),
        "altered": len(altered),
        "recall": {kind: [rate.successes, rate.n] for kind, rate in recalls.items()},
        "precision": [precision.successes, precision.n],
    }


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(image, exif=exif)


#: For each finding, what makes a file of an image: its suffix and its content.
BROKEN: dict[str, tuple[str, Callable[[Image.Image], bytes]]] = {
    "empty_file": (".jpg", lambda image: b""),
    "truncated": (".jpg", lambda image: encode(image)[: len(encode(image)) * 2 // 3]),
    "unreadable": (".jpg", lambda image: b"<!doctype html><html>not found</html>"),
    "wrong_extension": (".jpg", lambda image: encode(image, "PNG")),
    "several_frames": (
        ".gif",
        lambda image: encode(
            image.quantize(64), "GIF", save_all=True, append_images=[ImageOps.mirror(image).quantize(64)]
        ),
    ),
    "cmyk": (".jpg", lambda image: encode(image.convert("CMYK"))),
    "deep_16_bit": (
        ".png",
        lambda image: encode(Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257), "PNG"),
    ),
    "palette_transparency": (".png", lambda image: encode(image.quantize(64), "PNG", transparency=3)),
    "exif_rotated": (".jpg", turned),
    "nearly_blank": (".jpg", lambda image: encode(Image.new("RGB", image.size, (120, 130, 90)))),
    "dark": (".png", lambda image: encode(image.point(lambda value: value // 8), "PNG")),
    "odd_aspect": (".jpg", lambda image: encode(image.resize((image.width * 6, image.height)))),
}


def broken(given: argparse.Namespace) -> dict[str, Any]:
    images = read_splits(given.data).train
    drawn = np.random.default_rng(2).permutation(len(images))[: given.images // 2].tolist()
    kinds = list(BROKEN)
    expected: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        for place, i in enumerate(drawn):
            key = f"{images.classes[images.labels[i]]}/{i}"
            if place < len(drawn) // 100:
                kind = kinds[place % len(kinds)]
                suffix, make = BROKEN[kind]
                expected[key + suffix] = kind
                path = root / (key + suffix)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(make(images.open(i)))
            else:
                save(images.open(i), root / f"{key}.jpg", quality=92)
        out = Path(folder) / "m.parquet"
        resnext.examine(root, out)
        rows = manifest(out)
    named = {(row["key"], row["finding"]) for row in rows if row["finding"] in kinds}
    wanted = set(expected.items())
    missed = wanted - named
    others = Counter(kind for key, kind in named - wanted if key not in expected)
    print(f"{len(wanted - missed)} of {len(wanted)} named; missed {sorted(missed)}")
    print(f"beside them, of {len(drawn) - len(wanted):,} images as they come: {dict(others)}")
    return {
        "images": len(drawn),
        "broken": len(wanted),
        "named": len(wanted - missed),
        "missed": Counter(kind for _, kind in missed),
        "on_others": others,
    }


def labels(given: argparse.Namespace) -> dict[str, Any]:
    splits = read_splits(given.data)
    classifier = resnext.load(given.model, "cpu")
    images: ImageDataset = splits.train
    chosen = np.sort(np.random.default_rng(3).permutation(len(images))[: given.images])
    truth = images.labels[chosen]
    features = np.concatenate([one.features for one in embed_batches(classifier, images.select(chosen))])
    classes, is_train = len(images.classes), np.ones(len(chosen), np.bool_)
    clean = run_to_end(predict_held_out(features, truth, is_train, classes, 5))
    wrong = np.random.default_rng(4).permutation(len(chosen))[: len(chosen) // 10]
    noisy = truth.copy()
    at_random, alike = wrong[::2], wrong[1::2]
    noisy[at_random] = (truth[at_random] + RANDOM.integers(1, classes, len(at_random))) % classes
    others = clean.copy()
    others[np.arange(len(chosen)), truth] = 0
    confused = np.stack([others[truth == k].mean(0) for k in range(classes)]).argmax(1)
    noisy[alike] = confused[truth[alike]]
    probabilities = run_to_end(predict_held_out(features, noisy, is_train, classes, 5))
    issues = find_issues(noisy, probabilities)
    from cleanlab.filter import find_label_issues

    shares = probabilities.astype(np.float64)
    shares /= shares.sum(1, keepdims=True)
    theirs = find_label_issues(noisy, shares, return_indices_ranked_by="self_confidence", n_jobs=1)
    is_wrong = noisy != truth
    ranked = np.argsort(issues.quality)[: issues.estimate]
    precision, recall = is_wrong[issues.ranked].mean(), is_wrong[issues.ranked].sum() / is_wrong.sum()
    print(
        f"top-1 of the heads {100 * (probabilities.argmax(1) == truth).mean():.1f} %; {is_wrong.sum()} "
        f"wrong, estimated {issues.estimate}, suspected {len(issues.ranked)}: precision {precision:.3f}, "
        f"recall {recall:.3f}; precision at the estimated number {is_wrong[ranked].mean():.3f}; "
        f"as cleanlab's: {np.array_equal(theirs, issues.ranked)}"
    )
    return {
        "images": len(chosen),
        "wrong": int(is_wrong.sum()),
        "estimated": issues.estimate,
        "suspected": len(issues.ranked),
        "precision": float(precision),
        "recall": float(recall),
        "precision_at_estimate": float(is_wrong[ranked].mean()),
        "recall_random": float(np.isin(at_random, issues.ranked).mean()),
        "recall_alike": float(np.isin(alike, issues.ranked).mean()),
        "equal_to_cleanlab": bool(np.array_equal(theirs, issues.ranked)),
        "head_top1": float((probabilities.argmax(1) == truth).mean()),
    }


def pace(given: argparse.Namespace) -> dict[str, Any]:
    images = next(iter(read_splits_by_name(given.data).values()))
    record: dict[str, Any] = {"rows": []}
    with tempfile.TemporaryDirectory() as folder:
        for size, count in ((32, given.images), (512, given.images // 5)):
            root = Path(folder) / str(size)
            for i in range(count):
                image = images.open(i).resize((size, size), Image.Resampling.BICUBIC)
                save(image, root / "ab"[i % 2] / f"{i}.jpg", quality=90)
            ours, theirs = [], []
            for number in range(given.rounds):
                examined = ExaminedSet.read(str(root))
                begun = time.perf_counter()
                run_to_end(measure_images(examined, FactsFile(Path(folder) / f"{size}-{number}.facts")))
                ours.append(count / (time.perf_counter() - begun))
                if (seconds := _cleanvision(root)) is not None:
                    theirs.append(count / seconds)
            row = {"size_px": size, "images": count, "per_s": statistics.median(ours)}
            row |= {"cleanvision_per_s": statistics.median(theirs) if theirs else None}
            record["rows"].append(row)
            print(row)
    return record


def _cleanvision(root: Path) -> float | None:
    """Seconds of cleanvision's checks of one folder; None where it is not installed."""
    try:
        from cleanvision import Imagelab
    except ImportError:
        return None
    begun = time.perf_counter()
    Imagelab(data_path=str(root)).find_issues(n_jobs=2, verbose=False)
    return time.perf_counter() - begun


def memory(given: argparse.Namespace) -> dict[str, Any]:
    """Peak memory by number of images, each set in a process of its own; without pages of files."""
    images = read_splits(given.data).train
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (20_000, given.images):
            path = Path(folder) / f"{count}.arrow"
            write_noisy(images, count, path)
            begun = time.perf_counter()
            code = f"import resnext; resnext.examine({str(path)!r}, {str(path.with_suffix('.csv'))!r})"
            process = subprocess.Popen([sys.executable, "-c", code])
            peak_mb = 0.0
            while process.poll() is None:
                peak_mb = max(peak_mb, _anonymous_mb(process.pid))
                time.sleep(0.1)
            if process.returncode:
                raise SystemExit(f"the doctor of {count} images ended with status {process.returncode}")
            seconds = time.perf_counter() - begun
            rows.append({"images": count, "peak_mb": peak_mb, "seconds": seconds})
            print(rows[-1], flush=True)
    return {"rows": rows}


def _anonymous_mb(process: int) -> float:
    """Memory of a process that is no page of a file; 0 where it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def write_noisy(images: ImageDataset, count: int, path: Path) -> None:
    """An Arrow file of `count` images: those of `images` in turn, each rotated, with noise of its own."""
    schema = pa.schema([("image", pa.binary()), ("label", pa.string())])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for start in range(0, count, 5000):
            rows = []
            for number in range(start, min(count, start + 5000)):
                index, random = number % len(images), np.random.default_rng(number)
                pixels = np.asarray(images.open(index).rotate(360 * random.random(), fillcolor="grey"))
                noisy = pixels + random.normal(0, 20, pixels.shape)
                encoded = encode(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), quality=90)
                rows.append({"image": encoded, "label": images.classes[images.labels[index]]})
            file.write_table(pa.Table.from_pylist(rows, schema))


def pays(given: argparse.Namespace) -> dict[str, Any]:
    """Train with and without the manifest; `flattered` is how much better the leak made the first score."""
    by_name = read_splits_by_name(given.data)
    train, test = by_name["train"], by_name["test"]
    drawn = np.random.default_rng(99).permutation(len(train))
    elsewhere, pool = drawn[: given.elsewhere], drawn[given.elsewhere :]
    gains, flattered, dropped = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        model = _trained_elsewhere(train, elsewhere, Path(folder), given.epochs)
        for seed in range(given.seeds):
            root = Path(folder) / f"data-{seed}"
            random = np.random.default_rng(seed)
            own = random.permutation(pool)[: given.images]
            judged = random.permutation(len(test))
            inside, leaking = judged[: given.images // 5], judged[: given.images // 25]
            _write_messy(train, own, random, root / "train")
            for i in inside.tolist():
                save(test.open(i), root / "test" / test.classes[test.labels[i]] / f"{i}.png")
            for i in leaking.tolist():
                name = test.classes[test.labels[i]]
                save(recompress(test.open(i), 80), root / "train" / name / f"leak{i}.jpg")
            options: dict[str, Any] = {"runs": runs, "seed": seed, "epochs": given.epochs}
            first = resnext.train(root, **options, name=f"asis-{seed}")
            out = Path(folder) / f"{seed}.parquet"
            resnext.examine(root, out, model=model or first.folder)
            actions = Counter(row["finding"] for row in manifest(out) if row["action"] == "drop")
            second = resnext.train(root, **options, name=f"obeying-{seed}", manifest=out)
            unseen = test.select(judged[len(leaking) :])
            scores = [100 * _top1(run, unseen) for run in (first, second)]
            leaked, others = (
                100 * _top1(first, test.select(which)) for which in (inside, inside[len(leaking) :])
            )
            flattered.append(leaked - others)
            gains.append(scores[1] - scores[0])
            dropped.append(dict(actions))
            print(
                f"seed {seed}: {scores[0]:.2f} %, {gains[-1]:+.2f} points; dropped {dropped[-1]}", flush=True
            )
    gain, leak = interval(gains), interval(flattered)
    print(
        f"gain {gain.mean:+.2f} points ({gain.low:+.2f} to {gain.high:+.2f}); leak flattered {leak.mean:+.2f}"
    )
    return {
        "elsewhere": given.elsewhere,
        "epochs": given.epochs,
        "seeds": given.seeds,
        "gains": gains,
        "gain": asdict(gain),
        "flattered": asdict(leak),
        "dropped": dropped,
    }


def _trained_elsewhere(
    train: ImageDataset, chosen: NDArray[np.int64], folder: Path, epochs: int
) -> Path | None:
    """A network that was trained on `chosen`, with the right labels; None if they are none."""
    if not len(chosen):
        return None
    root = folder / "elsewhere"
    for i in chosen.tolist():
        save(train.open(i), root / train.classes[train.labels[i]] / f"{i}.png")
    return Path(resnext.train(root, runs=folder / "runs", epochs=epochs, name="elsewhere").folder)


def _write_messy(
    train: ImageDataset, chosen: NDArray[np.int64], random: np.random.Generator, root: Path
) -> None:
    """Images of train, of which one in ten gets another label at random."""
    for place, i in enumerate(chosen.tolist()):
        label = int(train.labels[i])
        if place % 10 == 0:
            label = (label + int(random.integers(1, len(train.classes)))) % len(train.classes)
        save(train.open(i), root / train.classes[label] / f"{i}.png")


def _top1(run: resnext.Run, images: ImageDataset) -> float:
    """Share of images that a run classifies rightly; classes are in one order."""
    classifier = resnext.load(run.folder, "cpu")
    right = 0
    for batch in classifier.classify(images):
        right += int((batch.probabilities.argmax(1) == images.labels[batch.indices]).sum())
    return right / len(images)


PARTS = {one.__name__: one for one in (near, planted, broken, labels, pace, memory, pays)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--right", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--elsewhere", type=int, default=0)
    given = parser.parse_args()
    found = PARTS[given.part](given)
    record = {"kind": "doctor", "experiment": given.part, "settings": {"images": given.images}}
    append_record(record | found | asdict(stamp(cpu_name())), RESULTS)


if __name__ == "__main__":
    main()
