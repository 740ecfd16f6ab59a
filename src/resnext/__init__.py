"""ResNeXt: aggregated residual networks, trained, judged and used.

`create`, `load`, `train`, `evaluate`, `predict` and `list_models` are the public functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from resnext.api import Evaluation as Evaluation
    from resnext.api import Prediction as Prediction
    from resnext.api import Recipe as Recipe
    from resnext.api import Run as Run
    from resnext.api import create as create
    from resnext.api import evaluate as evaluate
    from resnext.api import list_models as list_models
    from resnext.api import load as load
    from resnext.api import predict as predict
    from resnext.api import train as train

__all__ = [
    "Evaluation",
    "Prediction",
    "Recipe",
    "Run",
    "create",
    "evaluate",
    "list_models",
    "load",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'resnext' has no attribute {name!r}")
    from resnext import api  # on first use: torch takes seconds to import

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
