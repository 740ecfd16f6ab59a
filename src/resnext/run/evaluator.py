"""Evaluation of a run's network: on `val` after each epoch, on all splits at the end, where the result is
written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from resnext.arch import Architecture
from resnext.confidence import calibrate
from resnext.contract import Contract
from resnext.cost import Cost, count_cost
from resnext.data.images import CachedImages, ImageDataset
from resnext.data.splits import Splits
from resnext.engine import Classifier, TorchEngine, temperature
from resnext.machine import Machine, device_name
from resnext.models import Network
from resnext.records import ResultRecord, stamp
from resnext.run.checkpointing import RunProgress, broadcast_state, sync_batch_norm
from resnext.run.evaluation import Evaluation, evaluate_images
from resnext.run.folder import RunFolder
from resnext.run.model_card import model_card
from resnext.run.spec import RunSpec
from resnext.training import checkpoints
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import TrainState

#: Most points of the learning curve in a result.
CURVE_POINTS = 100


@dataclass(frozen=True)
class RunEvaluator:
    """Evaluates the network of one run. Each process takes its share of the images; all get the same scores.

    `folder` is None on all processes but the main one.
    """

    group: ProcessGroup
    machine: Machine
    splits: Splits
    folder: RunFolder | None
    spec: RunSpec
    workers: int

    def evaluate(
        self,
        state: TrainState,
        split: str,
        images: ImageDataset,
        progress: Callable[[int, int], None] | None = None,
    ) -> Evaluation:
        """Evaluate the main process's network, with its batch-norm statistics, on all processes."""
        return self._evaluate(_network(state), self.spec.contract, split, images, progress)

    def _evaluate(
        self,
        network: Network,
        contract: Contract,
        split: str,
        images: ImageDataset,
        progress: Callable[[int, int], None] | None,
    ) -> Evaluation:
        sync_batch_norm(network, self.group)
        classifier = Classifier(TorchEngine(network, contract, self.machine.device))
        # The cache of a worker dies with it, so cached images are decoded here; when the cache is full,
        # workers decode the rest faster.
        workers = 0 if isinstance(images, CachedImages) and not images.is_full else self.workers
        return evaluate_images(
            classifier, images, split, workers=workers, progress=progress, group=self.group
        )

    def finish(
        self, state: TrainState, progress: RunProgress, on_progress: Callable[[int, int], None]
    ) -> tuple[Evaluation, ...]:
        """Calibrate the network of the best epoch on val, evaluate it on all splits but `train`, and write
        model and result.

        `on_progress` is called with the numbers of images done and in all, and may raise.
        """
        if self.folder is not None:
            checkpoints.load_checkpoint(state, self.folder.best)
        broadcast_state(state, self.group, {})
        return self.conclude(_network(state), progress, on_progress)

    def conclude(
        self, network: Network, progress: RunProgress, on_progress: Callable[[int, int], None]
    ) -> tuple[Evaluation, ...]:
        """As `finish`, of a `network` that all processes have."""
        counts = self.spec.about.train_counts
        contract = self._calibrate(network, on_progress)
        evaluations = tuple(
            replace(self._evaluate(network, contract, split, images, on_progress), train_counts=counts)
            for split, images in self.splits.items()
            if split != "train"
        )
        if self.folder is not None:
            self._write(self.folder, network, contract, evaluations, progress)
        return evaluations

    def _calibrate(self, network: Network, on_progress: Callable[[int, int], None]) -> Contract:
        """The contract with a temperature and a threshold by val, which has not trained the network."""
        contract = self.spec.contract
        val = self._evaluate(network, contract, "val", self.splits.val, on_progress)
        return replace(contract, calibration=calibrate(val.probabilities, val.labels))

    def cost(self) -> Cost:
        """Cost of the network at the size it is evaluated at."""
        contract = self.spec.contract
        arch = Architecture.from_name(self.spec.recipe.model or "", len(contract.classes))
        return count_cost(arch, contract.input.height_px)

    def device(self) -> str:
        """Name of the machine, and how many processes share it or others like it."""
        return device_name(self.machine.name, self.group.size)

    def _write(
        self,
        folder: RunFolder,
        network: Network,
        contract: Contract,
        evaluations: tuple[Evaluation, ...],
        progress: RunProgress,
    ) -> None:
        for one in evaluations:
            folder.write_predictions(
                one.split, one.keys, one.labels, one.probabilities, temperature(contract)
            )
        folder.write_model(network, contract, model_card(self.spec.recipe, contract, evaluations))
        folder.write_json("result.json", self._result(folder, evaluations, progress).to_json())
        folder.set_status("finished")

    def _result(
        self, folder: RunFolder, evaluations: tuple[Evaluation, ...], progress: RunProgress
    ) -> ResultRecord:
        recipe, about = self.spec.recipe, self.spec.about
        progress.tick()
        epochs = folder.epoch_metrics()
        every = -(-len(epochs) // CURVE_POINTS) or 1
        metrics = {
            evaluation.split: {
                "top1_error": evaluation.scores.top1_error,
                "balanced_error": evaluation.scores.balanced_error,
                "top5_error": evaluation.scores.top5_error,
                "loss": evaluation.scores.loss,
                "count": evaluation.scores.count,
            }
            for evaluation in evaluations
        }
        return ResultRecord(
            kind="train",
            seed=recipe.seed,
            recipe=asdict(recipe),
            data={"name": about.name, "fingerprint": about.fingerprint},
            metrics=metrics | {"best_epoch": progress.best_epoch},
            curve=epochs[::-1][::every][::-1],  # from the end, so that the last epoch is always a point
            cost=asdict(self.cost()),
            seconds=progress.seconds,
            images_per_s=progress.images / progress.seconds if progress.seconds else 0.0,
            waits={
                "data_s": progress.waits.data_s,
                "transfer_s": progress.waits.transfer_s,
                "compute_s": progress.seconds - progress.waits.total_s,
                "evaluation_s": progress.evaluation_s,
                "rest_s": progress.rest_s,
            },
            stamp=stamp(self.device()),
        )


def _network(state: TrainState) -> Network:
    """The network to evaluate: the weight average if the recipe keeps one."""
    network = state.evaluated
    assert isinstance(network, Network)
    return network
