"""What is exported: the folded network with the outputs that were asked for, for batches of any size."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from resnext.contract import Contract
from resnext.engine import Output, Takes, rejection_of, temperature
from resnext.export.packing import pack_groups
from resnext.models import Network, familiarity, fold_batch_norms

#: Name of the input, (B, 3, H, W), float32, prepared as the contract says.
PIXELS = "pixel_values"
#: Outputs that can be had beside `logits`, in the order in which they come.
OPTIONAL: tuple[Output, ...] = ("probabilities", "cam")
#: Scores of familiarity that no other output tells.
BY_FEATURES = ("clipped", "neighbours")


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        name: Name of the model.
        network: The network.
        contract: Its classes, preprocessing and calibration.
        sha256: Digest of its file of weights; empty if it has none.
        outputs: What is computed beside the logits, some of `OPTIONAL`.
        takes: What goes in: prepared pixels, or images that the graph prepares itself.
        packing: How many times as wide the groups of grouped convolutions become, by their names.
    """

    name: str
    network: Network
    contract: Contract
    sha256: str = ""
    outputs: tuple[Output, ...] = ()
    takes: Takes = "pixels"
    packing: Mapping[str, int] = field(default_factory=dict)

    @property
    def output_names(self) -> list[Output]:
        """All outputs, in their order; how familiar an image looks is one where the others do not tell it."""
        made: list[Output] = ["logits", *(name for name in OPTIONAL if name in self.outputs)]
        if rejection_of(self.contract).score in BY_FEATURES:
            made.append("familiarity")
        return made


class OutputGraph(nn.Module):
    """A network with several outputs.

    Args:
        network: The network.
        contract: Where the temperature of the softmax stands.
        outputs: Names of the outputs, in their order.
    """

    def __init__(self, network: Network, contract: Contract, outputs: Sequence[Output]) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature(contract)
        self.rejection = rejection_of(contract)
        self.outputs = tuple(outputs)

    def forward(self, pixel_values: Tensor) -> dict[Output, Tensor]:
        """(B, 3, H, W) -> logits and probabilities (B, classes), cam (B, classes, h, w), familiarity (B,)."""
        features = self.network.forward_features(pixel_values)
        pooled = self.network.forward_head(features, pre_logits=True)
        logits = self.network.fc(pooled)
        made: dict[Output, Tensor] = {"logits": logits}
        if "probabilities" in self.outputs:
            made["probabilities"] = (logits / self.temperature).softmax(1)
        if "cam" in self.outputs:
            made["cam"] = self.network.activation_maps(features)
        if "familiarity" in self.outputs:
            made["familiarity"] = familiarity(self.network, self.rejection, pooled, logits)
        return {name: made[name] for name in self.outputs}


def trace(source: Source) -> ExportedProgram:
    """The program of torch.export for `source`, for batches of any size.

    >>> from resnext.arch import Architecture
    >>> from resnext.contract import Input, Provenance, Resize
    >>> from resnext.models import create
    >>> size, half = Input(3, 32, 32), (0.5,) * 3
    >>> contract = Contract(("a", "b"), size, Resize(32, 32), half, half, Provenance("resnet11"))
    >>> network = create(Architecture.from_name("resnet11+template=8", 2))
    >>> program = trace(Source("x", network, contract, outputs=("cam",)))
    >>> {name: tuple(output.shape) for name, output in program.module()(torch.zeros(5, 3, 32, 32)).items()}
    {'logits': (5, 2), 'cam': (5, 2, 8, 8)}
    """
    contract, network = source.contract, fold_batch_norms(source.network).cpu()
    network = pack_groups(network, source.packing).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    compares = rejection_of(contract).score == "neighbours"
    network.register_buffer("bank", network.bank if compares else None)  # saved as weights are
    graph = OutputGraph(network, contract, source.output_names).eval().requires_grad_(False)
    pixels = torch.zeros(2, contract.input.channels, contract.input.height_px, contract.input.width_px)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own use of itself
        program = export(graph, (pixels,), dynamic_shapes={PIXELS: {0: Dim("batch", min=1)}})
    for node in program.graph.nodes:  # they hold paths of files on this machine
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(key, None)
    return program
