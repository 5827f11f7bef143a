"""The stages of an adaptation: cases -> labels by name -> held-out cases measured before and after -> the gate -> a package."""

import copy
import json
import shutil
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from mednextseg.adapt.losses.network_terms import packaged
from mednextseg.adapt.planned_training import PlannedTraining
from mednextseg.adapt.pretraining.pretrainer import Pretrainer
from mednextseg.adapt.pretraining.unlabeled import Unlabeled, unlabeled_volumes, voxels_sha256
from mednextseg.adapt.training_memory import TrainingPlan
from mednextseg.adapt.tuning.adaptation import Adaptation
from mednextseg.adapt.tuning.cases import LabeledVolume, OwnCase
from mednextseg.adapt.tuning.evidence import Evidence
from mednextseg.adapt.tuning.examples import make_example
from mednextseg.adapt.tuning.folder import PACKAGE, PLAN_FILE, REPORT_FILE, TABLE_FILE, agreed_plan, begin_plan
from mednextseg.adapt.tuning.folds import Fold, Folds, fold_cases
from mednextseg.adapt.tuning.gate import GateOutcome, gate_table
from mednextseg.adapt.tuning.label_plan import LabelPlan, plan_labels
from mednextseg.adapt.tuning.measure import Measured, measured
from mednextseg.adapt.tuning.methods import method_named
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.adapt.tuning.options import DEFAULT_MINUTES, TuningOptions
from mednextseg.adapt.tuning.packaging import Taught, free_version, write_adapted
from mednextseg.adapt.tuning.progress import TuningProgress
from mednextseg.adapt.tuning.reference_cases import kept_labels, reference_cases
from mednextseg.adapt.tuning.schedule import schedule
from mednextseg.adapt.tuning.trainer import TuningTrainer, seconds_per_step
from mednextseg.evaluate.case import CaseResult
from mednextseg.files import write_text
from mednextseg.json_values import listed
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.model_card import CARD_FILE, read_card
from mednextseg.models.new_head import head_tensors, with_classes
from mednextseg.models.package_tensors import package_tensors
from mednextseg.models.weights import network_from_state_dict

_BEFORE, _PRETRAINING, _MEMORY_FILE = "before", "pretraining", "memory.txt"


