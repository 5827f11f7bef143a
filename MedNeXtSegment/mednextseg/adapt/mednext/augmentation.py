"""Random patches and their deformations, all by MONAI's dictionary transforms."""

import numpy as np
from monai import transforms as mt

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe

# Rotated and shrunk patches reach beyond their own edges: crop this much more than is kept.
_CROP_MARGIN = 1.25


def training_transforms(recipe: MedNeXtRecipe) -> mt.Compose:
    """A labeled case ("image", "label"; channel first) -> a random, augmented patch of recipe.patch_size_kji.

    Rotation to 17 degrees, scaling to 20 %, shear, mirroring along the recipe's axes, then noise, blur, lower resolution, brightness,
    contrast and gamma in the manner of nnU-Net. Two of three patches are centered on a labeled voxel.
    """
    both, crop = ["image", "label"], tuple(int(np.ceil(n * _CROP_MARGIN)) for n in recipe.patch_size_kji)
    return mt.Compose(
        [
            mt.SpatialPadd(both, crop, mode=("edge", "constant")),
            mt.RandCropByPosNegLabeld(both, "label", crop, pos=2, neg=1, num_samples=1, allow_smaller=False),
            mt.RandAffined(
                both,
                prob=0.9,
                spatial_size=recipe.patch_size_kji,
                rotate_range=(0.3,) * 3,
                scale_range=(0.2,) * 3,
                shear_range=(0.08,) * 6,
                translate_range=tuple((c - p) / 2 for c, p in zip(crop, recipe.patch_size_kji, strict=True)),
                mode=("bilinear", "nearest"),
                padding_mode=("zeros", "zeros"),
            ),
            mt.CenterSpatialCropd(both, recipe.patch_size_kji),
            *(mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in recipe.mirror_axes_kji),
            mt.RandGaussianNoised("image", prob=0.2, std=0.15),
            mt.RandGaussianSmoothd("image", prob=0.15, sigma_x=(0.4, 1.0), sigma_y=(0.4, 1.0), sigma_z=(0.4, 1.0)),
            mt.RandSimulateLowResolutiond("image", prob=0.15, zoom_range=(0.5, 1.0)),
            mt.RandScaleIntensityd("image", factors=0.3, prob=0.3),
            mt.RandShiftIntensityd("image", offsets=0.3, prob=0.3),
            mt.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
            mt.ToTensord(both, track_meta=False),
        ]
    )
