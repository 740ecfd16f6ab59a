"""`fit`: the training loop, a generator that yields one record a step and touches no file.

Between two records the state is consistent: the consumer may evaluate, save or stop.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.training.distributed import CollectiveError, ProcessGroup
from resnext.training.optimisers import build_optimiser, peak_lr
from resnext.training.precision import autocast
from resnext.training.schedules import lr_factor
from resnext.training.settings import TrainingSettings

#: Steps between two checks of the loss: reading it makes the host wait for a GPU.
CHECK_EVERY = 20


class Diverged(CollectiveError, ArithmeticError):
    """The loss stopped being finite."""

    exit_code = 4


class TrainState:
    """Everything the rest of a run depends on: network, weight average, optimiser and step.

    Args:
        network: The network to train.
        settings: Settings of the optimisation.
        parts: Layers of the network from input to output, for settings such as `frozen` and `layer_decay`;
            the whole network is one part if None.
    """

    def __init__(
        self, network: nn.Module, settings: TrainingSettings, parts: Sequence[nn.Module] | None = None
    ) -> None:
        self.network = network
        parts = [network] if parts is None else parts
        self.frozen_norms = settings.batch_norm == "frozen"
        self.frozen = parts[: settings.frozen]
        for part in self.frozen:
            part.requires_grad_(False)
        self.optimiser = build_optimiser(parts, settings)
        self.average = WeightAverage(network, settings.averaging) if settings.averaging else None
        self.step = 0

    @property
    def evaluated(self) -> nn.Module:
        """The network to evaluate and ship: the weight average if there is one, else the network itself."""
        return self.network if self.average is None else self.average.network

    def train_mode(self) -> None:
        """Put the network into training mode, except frozen parts and norms, whose statistics must not
        change."""
        self.network.train()
        for part in self.frozen:
            part.eval()
        if self.frozen_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def update(self, clip_norm: float) -> None:
        """Update weights and average by the gradients, whose norm is clipped unless `clip_norm` is 0."""
        if clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update(self.network, self.step)
        self.step += 1


class WeightAverage:
    """Average of weights and batch-norm statistics over about the last `share` of the steps so far.

    The horizon grows with the run (polynomial-decay averaging, Shamir and Zhang 2013). So the average is
    useful from the first epoch on and in runs of any length; a fixed decay would remember the random
    initialisation.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.share = share

    @torch.no_grad()
    def update(self, network: nn.Module, updates: int) -> None:
        """Add `network` to the average, after `updates` earlier updates."""
        weight = 1 / max(1.0, self.share * (updates + 1))
        torch._foreach_lerp_(_float_tensors(self.network), _float_tensors(network), weight)


def _float_tensors(network: nn.Module) -> list[Tensor]:
    return [t for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()]


@dataclass(frozen=True)
class Step:
    """One training step.

    `loss` and `correct` are scalars that are still on the device (reading them waits for it). Both are this
    process's contribution, so that their sums over the processes are the mean loss and the number of correct
    answers of the batch.
    """

    step: int
    epoch: int
    ends_epoch: bool
    loss: Tensor
    correct: Tensor
    images: int
    """Images of the whole batch."""
    own: int
    """Images of this process's shard."""
    lr: float