class AdaptationRun:
    """The stages of one adaptation, each of which finds what an earlier run has left."""

    def __init__(
        self,
        base: LoadedModel,
        cases: Sequence[OwnCase],
        folder: Path,
        options: TuningOptions,
        device: str,
        progress: TuningProgress,
    ) -> None:
        self.base, self.folder, self.options, self.device, self.progress = base, folder, options, device, progress
        self.names = [case.name for case in cases]
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise ValueError(f"two cases have the name {listed(twice)}; rename one of them.")
        self._memory: TrainingPlan | None = None  # of the first training; all are alike
        self.method = self._chosen_method()
        self.folds: Folds = self._divided()
        self.volumes: dict[str, LabeledVolume] = {}
        for case in cases:
            progress.stage(f"reading {case.name}")
            self.volumes[case.name] = case.opened()
        self._check_copies()
        tables = [[label.name for label in volume.segmentation.labels] for volume in self.volumes.values()]
        self.labels: LabelPlan = plan_labels(base.card, tables, options.same)
        self.examples = {name: make_example(name, volume, self.labels, base.card) for name, volume in self.volumes.items()}
        self._check_drawn()

    def result(self) -> Adaptation:
        self._settle_steps()
        after = [result for number, fold in enumerate(self.folds.parts) for result in self._measured_fold(number, fold)]
        before = [self._before(result.case) for result in after]
        network, base = self._trained("result", Fold(self.folds.final, ()))
        self.progress.stage("writing the model")
        package = self.folder / PACKAGE
        write_adapted(network, base, self.labels, self._taught(self.folds.final, None), package)
        remembered = self._remembered(load_model(package))
        evidence = Evidence(tuple(before), tuple(after), frozenset(self.labels.new_names), remembered)
        gate = evidence.judged(self.options.tolerated_loss)
        card = write_adapted(network, base, self.labels, self._taught(self.folds.final, gate), package)
        kept = self.folder / _MEMORY_FILE
        memory = kept.read_text(encoding="utf-8").strip() if kept.is_file() else ""
        found = Adaptation(package, card, gate, self.folds.explanation, self.steps, self.labels.notes, evidence, memory)
        write_text(self.folder / REPORT_FILE, json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
        write_text(self.folder / TABLE_FILE, f"{gate.verdict}\n\n{gate_table(gate)}\n\n{self.folds.explanation}\n{memory}\n")
        return found

    def _chosen_method(self) -> TuningMethod:
        return method_named(self.options.method)

    def _divided(self) -> Folds:
        return fold_cases(self.names, self.options.held_out)

    def _check_copies(self) -> None:
        seen: dict[str, str] = {}
        for name, volume in self.volumes.items():
            other = seen.setdefault(volume.digest(), name)
            if other != name:
                raise ValueError(
                    f"the cases {listed([other, name])} are the same; remove one, or the figures would be of a known case."
                )

    def _check_drawn(self) -> None:
        """Every label has to be drawn where a training can learn it."""
        for fold in (*self.folds.parts, Fold(self.folds.final, ())):
            drawn = {int(v) for name in fold.training for v in set(self.examples[name].classes_kji.ravel().tolist())}
            for number, label in enumerate(self.labels.labels, start=1):
                if number not in drawn:
                    without = f" once {listed(fold.held_out)} is kept for the figures" if fold.held_out else ""
                    raise ValueError(
                        f"the label {listed([label.name])} is empty in every case{without}; draw it in more cases, or leave it out."
                    )

    def _settle_steps(self) -> None:
        """Minutes become steps by timing a few on this machine."""

        def timed() -> int:
            self.progress.stage("timing a few steps")
            seconds = seconds_per_step(
                lambda network, folder: self._trainer(network, self.folds.parts[0], folder, 1), self._start
            )
            return max(1, int(60 * (self.options.minutes or DEFAULT_MINUTES) / (seconds * self._trainings)))

        self._begin_plan(timed)

    @property
    def _trainings(self) -> int:
        return len(self.folds.parts) + (not self.folds.final_is_measured)

    def _begin_plan(self, steps: Callable[[], int]) -> None:
        """Find or write the plan of the folder; `steps` works out those of a training where nobody said them."""
        card = self.base.card
        asked = {
            "base": {"id": card.id, "version": card.version, "weights_sha256": list(card.weights_sha256)},
            "method": self.method.name,
            "loss": self.options.loss,
            "sampling": self.options.sampling,
            "seed": self.options.seed,
            "labels": self.labels.targets,
            "cases": {name: volume.digest() for name, volume in self.volumes.items()},
            "held out": [list(fold.held_out) for fold in self.folds.parts],
            "minutes": self.options.minutes if self.options.steps or self.options.minutes else DEFAULT_MINUTES,
            "steps": self.options.steps,
            **self._pretraining_plan,
        }
        begun = agreed_plan(self.folder, asked)
        if begun["steps"] is None:
            begun["steps"] = steps()
        if not (self.folder / PLAN_FILE).is_file():
            begin_plan(self.folder, begun)
        self.steps: int = begun["steps"]
        self.progress.begin(self.steps, self._trainings)

    @cached_property
    def _start(self) -> nn.Module:
        """The base's network with the labels of the result, as the method trains it."""
        torch.manual_seed(self.options.seed)
        card = self.base.card
        network = network_from_state_dict(package_tensors(self.base.folder, card, card.weights_files[0]), card.architecture)
        network.deep_supervision = False
        head_tensors(network.config)
        if self.options.unlabeled is not None:
            network = self._pretrained(network)
        return self.method.build(with_classes(network, self.labels.class_sources), tuple(card.patch_size_kji))

    @cached_property
    def _unlabeled(self) -> list[Unlabeled]:
        """The volumes to pre-train on, without those that any training keeps for the figures."""
        if self.options.unlabeled is None:
            return []
        kept = {voxels_sha256(self.volumes[name].volume) for fold in self.folds.parts for name in fold.held_out}
        return unlabeled_volumes(self.options.unlabeled, self.base.card, kept, self.progress.stage)

    @property
    def _pretraining_plan(self) -> dict:
        if self.options.unlabeled is None:
            return {}
        volumes = {volume.name: volume.sha256 for volume in self._unlabeled}
        return {"unlabeled": volumes, "steps of the pre-training": self.options.pretraining_steps}

    def _pretrained(self, network: nn.Module) -> nn.Module:
        steps, patch_kji = self.options.pretraining_steps, tuple(self.base.card.patch_size_kji)
        trainer = Pretrainer(
            network,
            self._unlabeled,
            patch_kji,
            steps,
            self.folder / _PRETRAINING,
            self.options.seed,
            self.device,
            lambda step, count, loss: self.progress.stage(f"pre-training: step {step} of {count}, loss {loss:.3f}"),
        )
        if trainer.step < steps:
            self.progress.stage(f"pre-training: {trainer.memory.sentence}")
        trainer.run()
        return trainer.result

    def _trainer(self, network: nn.Module, fold: Fold, folder: Path, steps: int) -> TuningTrainer:
        return TuningTrainer(
            network,
            self.method,
            [self.examples[name] for name in fold.training],
            [self.examples[name] for name in fold.held_out],
            schedule(self.base.card, self.method, self.options, steps),
            folder,
            self.device,
            self.progress.step,
        )

    def _trained(self, name: str, fold: Fold) -> tuple[nn.Module, LoadedModel]:
        """The network of one training, and the base with the card it is packaged with.

        The result's network is that of the measured part where that is the same.
        """
        folder = self.folder / (self._part_name(0) if name == "result" and self.folds.final_is_measured else name)
        trainer = self._trainer(copy.deepcopy(self._start), fold, folder, self.steps)
        self.progress.training(name)
        self._plan_memory(trainer)
        trainer.run()
        return packaged(trainer.result), self.base

    def _plan_memory(self, trainer: PlannedTraining) -> None:
        """Say how the steps of the first training that is not over are computed, and keep that for the others and the report."""
        if self._memory is not None:
            trainer.compute_as(self._memory)
        elif trainer.step < self.steps:
            self._memory = trainer.memory
            write_text(self.folder / _MEMORY_FILE, self._memory.sentence + "\n")
            self.progress.stage(self._memory.sentence)

    def _measured_fold(self, number: int, fold: Fold) -> list[CaseResult]:
        """Results of the held-out cases by a training without them; what it made is deleted once they are there."""
        files = [self._result_file(self._part_name(number), name) for name in fold.held_out]
        package = self.folder / self._part_name(number) / PACKAGE
        if not all(file.is_file() for file in files):
            network, base = self._trained(self._part_name(number), fold)
            write_adapted(network, base, self.labels, self._taught(fold.training, None), package)
        else:
            self.progress.skip_training()
        results = []
        for name, file in zip(fold.held_out, files, strict=True):
            self.progress.stage(f"measuring {name}")
            model = load_model(package) if not file.is_file() else self.base
            found = measured(model, self.volumes[name], name, self.labels, file, self.device, self.progress.cancelled)
            results.append(found.result)
        if not self.folds.final_is_measured:
            for left in (self.folder / self._part_name(number)).glob("*.pt"):
                left.unlink()
        shutil.rmtree(package, ignore_errors=True)
        return results

    def _remembered(self, model: LoadedModel) -> tuple[tuple[CaseResult, ...], tuple[CaseResult, ...]]:
        """Before and after on the base's own reference cases; both empty where it carries none."""
        plan = kept_labels(self.labels)
        before, after = [], []
        for number, (name, case) in enumerate(reference_cases(self.base, plan, self.volumes.values())):
            for results, asked, part in ((before, self.base, _BEFORE), (after, model, "result")):
                self.progress.stage(f"measuring {name} with {asked.card.id}")
                file = self.folder / part / f"reference_{number:03d}.json"
                results.append(measured(asked, case, name, plan, file, self.device, self.progress.cancelled).result)
        return tuple(before), tuple(after)

    def _before(self, name: str) -> Measured:
        self.progress.stage(f"measuring {name} with {self.base.card.id}")
        file = self._result_file(_BEFORE, name)
        return measured(self.base, self.volumes[name], name, self.labels, file, self.device, self.progress.cancelled)

    def _result_file(self, part: str, name: str) -> Path:
        """Numbered: names of cases need not be names of files."""
        return self.folder / part / f"case_{self.names.index(name):03d}.json"

    def _part_name(self, number: int) -> str:
        return f"part_{number + 1}"

    def _taught(self, cases: Sequence[str], gate: GateOutcome | None) -> Taught:
        model_id = self.options.model_id or f"{self.base.card.id}-adapted"
        package = self.folder / PACKAGE
        version = read_card(package).version if (package / CARD_FILE).is_file() else free_version(model_id)
        how = (self.method, self.options.loss, self.options.sampling, self.steps)
        return Taught(model_id, version, *how, cases, self.folds.explanation, gate, len(self._unlabeled))
