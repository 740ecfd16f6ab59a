"""A network in another of the paper's three forms."""

from __future__ import annotations

from dataclasses import replace

from resnext.arch import FORMS, Architecture
from resnext.models import Network, convert_form, create
from resnext.weights.errors import WeightsError


def convert_network(network: Network, name: str) -> Network:
    """`network` as the network called `name`, which is the same function in another of the paper's three
    forms.

    Raises:
        WeightsError: The two are not the same function.

    >>> grouped = create(Architecture.from_name("resnext11_2x4d+template=8", 3))
    >>> convert_network(grouped, "resnext11_2x4d+template=8+transform=branches").arch.transform
    'branches'
    """
    arch = network.arch
    target = Architecture.from_name(name, arch.classes, arch.in_channels)
    for one in (arch, target):
        if one.transform not in FORMS:
            raise WeightsError(
                f"{one.name}: the transformation {one.transform} has no other form. Equal are "
                f"{', '.join(FORMS)}, where the paths are summed"
            )
    if replace(target, transform=arch.transform) != arch:
        others = [replace(arch, transform=form).name for form in FORMS if form != arch.transform]
        raise WeightsError(
            f"{name}: another network than {arch.name}, not another form of it. Its other forms are "
            f"{', '.join(others)}"
        )
    converted = create(target).train(network.training)
    converted.load_state_dict(convert_form(network.state_dict(), arch.cardinality, target.transform))
    converted.bank = network.bank
    return converted.to(next(network.parameters()))
