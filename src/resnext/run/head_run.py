"""`HeadRun`: the head alone is fitted, on features that the rest of the network makes once of each view."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from resnext.data.images import ImageDataset
from resnext.data.loaders import ImageBatch, evaluation_batches, on_device, training_batches
from resnext.engine.origin import tensors_digest
from resnext.machine import torch_threads
from resnext.metrics import score
from resnext.models import Network
from resnext.recipe import set_field
from resnext.run.builders import build_augmentation, class_weights
from resnext.run.checkpointing import RunProgress
from resnext.run.events import Event, FeatureProgress, HeadFitted, HeadRunFinished
from resnext.run.initial_weights import build_initial_network
from resnext.run.kept_features import FeatureOrigin, KeptFeatures
from resnext.run.meters import EpochSummary
from resnext.run.open_run import OpenRun
from resnext.run.stop_signals import StopRequest, stopped
from resnext.run.timed_loader import TimedLoader, WaitTimes
from resnext.training.head import PENALTIES, Head, fit_heads
from resnext.training.loop import Diverged
from resnext.training.precision import autocast, torch_precision

#: Penalties in a row that are no better than the best one before the smaller ones are left out.
PATIENCE = 3
#: Multiply-adds of one evaluation of the loss up to which one thread is soon enough: more would wait for each
#: other, above all where other programs keep the machine busy.
SMALL_FIT = 2**30
#: Folder of a run in which they are kept.
FEATURES_FOLDER = "features"
Batches = Generator[ImageBatch, None, None]


@dataclass
class HeadRun(OpenRun):
    """A run that computes the features that are not kept yet, fits a head with each penalty, and ships the
    network with the one that is best on val.

    The rows of the features are val, then train as evaluation sees it, then train in each augmented epoch.
    """

    def _fit(self, stop: StopRequest) -> Generator[Event, None, None]:
        assert self.folder is not None, "a head is fitted by one process"
        network = build_initial_network(self.recipe, self.contract, self.spec.origin).eval()
        kept = KeptFeatures(self.folder.path / FEATURES_FOLDER, network.num_features, self._batch_sizes())
        kept.open(self._origin(network))
        self.folder.truncate_metrics(0, 0)
        progress = RunProgress(wall_s=kept.seconds, since=self.began)
        started = self._started(max(0, len(kept.records) - self._val_batches))
        self.writer.log(started.text())
        yield started

        network.to(self.machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        yield from self._compute(network, kept, stop)
        progress.seconds, progress.waits, progress.images = kept.seconds, kept.waits, kept.rows
        penalty, head = yield from self._choose(kept.read(), progress, stop)
        network.get_classifier().load_state_dict({"weight": head.weight, "bias": head.bias})
        evaluations = self.evaluator.conclude(
            network, progress, partial(self._raise_if_stopped, stop, "image")
        )
        finished = HeadRunFinished(
            self.spec.path,
            progress.best_epoch,
            evaluations,
            progress.seconds,
            progress.waits.data_s,
            saves=0,
            standstill_s=0.0,
            penalty=penalty,
        )
        self.writer.log(finished.text())
        yield finished

    # Features

    @property
    def _val_batches(self) -> int:
        return -(-len(self.splits.val) // self.plan.batch)

    def _batch_sizes(self) -> list[int]:
        """Rows of each batch of features."""
        val, batch = len(self.splits.val), self.plan.batch
        sizes = [min(batch, val - start) for start in range(0, val, batch)]
        return sizes + [len(samples) for samples in self.plan.samples()]

    def _origin(self, network: Network) -> FeatureOrigin:
        about = self.spec.about
        return FeatureOrigin(
            network=network.arch.name,
            weights=tensors_digest(torch.nn.ModuleList(network.parts()[:-1])),
            contract=self.contract.dumps(),
            images=f"{about.fingerprint} {about.contents}".strip(),
            recipe=set_field(self.recipe, "epochs", 1).to_toml(),  # more epochs only append rows
        )

    def _compute(
        self, network: Network, kept: KeptFeatures, stop: StopRequest
    ) -> Generator[FeatureProgress, None, None]:
        """Compute and keep the batches of features that are missing."""
        assert self.folder is not None
        total, begun, waits = sum(kept.sizes), kept.rows, WaitTimes()
        while len(kept.records) < len(kept.sizes):
            source = self._next_batches(len(kept.records))
            with contextlib.closing(source):
                to_device = partial(on_device, contract=self.contract, device=self.machine.device)
                loader: TimedLoader[ImageBatch] = TimedLoader(source, to_device)
                since, counted = time.perf_counter(), WaitTimes()
                for batch in loader:
                    if batch.bad:
                        raise batch.bad[0]
                    features = self._features(network, batch)
                    now, waited = time.perf_counter(), loader.waits
                    self.folder.check_own()
                    kept.append(features, now - since, waited - counted)
                    waits, since, counted = waits + (waited - counted), now, waited
                    yield FeatureProgress(kept.rows, total, kept.rows - begun, waits)
                    self._raise_if_stopped(stop, "view", kept.rows, total)
        kept.sync()

    def _next_batches(self, first: int) -> Batches:
        """Batches from number `first` on, to the end of val, of plain train, or of the augmented epochs."""
        resize, size, step = self.contract.resize, self.plan.batch, first - self._val_batches

        def plain(images: ImageDataset, start: int) -> Batches:
            rest = images.select(range(start, len(images)))
            return evaluation_batches(rest, resize, size, self.workers)

        if step < 0:
            return plain(self.splits.val, first * size)
        if step < self.plan.steps_per_epoch:
            return plain(self.splits.train, step * size)
        augmentation = build_augmentation(self.recipe, self.contract)
        pin = self.machine.is_gpu
        return training_batches(self.splits.train, augmentation, self.plan, step, self.workers, pin=pin)

    def _features(self, network: Network, batch: ImageBatch) -> NDArray[np.float32]:
        """Features (B, num_features) of a batch."""
        precision = torch_precision(self.recipe.precision or "float32")
        with torch.inference_mode(), autocast(self.machine.device, precision):
            maps = network.forward_features(batch.images)
            features = network.forward_head(maps, pre_logits=True).float().cpu().numpy()
        if not np.isfinite(features).all():
            raise Diverged(f"{network.arch.name}: its features are not finite: its weights have diverged")
        found: NDArray[np.float32] = features
        return found

    # The head

    def _choose(
        self, rows: NDArray[np.float32], progress: RunProgress, stop: StopRequest
    ) -> Generator[HeadFitted, None, tuple[float, Head]]:
        """Fit a head with each penalty; the one that is best on val, and its penalty."""
        train, classes = self.splits.train, self.contract.classes
        val, features = rows[: len(self.splits.val)], rows[len(self.splits.val) :]
        labels = np.tile(train.labels, self.plan.epochs)
        weights = class_weights(self.recipe, train)
        is_small = features.size * len(classes) <= SMALL_FIT
        threads = torch_threads(1) if is_small else contextlib.nullcontext()
        best: tuple[float, Head] | None = None
        since = time.perf_counter()
        with threads, contextlib.closing(self._open_loggers(0)) as loggers:
            fitted = fit_heads(features, labels, len(classes), weights)
            for number, (penalty, head) in enumerate(fitted, start=1):
                scores = score(head.logits(val).softmax(1).numpy(), self.splits.val.labels, classes)
                loss, error = head.measure(features, labels)
                now = time.perf_counter()
                fit = EpochSummary(number, number, loss, error, 0, now - since, WaitTimes())
                since = now
                is_balanced = self.recipe.data.balance != "none"
                judged = scores.balanced_error if is_balanced else scores.top1_error
                is_best = progress.add(fit, judged, scores.loss)
                if is_best:
                    best = penalty, head
                metrics: dict[str, Any] = fit.to_metrics(scores) | {"penalty": penalty}
                self.writer.add_metrics([metrics])
                loggers.log(number, metrics)
                event = HeadFitted(fit, penalty, len(PENALTIES), scores, is_best)
                self.writer.log(event.text())
                yield event
                self._raise_if_stopped(stop, "penalty", number, len(PENALTIES))
                if progress.since_best >= PATIENCE:
                    break
        assert best is not None, "there are penalties"
        return best

    def _raise_if_stopped(self, stop: StopRequest, what: str, done: int, total: int) -> None:
        if stop.reason is not None:
            raise stopped(stop.reason, f"{what} {done:,} of {total:,}", self.spec.path.name)
