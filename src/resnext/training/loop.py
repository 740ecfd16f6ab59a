"""`fit`: the training loop, a generator of records that touches no file.

Between two records nothing is half done: whoever consumes them may evaluate, save or stop.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.training.distribution import EndsAlike, Group
from resnext.training.optimisers import build_optimiser, peak_lr
from resnext.training.schedules import lr_factor
from resnext.training.settings import TrainingSettings

#: Steps between two looks at the loss: reading it makes a GPU wait.
CHECK_EVERY = 20


class Diverged(EndsAlike, ArithmeticError):
    """The loss stopped being finite."""


class State:
    """All that the rest of a run depends on: the network, its average, the optimiser and the step."""

    def __init__(
        self, network: nn.Module, settings: TrainingSettings, parts: Sequence[nn.Module] | None = None
    ) -> None:
        """`parts` are the network's layers from input to output, for settings that tell them apart."""
        self.network = network
        parts = [network] if parts is None else parts
        self.frozen_norms = settings.batch_norm == "frozen"
        self.frozen = parts[: settings.frozen]
        for part in self.frozen:
            part.requires_grad_(False)
        self.optimiser = build_optimiser(parts, settings)
        self.average = Average(network, settings.averaging) if settings.averaging else None
        self.step = 0

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and shipped: the average, or else the network itself."""
        return self.network if self.average is None else self.average.network

    def train_mode(self) -> None:
        """The network in training mode, but for its frozen parts and norms, whose statistics stay."""
        self.network.train()
        for part in self.frozen:
            part.eval()
        if self.frozen_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()


class Average:
    """Average of weights and batch-norm statistics over about the last `share` of the steps so far.

    Its horizon grows with the run (polynomial decay, Shamir and Zhang 2013), so that it is of use from
    the first epoch on and in runs of any length, where a fixed decay remembers the random start.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.share = share

    @torch.no_grad()
    def update(self, network: nn.Module, updates: int) -> None:
        """Take in `network`, after `updates` earlier updates."""
        weight = 1 / max(1.0, self.share * (updates + 1))
        torch._foreach_lerp_(_floats(self.network), _floats(network), weight)


def _floats(network: nn.Module) -> list[Tensor]:
    return [t for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()]


@dataclass(frozen=True)
class Step:
    """One training step over a batch of `pictures`, of which this process had its part, `own` of them.

    `loss` and `correct` are scalars still on the device (reading them waits): what the part adds to the mean
    loss over the batch, and how many of it were right. Their sums over the processes are the batch's.
    """

    step: int
    epoch: int
    ends_epoch: bool
    loss: Tensor
    correct: Tensor
    pictures: int
    own: int
    lr: float


def torch_precision(name: str) -> torch.dtype:
    """`float32` or `bfloat16` as torch's type."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def fit(
    state: State,
    batches: Iterable[tuple[Tensor, Tensor]],
    settings: TrainingSettings,
    steps_per_epoch: int,
    steps: int,
    precision: torch.dtype = torch.float32,
    class_weights: Tensor | None = None,
    seed: int = 0,
    group: Group | None = None,
    batch: int | None = None,
    forward: nn.Module | None = None,
) -> Iterator[Step]:
    """Train from `state.step` to step `steps`, one record a step.

    `batches` are (float32 pictures (b, C, H, W), targets) on the network's device, one for each
    remaining step: this process's rows of the `batch` that `group` shares; all of it if None. Targets are
    labels (b,) or probabilities (b, classes). `class_weights` (classes,) weigh the loss; `seed`, the step
    and the row decide what is dropped. `forward` is the network compiled, if it is. Raises `Diverged`
    before a state with a loss that is not finite is yielded as the end of an epoch.
    """
    group = group or Group()
    network = group.wrap(state.network if forward is None else forward)  # a compiled one has no truth value
    unseen = []
    for pictures, targets in batches:
        state.train_mode()
        total = batch or len(targets)
        first = group.rows(total).start
        lr = peak_lr(settings, total) * lr_factor(settings, state.step, steps)
        for one in state.optimiser.param_groups:
            one["lr"] = lr * one["lr_factor"]
        loss, correct = torch.zeros((), device=pictures.device), torch.zeros((), device=pictures.device)
        whole = group.add(_weigh(targets, class_weights).sum()) if class_weights is not None else total
        pieces = [*zip(pictures.chunk(settings.accumulate), targets.chunk(settings.accumulate), strict=True)]
        for number, (some, theirs) in enumerate(pieces, start=1):
            if settings.dropout or settings.drop_path:
                torch.manual_seed(_drop_seed(seed, state.step, first))
            first += len(some)
            with group.holding_back(network, number < len(pieces)):
                with torch.autocast(pictures.device.type, precision, enabled=precision != torch.float32):
                    logits = network(some)
                losses = cross_entropies(logits.float(), theirs, settings.label_smoothing, class_weights)
                part = losses.sum() / whole
                (part * group.size).backward()  # type: ignore[no-untyped-call]  # the group takes the mean of the gradients
            loss += part.detach()
            truth = theirs if theirs.dim() == 1 else theirs.argmax(1)
            correct += (logits.detach().argmax(1) == truth).sum()
        if settings.clip_norm:
            nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip_norm)
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        if state.average is not None:
            state.average.update(state.network, state.step)
        state.step += 1

        unseen.append(loss)
        ends_epoch = state.step % steps_per_epoch == 0
        if ends_epoch or len(unseen) == CHECK_EVERY:
            _check_finite(group.add(torch.stack(unseen)), state.step)
            unseen.clear()
        yield Step(
            step=state.step,
            epoch=(state.step - 1) // steps_per_epoch,
            ends_epoch=ends_epoch,
            loss=loss,
            correct=correct,
            pictures=total,
            own=len(targets),
            lr=lr,
        )


def cross_entropies(
    logits: Tensor, targets: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """(B,): each picture's loss, times the weight of its class.

    `logits` (B, classes); `targets` labels (B,) or probabilities (B, classes).
    """
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    return losses if class_weights is None else losses * _weigh(targets, class_weights)


def _weigh(targets: Tensor, class_weights: Tensor) -> Tensor:
    """(B,): the weight of each picture, by its labels (B,) or its probabilities (B, classes)."""
    return class_weights[targets] if targets.dim() == 1 else targets @ class_weights


def _drop_seed(seed: int, step: int, row: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=(step, row))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def _check_finite(losses: Tensor, step: int) -> None:
    finite = torch.isfinite(losses).tolist()
    if not all(finite):
        raise Diverged(
            f"the loss is not finite at step {step - len(losses) + finite.index(False) + 1}. "
            "The learning rate is the likely cause: try a third of --training.lr"
        )
