"""Training error: cardinality gives a stronger representation and is not only a regulariser.

The training error is that of the last epoch on its augmented images, as in the authors' code. At `laptop` the
networks see few images often, because only then does the training error fall below the test error, as in the
paper.

Command  resnext experiments run training_error --scale laptop
Cost     laptop: 10 runs of 6 minutes, two at a time on two CPU cores; gpu and paper: only the
         runs of `cardinality`, which it shares
"""

from __future__ import annotations

from resnext.experiments.claims import lower
from resnext.experiments.findings import ERROR, TRAINING_ERROR
from resnext.experiments.scales import default_study, laptop_few
from resnext.experiments.study import Experiment, Scale, Study, arms

#: Of ResNet-101 and ResNeXt-101: test errors of table 3; training errors of figure 5, which are approximate.
ERRORS, TRAINING_ERRORS = (22.0, 21.2), (20.0, 16.0)
PAIRS: dict[Scale, dict[str, str]] = {
    "paper": {"101 layers 1x64d": "resnet101", "101 layers 32x4d": "resnext101_32x4d"},
    "gpu": {"1x64d": "resnet29", "32x4d": "resnext29_32x4d"},
    "laptop": {"1x24d": "resnet20+template=24", "8x5d": "resnext20_8x5d+template=24"},
    "miniature": {"1x16d": "resnet11+template=16", "4x6d": "resnext11_4x6d+template=16"},
}


def _study(scale: Scale, pair: dict[str, str]) -> Study:
    resnet, resnext = pair
    claims = tuple(lower(resnext, than=resnet, metric=metric) for metric in (TRAINING_ERROR, ERROR))
    errors, training = (dict(zip(pair, known, strict=True)) for known in (ERRORS, TRAINING_ERRORS))
    if scale == "laptop":
        few = arms(laptop_few, "cifar10-5000", pair, errors, train_top1_error=training)
        return Study(few, claims, seeds=5)
    return default_study(scale, pair, claims, errors, train_top1_error=training)


EXPERIMENT = Experiment(
    name="training_error",
    claim="Cardinality makes a stronger representation: the training error falls too",
    source="Xie et al. 2017, section 5.1, figure 5",
    studies={scale: _study(scale, pair) for scale, pair in PAIRS.items()},
    plots=("curves",),
)
