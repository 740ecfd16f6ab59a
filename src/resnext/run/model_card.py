"""The model card of a trained network."""

from __future__ import annotations

import json

from resnext.arch import TIMM_NAMES
from resnext.contract import Contract
from resnext.names import markdown
from resnext.recipe import Recipe
from resnext.run.evaluation import Evaluation


def model_card(recipe: Recipe, contract: Contract, evaluations: tuple[Evaluation, ...]) -> str:
    """The model card as Markdown, with the front matter that model hubs read."""
    resize, classes = contract.resize, contract.classes
    shown = ", ".join(map(markdown, classes[:20]))
    shown += f" and {len(classes) - 20} more" if len(classes) > 20 else ""
    licence, deep = contract.provenance.weights_licence, _grey(contract)
    return f"""---
library_name: {"timm" if recipe.model in TIMM_NAMES else "resnext"}
{f"license: {json.dumps(licence)}" + chr(10) if licence else ""}pipeline_tag: image-classification
tags:
- image-classification
- resnext
---
# {markdown(recipe.model or "")} on {markdown(contract.provenance.data_name)}

An image classifier with {len(classes)} classes: {shown}.

| split | images | top-1 (95 % interval, Wilson) | always the most frequent training class | loss |
|---|---|---|---|---|
{chr(10).join(map(_row, evaluations))}

Pre-processing: EXIF orientation applied, RGB, {deep}shorter side to {resize.shorter_px} px
({resize.interpolation}, antialiased), centre {resize.crop_px} px, mean {contract.mean}, std {contract.std}.

```python
import resnext

for prediction in resnext.load("FOLDER").predict(["image.jpg"]):
    print(prediction.label, prediction.probability)
```

## Recipe

```toml
{recipe.to_toml().strip()}
```
"""


def _grey(contract: Contract) -> str:
    if contract.grey is None:
        return ""
    black, white = contract.grey.black, contract.grey.white
    return f"in grey of more than 8 bits {black:,.6g} is black and {white:,.6g} white, "


def _row(evaluation: Evaluation) -> str:
    """The scores on one split as a row of the table."""
    scores, majority = evaluation.scores, evaluation.majority
    cells = [
        f"{evaluation.split}{evaluation.role}",
        f"{scores.count:,}",
        f"{100 - scores.top1_error:.2f} % ({scores.top1.interval_text})",
        f"{100 * majority.share:.2f} %" if majority else "",
        f"{scores.loss:.4f}",
    ]
    return f"| {' | '.join(cells)} |"
