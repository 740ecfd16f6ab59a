"""Networks for `torch.hub`: `torch.hub.load("PATH OF THIS FOLDER", "resnext50_32x4d", source="local")`.

There is an entry point for each name that `resnext models` lists, and `network` takes any name. Nothing needs
to be installed but what `dependencies` names: the package is taken from this folder.
"""

import sys as _sys
from functools import partial as _partial
from pathlib import Path as _Path

dependencies = ["torch", "safetensors"]

_sys.path.insert(0, str(_Path(__file__).parent / "src"))
try:
    from resnext.arch import KNOWN_NAMES as _KNOWN_NAMES
    from resnext.models import FeaturePyramid as _FeaturePyramid
    from resnext.weights import create_network as _create_network
finally:
    _sys.path.pop(0)


def network(
    name, pretrained=False, classes=1000, in_channels=3, new_head=False, features_only=False, out_indices=None
):
    """A network by name.

    Args:
        name: Its name, such as "resnext50_32x4d+attention=se".
        pretrained: False for fresh weights; True for the best public ones that any use is allowed of; or what
            `resnext.create(weights=...)` takes: a name of public weights, a file, a run folder or hub folder.
        classes: Number of classes. Public weights are of 1000; with another number the head is fresh.
        in_channels: Channels of the images.
        new_head: A fresh head in place of that of the weights.
        features_only: Return the feature maps as a list, without the head.
        out_indices: Which of the feature maps; see `resnext.create`.

    Returns:
        A `torch.nn.Module`: (B, in_channels, H, W) -> logits (B, classes), or the feature maps.
    """
    weights = name if pretrained is True else pretrained or None
    new_head = new_head or features_only or (pretrained is True and classes != 1000)
    made = _create_network(name, classes, in_channels, weights=weights, new_head=new_head)
    return _FeaturePyramid(made, out_indices) if features_only else made


for _name in _KNOWN_NAMES:
    globals()[_name] = _partial(network, _name)
    globals()[_name].__doc__ = f"The network {_name}; the entry point `network` describes the arguments."
