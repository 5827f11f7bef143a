"""How a channel's intensities are scaled: the names a model card uses (standard library only)."""

from dataclasses import dataclass

from mednextseg.json_values import number, yes_or_no

SCHEMES = ("ct", "clip_zscore", "percentile_zscore", "zscore", "zscore_nonzero", "minmax", "none")


@dataclass(frozen=True)
class Normalization:
    """How one channel's intensities are scaled.

    Attributes:
        scheme: "ct" clips to [lower, upper] and standardizes by the data set's mean and std; "clip_zscore" clips alike and standardizes by
            those of the image's voxels strictly between the bounds (nnU-Net v1's CT2); "percentile_zscore" clips to the image's own 0.5 and
            99.5 percentiles and standardizes by the mean and std of the clipped image (MedISeg); "zscore" standardizes by the image's own;
            "zscore_nonzero" by those of the voxels that are not zero, others staying zero; "minmax" maps the image's range to [0, 1].
        masked: look only at the region where any channel is not zero, holes filled, and set the rest to 0 (nnU-Net's use_mask_for_norm).
    """

    scheme: str
    lower: float = 0.0
    upper: float = 0.0
    mean: float = 0.0
    std: float = 1.0
    masked: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.scheme, str) or self.scheme not in SCHEMES:
            raise ValueError(f"unknown normalization {self.scheme!r}; allowed: {', '.join(SCHEMES)}.")
        lower, upper = (number(getattr(self, name), f"{name} of a normalization") for name in ("lower", "upper"))
        if lower > upper:
            raise ValueError(f"a normalization must have lower <= upper, got {lower:g} and {upper:g}.")
        number(self.mean, "mean of a normalization")
        number(self.std, "std of a normalization", low=0)
        yes_or_no(self.masked, "masked of a normalization")
