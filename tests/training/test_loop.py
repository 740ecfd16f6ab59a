"""`fit`, its parts and its checkpoints, on a network of a few weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.training import checkpoints
from resnext.training.checkpoints import CheckpointError
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import Diverged, TrainState, WeightAverage, _drop_seed, cross_entropy, fit
from resnext.training.optimisers import build_optimiser, peak_lr
from resnext.training.settings import TrainingSettings

SETTINGS = TrainingSettings(lr=0.05, lr_batch=8, averaging=0.2, label_smoothing=0.1)
STEPS, PER_EPOCH = 24, 6


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 2)
    )


def batches(first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Two classes apart by brightness."""
    for step in range(first, STEPS):
        generator = torch.Generator().manual_seed(step)
        labels = torch.randint(2, (8,), generator=generator)
        noise = torch.randn(8, 3, 5, 5, generator=generator)
        yield noise + 2 * labels.view(-1, 1, 1, 1), labels


def run(state: TrainState, settings: TrainingSettings = SETTINGS) -> list[Any]:
    return list(fit(state, batches(state.step), settings, PER_EPOCH, STEPS))


def save(state: TrainState, path: Path, extra: dict[str, Any]) -> None:
    checkpoints.write_snapshot(checkpoints.take_snapshot(state, extra), path)


def test_it_learns_and_tells() -> None:
    records = run(TrainState(network(), SETTINGS))
    assert [r.step for r in records] == list(range(1, STEPS + 1))
    assert [r.epoch for r in records] == [i // PER_EPOCH for i in range(STEPS)]
    assert [r.ends_epoch for r in records] == [(i + 1) % PER_EPOCH == 0 for i in range(STEPS)]
    assert sum(int(r.correct) for r in records[-6:]) > sum(int(r.correct) for r in records[:6])
    assert records[-1].loss < records[0].loss


class Whole(nn.Module):
    """A network that, other than a sequence, has no length; nor has it one compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)  # type: ignore[no-any-return]


def test_a_compiled_network_takes_the_same_steps() -> None:
    plain, state = TrainState(Whole(), SETTINGS), TrainState(Whole(), SETTINGS)
    forward = torch.compile(state.network, backend="eager")
    steps = fit(state, islice(batches(), 4), SETTINGS, PER_EPOCH, STEPS, forward=forward)
    expected = fit(plain, islice(batches(), 4), SETTINGS, PER_EPOCH, STEPS)
    assert [step.loss.item() for step in steps] == [step.loss.item() for step in expected]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_steps_are_those_of_plain_torch(optimiser: str) -> None:
    settings = replace(SETTINGS, optimiser=optimiser, schedule="cosine")  # type: ignore[arg-type]
    state, plain = TrainState(network(), settings), network()
    run(state, settings)
    if optimiser == "sgd":
        update: Any = torch.optim.SGD(
            plain.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
    else:
        update = torch.optim.AdamW(plain.parameters(), lr=0.05, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(update, STEPS)
    for images, labels in batches():
        F.cross_entropy(plain(images), labels, label_smoothing=0.1).backward()
        update.step()
        schedule.step()
        update.zero_grad()
    theirs = plain.state_dict()
    for name, tensor in state.network.state_dict().items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["labels", "probabilities"])
def test_smoothing_and_weights_of_classes_act_together(kind: str) -> None:
    """Written out: the target is smoothed, then the loss of the image is weighted by its class."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, dtype=torch.float64, generator=generator)
    weights, smoothing = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64), 0.3
    targets = torch.tensor([0, 1, 2, 2, 1, 0])
    wanted = torch.eye(3, dtype=torch.float64)[targets]
    if kind == "probabilities":
        wanted = 0.7 * wanted + 0.3 * wanted.roll(1, 0)
    expected = [
        -sum(w * weights[c] for c, w in enumerate(row))
        * sum(((1 - smoothing) * row[c] + smoothing / 3) * own[c] for c in range(3))
        for row, own in zip(wanted, logits - logits.exp().sum(1, keepdim=True).log(), strict=True)
    ]
    given = targets if kind == "labels" else wanted
    torch.testing.assert_close(cross_entropy(logits, given, smoothing, weights), torch.stack(expected))
    plain = F.cross_entropy(logits, given, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, given, smoothing), plain)
    plain = F.cross_entropy(logits, given, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, given), plain)


@pytest.mark.parametrize("decays", ["all", "kernels"])
def test_what_decays_is_decided_by_class(decays: str) -> None:
    net = network()
    settings = TrainingSettings(weight_decay=0.5, decays=decays)  # type: ignore[arg-type]
    optimiser = build_optimiser([net], settings)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimiser.step()
    shrunk = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    kernels = {"0.weight", "4.weight"}
    # A batch norm's shift starts at 0, which decay leaves where it is.
    assert shrunk == (kernels if decays == "kernels" else kernels | {"1.weight", "4.bias"})


