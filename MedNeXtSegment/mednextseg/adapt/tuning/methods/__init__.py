"""What of a network is trained: one file a method, listed in `METHODS`."""

from mednextseg.adapt.tuning.methods import everything, frozen_base, head_only, larger_kernels, settings_only
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.json_values import one_of

METHODS: dict[str, TuningMethod] = {
    method.name: method
    for method in (everything.METHOD, head_only.METHOD, frozen_base.METHOD, larger_kernels.METHOD, settings_only.METHOD)
}


def method_named(name: str) -> TuningMethod:
    """The method of a name.

    Raises:
        ValueError: listing those there are.
    """
    return METHODS[one_of(name, "the method", METHODS)]
