"""How a method is trained for a number of steps: rates, averages, how often is looked and saved."""

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.models.model_card import ModelCard
from mednextseg.models.sides import axes_without_sides

_BATCH_SIZE = 2
_CURVE_POINTS, _SAVES, _LEAST_APART = 20, 10, 5


def schedule(card: ModelCard, method: TuningMethod, options: TuningOptions, steps: int) -> MedNeXtRecipe:
    """The recipe of one training; patch and mirroring are the base's."""
    return MedNeXtRecipe(
        id=card.id,
        title=card.title,
        patch_size_kji=tuple(card.patch_size_kji),
        mirror_axes_kji=axes_without_sides(card),
        loss=options.loss,
        sampling=options.sampling,
        batch_size=_BATCH_SIZE,
        max_steps=steps,
        learning_rate=method.learning_rate,
        warmup_steps=min(50, max(1, steps // 10)),
        ema_decay=min(0.998, max(0.0, 1 - 10 / steps)),  # an average over the last tenth or so
        validate_every=max(_LEAST_APART, steps // _CURVE_POINTS),
        save_every=max(1, steps // _SAVES),
        seed=options.seed,
    )