def fit(
    state: TrainState,
    batches: Iterable[tuple[Tensor, Tensor]],
    settings: TrainingSettings,
    steps_per_epoch: int,
    steps: int,
    precision: torch.dtype = torch.float32,
    class_weights: Tensor | None = None,
    seed: int = 0,
    group: ProcessGroup | None = None,
    batch: int | None = None,
    forward: nn.Module | None = None,
) -> Iterator[Step]:
    """Train from `state.step` to step `steps`, yielding one record a step.

    Args:
        state: The network and its optimiser; updated in place.
        batches: (images, targets) for each remaining step, on the network's device: float32 images (b, C, H,
            W), and labels (b,) or probabilities (b, classes).
        settings: Settings of the optimisation.
        steps_per_epoch: Steps of an epoch.
        steps: Steps of the whole run.
        precision: Type of convolutions and products; weights and sums are float32.
        class_weights: (classes,) weights of the loss.
        seed: With the step and the row, decides what dropout and stochastic depth drop.
        group: The processes that share each batch; `batches` are this process's shards.
        batch: Images of a whole batch; the length of the shard if None.
        forward: The compiled form of `state.network`; None if it is not compiled.

    Raises:
        Diverged: The loss is not finite; never later than at the end of the epoch.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    >>> batch = torch.ones(4, 3, 1, 1), torch.tensor([0, 1, 1, 1])
    >>> settings = TrainingSettings(lr=0.1, decays="all")
    >>> steps = list(fit(TrainState(network, settings), [batch] * 9, settings, 3, 9))
    >>> bool(steps[-1].loss < steps[0].loss)
    True
    """
    group = group or ProcessGroup()
    # Not `forward or ...`, which would ask a compiled network for its length.
    network = group.wrap(state.network if forward is None else forward)
    unchecked = []
    for images, targets in batches:
        state.train_mode()
        total = batch or len(targets)
        lr = peak_lr(settings, total) * lr_factor(settings, state.step, steps)
        for params in state.optimiser.param_groups:
            params["lr"] = lr * params["lr_factor"]
        loss, correct = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
        total_weight: Tensor | int = total
        if class_weights is not None:
            total_weight = group.all_reduce(_weights_of(targets, class_weights).sum())
        row = group.shard(total).start
        pieces = [*zip(images.chunk(settings.accumulate), targets.chunk(settings.accumulate), strict=True)]
        for number, (piece, piece_targets) in enumerate(pieces, start=1):
            if settings.dropout or settings.drop_path:
                torch.manual_seed(_drop_seed(seed, state.step, row))
            row += len(piece)
            with group.no_sync(network, number < len(pieces)):
                with autocast(images.device, precision):
                    logits = network(piece)
                losses = cross_entropy(logits.float(), piece_targets, settings.label_smoothing, class_weights)
                part = losses.sum() / total_weight
                # The group averages the gradients.
                (part * group.size).backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
            correct += _count_correct(logits, piece_targets)
        state.update(settings.clip_norm)

        unchecked.append(loss)
        ends_epoch = state.step % steps_per_epoch == 0
        if ends_epoch or len(unchecked) == CHECK_EVERY:
            _check_finite(group.all_reduce(torch.stack(unchecked)), state.step)
            unchecked.clear()
        yield Step(
            step=state.step,
            epoch=(state.step - 1) // steps_per_epoch,
            ends_epoch=ends_epoch,
            loss=loss,
            correct=correct,
            images=total,
            own=len(targets),
            lr=lr,
        )


def _count_correct(logits: Tensor, targets: Tensor) -> Tensor:
    """How many of (b, classes) answers are right, as a scalar on their device."""
    labels = targets if targets.dim() == 1 else targets.argmax(1)
    return (logits.detach().argmax(1) == labels).sum()


def cross_entropy(
    logits: Tensor, targets: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """The loss (B,) of each image, times the weight of its class.

    Args:
        logits: (B, classes).
        targets: Labels (B,) or probabilities (B, classes).
        label_smoothing: Probability that is taken from the target and spread over all classes.
        class_weights: (classes,).
    """
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    return losses if class_weights is None else losses * _weights_of(targets, class_weights)


def _weights_of(targets: Tensor, class_weights: Tensor) -> Tensor:
    """The weight (B,) of each image, from labels (B,) or probabilities (B, classes)."""
    return class_weights[targets] if targets.dim() == 1 else targets @ class_weights


def _drop_seed(seed: int, step: int, row: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=(step, row))
    (word,) = sequence.generate_state(1, np.uint64)
    return int(word >> 1)


def _check_finite(losses: Tensor, step: int) -> None:
    finite = torch.isfinite(losses).tolist()
    if not all(finite):
        raise Diverged(
            f"the loss is not finite at step {step - len(losses) + finite.index(False) + 1}. "
            "The learning rate is the likely cause: try a third of --training.lr"
        )
