"""Networks that timm lacks, in its registry, by our names: `import resnext.timm_models` puts them there.

From then on `timm.create_model` makes them, as backbones too (`features_only=True`), and reads hub folders of
them (`local-dir:`, `hf-hub:`). What timm has under a name stays as it is.

>>> import timm, resnext.timm_models
>>> network = timm.create_model("resnext26_16x4d", num_classes=10)
>>> network.arch.name, network.num_classes
('resnext26_16x4d', 10)
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from resnext.arch import KNOWN_NAMES, STEMS, Architecture
from resnext.errors import PackageMissing, UsageError
from resnext.models import Network, feature_maps

try:
    from timm.models import build_model_with_cfg, generate_default_cfgs, is_model, register_model
except ImportError:
    raise PackageMissing(
        "resnext.timm_models needs the package timm, which is not installed; pip install timm"
    ) from None

#: Cardinalities and path widths that are registered for each depth, with and without squeeze-and-excitation.
DEPTHS, CARDINALITIES, WIDTHS = (26, 50, 101, 152), (8, 16, 32, 64), (4, 8, 16, 32)
NAMES = (
    *KNOWN_NAMES,
    *(
        f"resnext{depth}_{cardinality}x{width}d{attention}"
        for depth, cardinality, width in itertools.product(DEPTHS, CARDINALITIES, WIDTHS)
        for attention in ("", "+attention=se")
    ),
)
#: Where timm looks for what it knows about the networks of a module, by name.
default_cfgs: dict[str, Any] = {}


def register(name: str) -> None:
    """Let timm make the network called `name`, unless it has one of this name.

    Args:
        name: A name, as `resnext.create` takes it.

    Raises:
        ArchitectureError: There is no such network; the message has the nearest names.

    >>> import timm
    >>> register("resnext38_6x5d+template=16+shortcut=zero_pad")
    >>> timm.is_model("resnext38_6x5d+template=16+shortcut=zero_pad")
    True
    """
    arch = Architecture.from_name(name)
    if is_model(name):
        return
    default_cfgs.update(generate_default_cfgs({name: _describe(arch)}))
    entry = _entry(arch, name)
    setattr(sys.modules[__name__], name, entry)  # timm lists it in `__all__`
    register_model(entry)


def _describe(arch: Architecture) -> dict[str, Any]:
    """What timm wants to know of a network without weights."""
    side = arch.size_px
    return {
        "num_classes": arch.classes,
        "input_size": (arch.in_channels, side, side),
        "first_conv": "conv1.0" if len(STEMS[arch.stem].convolutions) > 1 else "conv1",
        "classifier": "fc",
    }


def _entry(arch: Architecture, name: str) -> Callable[..., Any]:
    """The function that timm calls for the network `arch`, called by its name."""

    def entry(pretrained: bool = False, **options: Any) -> Any:
        maps = {"out_indices": tuple(range(len(feature_maps(arch))))}
        return build_model_with_cfg(partial(_network, name), name, pretrained, feature_cfg=maps, **options)

    entry.__name__ = entry.__qualname__ = name
    return entry


def _network(
    name: str,
    num_classes: int = 1000,
    in_chans: int = 3,
    global_pool: str = "avg",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> Network:
    """The network called `name`, from timm's arguments. Raises `UsageError`."""
    if global_pool != "avg":
        raise UsageError(
            f"{name}: global_pool {global_pool!r}: must be 'avg'; features_only=True pools nothing"
        )
    network = Network(Architecture.from_name(name, num_classes or 1, in_chans))
    if num_classes == 0:
        network.reset_classifier(0)
    network.regularise(drop_path_rate, drop_rate)
    # timm's words for the maps of `features_only`.
    network.feature_info = [  # type: ignore[assignment]
        {"num_chs": one.channels, "reduction": one.reduction, "module": one.module_name}
        for one in feature_maps(network.arch)
    ]
    return network


for _name in NAMES:
    register(_name)
