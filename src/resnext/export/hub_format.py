"""Export as a folder in the layout of model hubs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from resnext.arch import TIMM_NAMES
from resnext.export.format import Format
from resnext.export.graph import Source
from resnext.names import markdown
from resnext.weights import write_hub_folder


class HubFormat(Format):
    """A folder that timm, transformers and this package read: config.json, model.safetensors, README.md."""

    name: ClassVar[str] = "hub"
    suffix: ClassVar[str] = ".hub"

    def write(self, source: Source, path: Path) -> None:
        write_hub_folder(path, source.network, source.contract, _card(source))


def _card(source: Source) -> str:
    licence, name = source.contract.provenance.weights_licence, source.network.arch.name
    return f"""---
library_name: {"timm" if name in TIMM_NAMES else "resnext"}
{f"license: {licence}" + chr(10) if licence else ""}pipeline_tag: image-classification
---
# {markdown(source.name)}

{markdown(name)}, an image classifier with {len(source.contract.classes)} classes.
"""
