"""Settings of the optimisation, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingSettings:
    """How weights are found. Fractions are of the whole run, so they hold for runs of any length."""

    optimiser: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum, or AdamW."""
    lr: float = 0.1
    """Peak learning rate for a batch of `lr_batch`; it grows in proportion to the batch."""
    lr_batch: int = 128
    """Batch that `lr` is meant for."""
    momentum: float = 0.9
    """Momentum of SGD; first beta of AdamW."""
    weight_decay: float = 5e-4
    """Pull of the weights towards zero."""
    decays: Literal["all", "kernels"] = "all"
    """What `weight_decay` acts on: every parameter, or the weights of convolutions and the head only."""
    schedule: Literal["one-cycle", "cosine", "step"] = "one-cycle"
    """Course of the learning rate."""
    warmup: float = 0.0
    """Share of the run with a rising learning rate (one-cycle: its rising part)."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """Points of the run at which the `step` schedule divides the rate by 10."""
    label_smoothing: float = 0.0
    """Probability taken from the true class and spread over all."""
    averaging: float = 0.0
    """Horizon of the weight average, as a share of the run so far; 0 judges the raw weights."""
    zero_init: bool = False
    """Start every block as its shortcut: the scale of its last batch norm is 0."""
    drop_path: float = 0.0
    """Rate at which the last block is left out in training; earlier ones less (stochastic depth)."""
    dropout: float = 0.0
    """Rate at which inputs of the classifier are zeroed in training."""
    accumulate: int = 1
    """Pieces that each batch is computed in, one after the other, to save memory."""
    clip_norm: float = 0.0
    """Largest norm of the gradient, longer ones are shortened; 0 is off."""
    patience: int = 0
    """Epochs without a better `val` score that end the run; 0 is off."""
    batch_norm: Literal["own", "synchronised", "frozen"] = "own"
    """Statistics in training: of each process's part of the batch, of all parts (on GPUs, which wait for each
    other at every norm), or those that the run starts with."""
    compile: Literal["off", "on", "graphs"] = "off"
    """Let torch compile the network first, which takes minutes; `graphs` replays CUDA graphs too. Where that
    fails, a line says so and the run goes on without."""
    frozen: int = 0
    """Parts that keep their weights, from the input: 1 is the stem, 2 the first stage too, and so on."""
    layer_decay: float = 1.0
    """Factor on the learning rate of each part against the one after it (the head has the full rate)."""
