"""Train, write ONNX, and let a program answer that has neither this package nor torch.

    python onnx_alone.py

That program is the one of docs/ship.md, "Without this package": it needs onnxruntime, numpy and Pillow. What
it says must be what this package says. Needs the extra `onnx`: pip install 'resnext[onnx]'.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import resnext

SHIP = Path(__file__).parents[1] / "ship.md"
#: Runs a program in an interpreter in which these two cannot be imported.
ALONE = """
import runpy, sys
sys.modules.update(torch=None, resnext=None)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def write_images(folder: Path) -> list[Path]:
    """Five scanned digits as PNG files."""
    paths = [folder / f"{number}.png" for number in range(5)]
    for path, image in zip(paths, load_digits().images, strict=False):
        Image.fromarray((image * 255 / 16).round().astype(np.uint8)).save(path)
    return paths


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        program = folder / "classify.py"
        section = SHIP.read_text().partition("## Without this package")[2]
        program.write_text(section.split("```python\n")[1].split("```")[0])
        run = resnext.train("digits", epochs=3, runs=folder / "runs")
        exported = resnext.export_model(run.folder, "onnx")
        paths = write_images(folder)
        words = [sys.executable, "-c", ALONE, str(program), str(exported.path), *map(str, paths)]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        rows = [line.split("\t") for line in said.splitlines()]
        for ours, (path, label, probability) in zip(resnext.predict(run.folder, paths), rows, strict=True):
            same = label == ours.label and abs(float(probability) - ours.probability) < 1e-4
            print(
                f"{Path(path).name}: {label}, {probability}; this package says {'the same' if same else ours}"
            )
            if not same:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
