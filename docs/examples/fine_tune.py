"""Fine-tune public weights, named as `resnext weights` lists them, on images of your own.

    python fine_tune.py IMAGES resnet18.a1_in1k

The recipe, the new head, the size of the images and the filter follow from the weights. They are fetched
once, by the extra `hub`: pip install 'resnext[hub]'.
"""

import argparse
from pathlib import Path

import resnext


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("images", help="IMAGES/cat/1.jpg, IMAGES/dog/7.png, ...")
    words.add_argument("weights", help="a name, hf-hub:owner/name, or a file")
    words.add_argument("--runs", type=Path, default=Path("runs"))
    words.add_argument("--epochs", type=int, help="chosen from the number of images if left out")
    given = words.parse_args()
    chosen = {} if given.epochs is None else {"epochs": given.epochs}
    run = resnext.train(given.images, weights=given.weights, new_head=True, runs=given.runs, **chosen)
    scores = resnext.evaluate(run.folder, given.images).scores
    print(f"{run.folder}: {scores.top1_error:.1f} % of {scores.count} held-out images are wrong")


if __name__ == "__main__":
    main()
