"""Judging a run's network: on `val` after an epoch, on all splits at the end, where the result is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from resnext.arch import Architecture
from resnext.cost import Cost, count_cost
from resnext.data.pictures import Kept, Pictures, Splits
from resnext.engine import Classifier
from resnext.machine import Machine, device_name
from resnext.models import Network
from resnext.results import ResultLine, stamp
from resnext.run.beginning import Terms
from resnext.run.card import model_card
from resnext.run.evaluate import Evaluation, evaluate_pictures
from resnext.run.events import Finished
from resnext.run.folder import RunFolder
from resnext.run.saving import Progress, Saver, equalise, spread
from resnext.training import checkpoints
from resnext.training.distribution import Group
from resnext.training.loop import State

#: Points of the learning curve that a result line keeps.
CURVE_POINTS = 100


@dataclass(frozen=True)
class Judge:
    """One process's part in judging: each evaluates its share of the pictures, all get the same scores."""

    group: Group
    machine: Machine
    splits: Splits
    folder: RunFolder
    terms: Terms
    workers: int

    def evaluate(
        self,
        state: State,
        split: str,
        pictures: Pictures,
        progress: Callable[[int, int], None] | None = None,
    ) -> Evaluation:
        """Evaluate the leader's network on all processes: the statistics of its batch norms count."""
        network = _network(state)
        equalise(network, self.group)
        classifier = Classifier(network, self.terms.contract, self.machine.device)
        # What workers keep dies with them; where not all fits, they decode the rest sooner.
        workers = 0 if isinstance(pictures, Kept) and not pictures.is_full else self.workers
        return evaluate_pictures(
            classifier, pictures, split, workers=workers, progress=progress, group=self.group
        )

    def finish(self, state: State, progress: Progress, saver: Saver) -> Finished:
        """Judge the best epoch's network on all splits but `train`, and write what the run leaves."""
        folder, recipe, contract = self.folder, self.terms.recipe, self.terms.contract
        if self.group.leads:
            checkpoints.load(state, folder.best)
        spread(state, self.group, {})
        evaluations = tuple(
            self.evaluate(state, split, pictures)
            for split, pictures in self.splits.items()
            if split != "train"
        )
        for evaluation in evaluations:
            folder.write_predictions(
                evaluation.split, evaluation.keys, evaluation.labels, evaluation.probabilities
            )
        folder.write_model(_network(state), contract, model_card(recipe, contract, evaluations))
        folder.write_json("result.json", self._result_line(evaluations, progress).to_json())
        folder.set_status("finished")
        finished = Finished(
            self.terms.path,
            progress.best_epoch,
            evaluations,
            progress.seconds,
            progress.data_s,
            saver.writer.jobs,
            saver.standstill_s,
        )
        folder.log(finished.text())
        return finished

    def cost(self) -> Cost:
        """What the network costs at the size that it is judged at."""
        contract = self.terms.contract
        arch = Architecture.from_name(self.terms.recipe.model or "", len(contract.classes))
        return count_cost(arch, contract.input.height_px)

    def device(self) -> str:
        """The machine for people, and how many processes share it or others like it."""
        return device_name(self.machine.name, self.group.size)

    def _result_line(self, evaluations: tuple[Evaluation, ...], progress: Progress) -> ResultLine:
        recipe, about = self.terms.recipe, self.terms.about
        epochs = [record for record in self.folder.metrics() if "val_loss" in record]
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
        return ResultLine(
            kind="train",
            seed=recipe.seed,
            recipe=asdict(recipe),
            data={"name": about["name"], "fingerprint": about["fingerprint"]},
            metrics=metrics | {"best_epoch": progress.best_epoch},
            curve=epochs[::-1][::every][::-1],  # the last epoch is always a point
            cost=asdict(self.cost()),
            seconds=progress.seconds,
            pictures_per_s=progress.pictures / progress.seconds if progress.seconds else 0.0,
            waits={
                "data_s": progress.data_s,
                "transfer_s": progress.transfer_s,
                "compute_s": progress.seconds - progress.data_s - progress.transfer_s,
                "evaluation_s": progress.evaluation_s,
            },
            stamp=stamp(self.device()),
        )


def _network(state: State) -> Network:
    """What is judged: the average of the weights where the recipe keeps one."""
    network = state.judged
    assert isinstance(network, Network)
    return network
