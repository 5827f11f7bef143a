"""How a channel's intensities are scaled: the names a model card uses (standard library only)."""

from dataclasses import dataclass

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
        if self.scheme not in SCHEMES:
            raise ValueError(f"unknown normalization {self.scheme!r}; allowed: {', '.join(SCHEMES)}.")
