"""Settings of the optimisation. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingSettings:
    """How the weights are optimised. Fractions are of the whole run, so that they fit runs of any length."""

    fits: Literal["network", "head"] = "network"
    """What is fitted: the weights of the whole network, step by step; or the head alone, by logistic
    regression on the features of the images, which are computed once for each epoch: the first one sees the
    images as evaluation does, the others augmented. The other settings here are about the network."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum, or AdamW."""
    lr: float | Literal["auto"] = 0.1
    """Peak learning rate for a batch of `lr_batch`; it grows in proportion to the batch. `auto` follows the
    length of the run."""
    lr_batch: int = 128
    """Batch size that `lr` is meant for."""
    momentum: float = 0.9
    """Momentum of SGD; first beta of AdamW."""
    weight_decay: float = 5e-4
    """Weight decay (L2)."""
    decays: Literal["all", "kernels"] = "all"
    """What `weight_decay` acts on: every parameter, or the weights of convolutions and the head only."""
    schedule: Literal["one-cycle", "cosine", "step"] = "one-cycle"
    """Learning-rate schedule."""
    warmup: float = 0.0
    """Share of the run with a rising learning rate (one-cycle: its rising part)."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """Points of the run at which the `step` schedule divides the rate by 10."""
    label_smoothing: float = 0.0
    """Probability that is taken from the true class and spread over all classes."""
    averaging: float = 0.0
    """Horizon of the weight average, as a share of the run so far; 0 evaluates the raw weights."""
    zero_init: bool = False
    """Start every block as its shortcut, by a last batch norm whose scale is 0."""
    drop_path: float = 0.0
    """Stochastic depth: the rate at which the last block is dropped in training, less for earlier ones."""
    dropout: float = 0.0
    """Dropout rate of the inputs of the classifier."""
    accumulate: int = 1
    """Gradient accumulation: number of pieces that each batch is computed in, to save memory."""
    clip_norm: float = 0.0
    """Largest norm of the gradient, to which longer ones are clipped; 0 is off."""
    patience: int = 0
    """Early stopping: number of epochs without a better `val` score that end the run; 0 is off."""
    batch_norm: Literal["own", "synchronised", "frozen"] = "own"
    """Statistics in training: those of each process's shard of the batch (own), those of the whole batch
    (synchronised; on GPUs, which wait for each other at every norm), or those that the run starts with
    (frozen)."""
    compile: Literal["off", "on", "graphs"] = "off"
    """Compile the network with torch.compile first, which takes minutes; `graphs` uses CUDA graphs too. If
    that fails, the run says so and goes on eagerly."""
    frozen: int = 0
    """Number of parts, from the input, that keep their weights: 1 is the stem, 2 the first stage too, and so
    on."""
    layer_decay: float = 1.0
    """Factor between the learning rates of a part and of the next one; the head has the full rate."""