def test_the_rate_grows_with_the_batch() -> None:
    assert peak_lr(TrainingSettings(lr=0.1, lr_batch=128), 256) == pytest.approx(0.2)


def test_the_average_spans_a_share_of_the_run_so_far() -> None:
    """Its weights on past values: early ones are gone, and about the last fifth carries most."""
    net = nn.Linear(1, 1, bias=False)
    average, steps = WeightAverage(net, 0.2), 200
    assert not any(p.requires_grad for p in average.network.parameters())
    weights = []
    for _ in range(steps):
        weight = 1 / max(1.0, 0.2 * (len(weights) + 1))
        weights = [w * (1 - weight) for w in weights] + [weight]
    values = torch.randn(steps, dtype=torch.float64)
    for step, value in enumerate(values):
        net.weight.data.fill_(value.item())
        average.update(net, step)
    expected = sum(w * v for w, v in zip(weights, values.tolist(), strict=True))
    assert average.network.weight.item() == pytest.approx(expected, abs=1e-5)  # type: ignore[union-attr,operator]
    assert sum(weights[:100]) < 0.05
    assert sum(weights[160:]) > 0.6


def test_a_loss_that_is_not_finite_ends_the_run_before_the_epoch_does() -> None:
    def poisoned() -> Iterator[tuple[Tensor, Tensor]]:
        for step, (images, labels) in enumerate(batches()):
            yield images * (float("nan") if step == 8 else 1), labels

    seen = []
    with pytest.raises(Diverged, match="step 9") as caught:
        seen += [r.step for r in fit(TrainState(network(), SETTINGS), poisoned(), SETTINGS, PER_EPOCH, STEPS)]
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("stop", [0, 1, 7, 12, 23, STEPS])
def test_going_on_from_a_checkpoint_changes_no_bit(stop: int, optimiser: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, optimiser=optimiser)  # type: ignore[arg-type]
    whole = TrainState(network(), settings)
    losses = [r.loss.item() for r in run(whole, settings)]
    first = TrainState(network(), settings)
    for _ in islice(fit(first, batches(), settings, PER_EPOCH, STEPS), stop):
        pass
    save(first, tmp_path / "last.safetensors", {"best": 1.5})
    second = TrainState(nn.Sequential(*network().children()), settings)
    assert checkpoints.load_checkpoint(second, tmp_path / "last.safetensors") == {"best": 1.5}
    assert [r.loss.item() for r in run(second, settings)] == losses[stop:]
    for one, other in ((whole.network, second.network), (whole.evaluated, second.evaluated)):
        state = other.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    state, path = TrainState(network(), SETTINGS), tmp_path / "last.safetensors"
    save(state, path, {})
    whole = path.read_bytes()
    for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="last"):
            checkpoints.load_checkpoint(state, path)
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match="another network"):
        checkpoints.load_checkpoint(TrainState(nn.Linear(3, 2), SETTINGS), path)
    with pytest.raises(CheckpointError, match="not a complete checkpoint"):
        checkpoints.load_checkpoint(state, tmp_path / "none.safetensors")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, path = TrainState(network(), SETTINGS), tmp_path / "last.safetensors"
    save(state, path, {})
    checkpoints.keep_as_previous(path, tmp_path / "previous.safetensors")
    before = path.read_bytes()

    def full(tensors: Any, file: Path, metadata: Any) -> None:
        shutil.copy(path, file)
        raise checkpoints.SafetensorError("No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save(state, path, {})
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"last.safetensors", "previous.safetensors"}


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
def test_the_average_is_the_network_then_fades(share: float) -> None:
    """In float64: within the first 1 / share updates the network itself, then each step counts
    1 / (share * updates); with share 1 that is the plain mean."""
    net = nn.Linear(1, 1, bias=False)
    average = WeightAverage(net, share)
    values = np.random.default_rng(0).normal(size=60)
    expected = 0.0
    for updates, value in enumerate(values):
        net.weight.data.fill_(value)
        average.update(net, updates)
        expected += (value - expected) / max(1.0, share * (updates + 1))
        got = average.network.get_parameter("weight").item()
        assert got == pytest.approx(expected, abs=1e-5)
        if share * (updates + 1) <= 1:
            assert got == net.weight.item()
    if share == 1:
        assert got == pytest.approx(values.mean(), abs=1e-5)


