"""What of a network is trained: one file a method, listed in `METHODS`."""

from mednextseg.adapt.tuning.methods import (
    everything,
    frozen_base,
    head_only,
    larger_kernels,
    settings_only,
    with_class_attention,
    with_shape_priors,
)
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.json_values import one_of

METHODS: dict[str, TuningMethod] = {
    module.METHOD.name: module.METHOD
    for module in (
        everything,
        head_only,
        frozen_base,
        larger_kernels,
        with_shape_priors,
        with_class_attention,
        settings_only,
    )
}


def method_named(name: str) -> TuningMethod:
    """The method of a name.

    Raises:
        ValueError: listing those there are.
    """
    return METHODS[one_of(name, "the method", METHODS)]
