"""Inference on many machines by Ray: `Predictor` for `ray.data`, `deployment` for Ray Serve.

Needs the extra `ray`. `Predictor` itself does not import Ray, so a job can be tried without it.
"""

from __future__ import annotations

from resnext.ray.deployment import deployment
from resnext.ray.predictor import Predictor

__all__ = ["Predictor", "deployment"]