def test_batch_norm_statistics_are_averaged_too() -> None:
    net = nn.BatchNorm1d(1)
    average = WeightAverage(net, 1.0)
    for updates, value in enumerate((1.0, 2.0, 6.0)):
        net.get_buffer("running_mean").fill_(value)
        average.update(net, updates)
    assert average.network.get_buffer("running_mean").item() == pytest.approx(3.0)


@pytest.mark.parametrize("poison", [0, 3, 6, 19, 20, 23])
def test_the_diverged_step_is_named_wherever_the_loss_is_looked_at(poison: int) -> None:
    """In epochs longer than the interval between looks too; no later end of epoch is told."""

    def poisoned() -> Iterator[tuple[Tensor, Tensor]]:
        for step, (images, labels) in enumerate(batches()):
            yield images * (float("inf") if step == poison else 1), labels

    for per_epoch in (PER_EPOCH, STEPS):
        records: list[Any] = []
        with pytest.raises(Diverged, match=rf"at step {poison + 1}\."):
            records.extend(fit(TrainState(network(), SETTINGS), poisoned(), SETTINGS, per_epoch, STEPS))
        assert all(record.step <= poison for record in records if record.ends_epoch)
        # The loss is looked at where an epoch ends, and after 20 steps.
        looks = range(6, 25, 6) if per_epoch == PER_EPOCH else (20, 24)
        assert len(records) == next(step for step in looks if step > poison) - 1


def test_the_checkpoint_before_the_last_is_kept(tmp_path: Path) -> None:
    state = TrainState(network(), SETTINGS)
    last, previous = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    checkpoints.keep_as_previous(last, previous)
    assert not previous.exists()
    for _ in islice(fit(state, batches(), SETTINGS, PER_EPOCH, STEPS), 3):
        checkpoints.keep_as_previous(last, previous)
        save(state, last, {})
    fresh = TrainState(network(), SETTINGS)
    for path, step in ((last, 3), (previous, 2)):
        checkpoints.load_checkpoint(fresh, path)
        assert fresh.step == step


@pytest.mark.parametrize("culprit", ["save_file", "replace"])
def test_a_disk_that_fills_up_leaves_the_old_checkpoint(
    culprit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, path = TrainState(network(), SETTINGS), tmp_path / "last.safetensors"
    save(state, path, {"best": 1})
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints if culprit == "save_file" else os, culprit, full)
        with pytest.raises(OSError, match="No space left"):
            save(state, path, {"best": 2})
    assert path.read_bytes() == before
    assert checkpoints.load_checkpoint(TrainState(network(), SETTINGS), path) == {"best": 1}
    save(state, path, {"best": 2})  # what was left aside is in nobody's way
    assert checkpoints.load_checkpoint(TrainState(network(), SETTINGS), path) == {"best": 2}


