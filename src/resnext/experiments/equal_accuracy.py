"""Equal accuracy: a ResNeXt of half the depth has no larger error than a ResNet, and takes less time.

The control is a ResNet of the ResNeXt's depth. Where it passes too, the deep ResNet is only slow to start,
and the claim says nothing about paths.

Command  resnext experiments run equal_accuracy --scale laptop
Cost     at each scale only the runs of `cardinality` and `cardinality_vs_depth_vs_width`, which it shares,
         and minutes of timing
"""

from __future__ import annotations

from collections.abc import Iterable

from resnext.experiments.claims import Claim, non_inferior, slower
from resnext.experiments.findings import Verdict
from resnext.experiments.scales import SCALE_DEFAULTS, default_study
from resnext.experiments.study import Experiment, Scale, Study

#: Top-1 errors of ResNet-101, ResNeXt-50 and ResNet-50 in table 3.
ERRORS = (22.0, 22.2, 23.9)
ARMS: dict[Scale, dict[str, str]] = {
    "paper": {"ResNet-101": "resnet101", "ResNeXt-50": "resnext50_32x4d", "ResNet-50": "resnet50"},
    "gpu": {"ResNet-56": "resnet56+stem=cifar", "ResNeXt-29": "resnext29_32x4d", "ResNet-29": "resnet29"},
    "laptop": {
        "ResNet-44": "resnet44+blocks=5-5-4+template=24+stem=cifar",
        "ResNeXt-20": "resnext20_8x5d+template=24",
        "ResNet-20": "resnet20+template=24",
    },
    "miniature": {
        "ResNet-20": "resnet20+template=16",
        "ResNeXt-11": "resnext11_4x6d+template=16",
        "ResNet-11": "resnet11+template=16",
    },
}


def _claims(names: Iterable[str], margin: float) -> tuple[Claim, ...]:
    resnet, resnext, control = names
    return (
        non_inferior(f"the error of {resnext} is at most {margin} points higher", resnext, resnet, margin),
        non_inferior(f"control: that of {control} is too, without paths", control, resnet, margin),
        slower(f"{resnet} takes longer than {resnext}", resnet, than=resnext),
    )


def _study(scale: Scale, arms: dict[str, str]) -> Study:
    equal, control, times = _claims(arms, SCALE_DEFAULTS[scale].margin)
    errors = dict(zip(arms, ERRORS, strict=True))
    controls: dict[str, tuple[str, Verdict]] = {equal.text: (control.text, "holds")}
    return default_study(scale, arms, (equal, control, times), errors, controls=controls)


EXPERIMENT = Experiment(
    name="equal_accuracy",
    claim="A ResNeXt of half the depth has no higher error than a ResNet, within a margin, in less time",
    source="Xie et al. 2017, table 3",
    studies={scale: _study(scale, arms) for scale, arms in ARMS.items()},
    plots=("time",),
)
