"""An adaptation by pairs of images: everything is as with labels, but that the base's answers in the known image stand for them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import nn

from mednextseg.adapt.locked_folder import locked
from mednextseg.adapt.transfer.pairs import ImagePair, as_cases, pairs_in_folder
from mednextseg.adapt.transfer.transfer_trainer import PairExample, TransferTrainer
from mednextseg.adapt.tuning.adapt_model import check_base
from mednextseg.adapt.tuning.adaptation import Adaptation
from mednextseg.adapt.tuning.adaptation_run import AdaptationRun
from mednextseg.adapt.tuning.examples import region_of_case
from mednextseg.adapt.tuning.folds import Fold, Folds
from mednextseg.adapt.tuning.methods.everything import every_parameter
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.adapt.tuning.progress import TuningProgress, TuningReport
from mednextseg.adapt.tuning.schedule import schedule
from mednextseg.json_values import listed
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.prepare.input_check import checked_channels
from mednextseg.segment.prepare.prepared_volume import resample_labels
from mednextseg.segment.prepare.preprocess import prepare


class _PairedImages(TuningMethod):
    """No line of models/tuning_choices.py: it is chosen by giving pairs."""

    @property
    def title(self) -> str:
        return "the whole network, by pairs of images without labels,"


METHOD = _PairedImages("paired-images", 3e-4, lambda network, patch_kji: network, every_parameter)
_EXPLANATION = "{}; Dice is the agreement with what the base finds in the known image of a pair, not with what somebody drew"


def adapt_to_pairs(
    base: LoadedModel,
    pairs: str | Path | Sequence[ImagePair],
    folder: Path,
    options: TuningOptions | None = None,
    is_registered: bool = True,
    device: str = "cpu",
    report: TuningReport = lambda progress: None,
    cancelled: Callable[[], bool] | None = None,
) -> Adaptation:
    """Teach a model another scanner or sequence from pairs of images of one patient each, without labels.

    Args:
        base, options, device, report, cancelled: as for `adapt_model`; of the options, method, loss, sampling and unlabeled stay as usual.
        pairs: at least two; or a folder with imagesKnown and imagesNew, see `pairs_in_folder`.
        folder: for checkpoints, curves, results and the package; an earlier call there goes on.
        is_registered: False registers each pair first, rigidly.
    Raises:
        ValueError, OSError, RuntimeError: in one sentence, for pairs, a base or a folder that cannot be used.
        Cancelled: where the caller stopped.
    """
    check_base(base)
    wanted = options or TuningOptions()
    if given := [*(["method"] if wanted.method != TuningOptions.method else []), *wanted.of_a_training()]:
        raise ValueError(
            f"pairs of images teach the whole network by its features, so that {listed(given)} cannot be chosen; leave it out."
        )
    if wanted.unlabeled is not None:
        raise ValueError("pre-training goes with labeled cases; leave out its folder, or the pairs of images.")
    if isinstance(pairs, str | Path):
        pairs = pairs_in_folder(pairs, len(base.card.channels))
    with locked(folder) as place:
        progress = TuningProgress(report, cancelled)
        cases = as_cases(pairs, base, is_registered, device, progress.cancelled)
        return TransferRun(base, cases, place, wanted, device, progress).result()


class TransferRun(AdaptationRun):
    """The stages, with pairs for cases."""

    def _chosen_method(self) -> TuningMethod:
        return METHOD

    def _divided(self) -> Folds:
        folds = super()._divided()
        return replace(folds, explanation=_EXPLANATION.format(folds.explanation))

    @cached_property
    def pairs(self) -> dict[str, PairExample]:
        """Name -> what a training gets of the pair."""
        return {name: self._pair(name) for name in self.volumes}

    def _check_drawn(self) -> None:
        """What the base does not find, nobody can draw."""

    def _pair(self, name: str) -> PairExample:
        case, card = self.volumes[name], self.base.card
        known = prepare(checked_channels(case.known, case.geometry, card), case.geometry, card, region_of_case(case, card))
        if known.image_ckji.shape != self.examples[name].image_ckji.shape:
            raise ValueError(
                f"the two images of {listed([name])} are cropped unlike each other; crop both to the same box first."
            )
        overlap_kji = resample_labels(case.overlap_kji.astype("uint8"), case.geometry, known.network_geometry) > 0
        return PairExample(self.examples[name].image_ckji, known.image_ckji, overlap_kji)

    def _trainer(self, network: nn.Module, fold: Fold, folder: Path, steps: int) -> TransferTrainer:
        """Of the pairs to learn from the last one tells when to stop, where there are several; the held-out ones decide nothing."""
        learned, watched = (fold.training[:-1], fold.training[-1:]) if len(fold.training) > 1 else (fold.training, ())
        return TransferTrainer(
            network,
            [self.pairs[name] for name in learned],
            [self.pairs[name] for name in watched],
            schedule(self.base.card, self.method, self.options, steps),
            folder,
            self.device,
            self.progress.step,
        )