def flat() -> nn.Module:
    """A network without batch statistics."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(75, 8), nn.ReLU(), nn.Linear(8, 2))


def weights_after(settings: TrainingSettings, **options: Any) -> dict[str, Tensor]:
    state = TrainState(flat(), settings)
    list(fit(state, islice(batches(), 5), settings, PER_EPOCH, STEPS, **options))
    return state.network.state_dict()


def test_a_batch_in_pieces_is_the_whole_batch() -> None:
    whole, pieces = (weights_after(replace(SETTINGS, accumulate=n)) for n in (1, 3))
    torch.testing.assert_close(whole, pieces)


def test_long_gradients_are_shortened() -> None:
    plain = replace(SETTINGS, momentum=0.0, weight_decay=0.0, schedule="step", lr=1.0, lr_batch=8)
    state, before = TrainState(flat(), plain), flat()
    settings = replace(plain, clip_norm=1e-3)
    next(fit(state, batches(), settings, PER_EPOCH, STEPS))
    moved = [a - b for a, b in zip(before.parameters(), state.network.parameters(), strict=True)]
    assert torch.cat([m.flatten() for m in moved]).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_class_weights_are_torch_s() -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 2, 1, 1, 0, 2])
    weights = torch.tensor([1.0, 0.2, 5.0])
    expected = F.cross_entropy(logits, labels, weight=weights, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, labels, 0.0, weights), expected)
    one_hot = F.one_hot(labels, 3).float()
    torch.testing.assert_close(cross_entropy(logits, one_hot, 0.0, weights), expected)
    same = cross_entropy(logits, labels, 0.1, torch.ones(3)).mean()
    torch.testing.assert_close(same, F.cross_entropy(logits, labels, label_smoothing=0.1))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_weighted_step_is_that_of_torch_s_weighted_mean(accumulate: int) -> None:
    weights = torch.tensor([0.3, 2.0])
    settings = replace(SETTINGS, label_smoothing=0.0, accumulate=accumulate)
    images, labels = next(batches())
    step = next(
        fit(TrainState(flat(), settings), batches(), settings, PER_EPOCH, STEPS, class_weights=weights)
    )
    torch.testing.assert_close(step.loss, F.cross_entropy(flat()(images), labels, weight=weights))


def test_what_is_dropped_depends_on_seed_and_step_alone() -> None:
    settings = replace(SETTINGS, dropout=0.5)

    def end(seed: int, stop: int) -> dict[str, Tensor]:
        net = flat()
        net.insert(1, nn.Dropout(0.5))  # type: ignore[operator]
        state = TrainState(net, settings)
        list(fit(state, islice(batches(), stop), settings, PER_EPOCH, STEPS, seed=seed))
        torch.rand(7)  # something else draws
        list(fit(state, batches(stop), settings, PER_EPOCH, STEPS, seed=seed))
        return net.state_dict()

    torch.testing.assert_close(end(0, 9), end(0, 24), rtol=0, atol=0)
    assert not torch.equal(end(0, 9)["4.weight"], end(1, 9)["4.weight"])


def test_what_is_dropped_by_default_is_what_seed_0_drops() -> None:
    settings = replace(SETTINGS, dropout=0.5)

    def losses(**options: Any) -> list[float]:
        net = nn.Sequential(nn.Dropout(0.5), flat())
        steps = fit(TrainState(net, settings), islice(batches(), 3), settings, PER_EPOCH, STEPS, **options)
        return [step.loss.item() for step in steps]

    assert losses() == losses(seed=0) != losses(seed=1)
    # A run that an earlier version began goes on with the same draws; torch takes 63 bits.
    word = np.random.SeedSequence(3, spawn_key=(5, 7)).generate_state(1, np.uint64)[0]
    assert _drop_seed(3, 5, 7) == int(word) // 2


class Pair(ProcessGroup):
    """One of two processes, of which the other computes the same; it notes when gradients are held back."""

    size = 2

    def __init__(self) -> None:
        self.held: list[bool] = []

    def no_sync(self, wrapped: nn.Module, hold: bool) -> AbstractContextManager[None]:
        self.held.append(hold)
        return nullcontext()


def test_processes_exchange_gradients_once_a_step_and_their_mean_is_the_whole_batch_s() -> None:
    """Each process scales its part of the loss by the number of processes."""
    settings = replace(SETTINGS, accumulate=3, clip_norm=0.0)
    gradients = []
    for group in (pair := Pair(), ProcessGroup()):
        state = TrainState(flat(), settings)
        state.optimiser.step = lambda *_, state=state: gradients.append(  # type: ignore[method-assign,assignment]
            [p.grad.clone() for p in state.network.parameters()]
        )
        next(fit(state, batches(), settings, PER_EPOCH, STEPS, group=group, batch=8))
        assert all(p.grad is None for p in state.network.parameters())
    assert pair.held == [True, True, False]
    for one, alone in zip(*gradients, strict=True):
        torch.testing.assert_close(one, 2 * alone)


def test_frozen_parts_stay_and_the_others_have_their_rates() -> None:
    net = network()
    settings = replace(SETTINGS, frozen=2, layer_decay=0.5, averaging=0.0)
    state = TrainState(net, settings, [net[0], net[1], net[2:4], net[4]])  # type: ignore[index]
    assert {name for name, p in net.named_parameters() if p.requires_grad} == {"4.weight", "4.bias"}
    before = {name: t.clone() for name, t in net.state_dict().items()}
    run(state, settings)
    after = net.state_dict()
    changed = {name for name, t in before.items() if not torch.equal(t, after[name])}
    assert changed == {"4.weight", "4.bias"}  # the statistics of 1 stay too

    state = TrainState(net, replace(SETTINGS, layer_decay=0.5), [net[0], net[1], net[4]])  # type: ignore[index]
    next(fit(state, batches(), SETTINGS, PER_EPOCH, STEPS))
    rates = {tuple(p.shape): g["lr"] for g in state.optimiser.param_groups for p in g["params"]}
    full = rates[(2, 36)]
    assert rates == {(4, 3, 3, 3): full / 4, (4,): full / 2, (2, 36): full, (2,): full}


def test_targets_may_be_shares_of_classes() -> None:
    labelled, mixed = TrainState(network(), SETTINGS), TrainState(network(), SETTINGS)
    ours = list(fit(labelled, batches(), SETTINGS, PER_EPOCH, STEPS))
    shares = ((images, F.one_hot(labels, 2).float()) for images, labels in batches())
    theirs = list(fit(mixed, shares, SETTINGS, PER_EPOCH, STEPS))
    assert [int(r.correct) for r in ours] == [int(r.correct) for r in theirs]
    torch.testing.assert_close(labelled.network.state_dict(), mixed.network.state_dict())
