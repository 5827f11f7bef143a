"""Random patches and their deformations, all by MONAI's dictionary transforms."""

import numpy as np
from monai import transforms as mt

from mednextseg.adapt.mednext.mirroring import MirrorSides
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.mednext.sampling import random_crop
from mednextseg.models.sides import SIDE_AXIS

_SHARE_OF_CUT_PATCHES = 0.2
_MOST_CUT = 0.5
# Rotated and shrunk patches reach beyond their own edges: crop this much more than is kept.
_CROP_MARGIN = 1.25


class CutFieldOfView(mt.MapTransform, mt.RandomizableTransform):
    """End the scan within a patch: up to half of it, from one of its six sides, becomes what lies around a scan.

    "image" (channel, k, j, i) takes each channel's least value there, as air or the border of a masked scan has; "label" becomes 0.
    Scans that stop in the middle of an organ are common, and a network that always saw the rest of the head finds nothing in them.
    """

    def __init__(self) -> None:
        mt.MapTransform.__init__(self, ("image", "label"))
        mt.RandomizableTransform.__init__(self, _SHARE_OF_CUT_PATCHES)

    def __call__(self, data: dict) -> dict:
        self.randomize(None)
        if not self._do_transform:
            return data
        axis, at_end = self.R.randint(3), self.R.randint(2)
        length = data["image"].shape[1 + axis]
        cut = self.R.randint(1, int(length * _MOST_CUT) + 1)
        lost = [slice(None)] * 4
        lost[1 + axis] = slice(length - cut, None) if at_end else slice(cut)
        image, label = data["image"].clone(), data["label"].clone()
        image[tuple(lost)] = image.amin(dim=(1, 2, 3), keepdim=True)
        label[tuple(lost)] = 0
        return {**data, "image": image, "label": label}


def training_transforms(recipe: MedNeXtRecipe, num_classes: int, side_codes: np.ndarray | None = None) -> mt.Compose:
    """A labeled case ("image", "label"; channel first) -> a random, augmented patch of recipe.patch_size_kji.

    Rotation to 17 degrees, scaling to 20 %, shear, mirroring along the recipe's axes, a scan that ends within the patch, then noise, blur,
    lower resolution, brightness, contrast and gamma in the manner of nnU-Net. The recipe's sampling says where patches lie.

    Args:
        num_classes: of the labels, background included.
        side_codes: what each code becomes in a mirror image (`Sides.codes`), where the recipe exchanges sides.
    """
    of_sides = () if side_codes is None else (SIDE_AXIS,)
    both, crop = ["image", "label"], tuple(int(np.ceil(n * _CROP_MARGIN)) for n in recipe.patch_size_kji)
    return mt.Compose(
        [
            mt.SpatialPadd(both, crop, mode=("edge", "constant")),
            random_crop(recipe.sampling, crop, num_classes),
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
            *(mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in recipe.mirror_axes_kji if axis not in of_sides),
            *(MirrorSides(side_codes) for _ in of_sides),
            CutFieldOfView(),
            mt.RandGaussianNoised("image", prob=0.2, std=0.15),
            mt.RandGaussianSmoothd("image", prob=0.15, sigma_x=(0.4, 1.0), sigma_y=(0.4, 1.0), sigma_z=(0.4, 1.0)),
            mt.RandSimulateLowResolutiond("image", prob=0.15, zoom_range=(0.5, 1.0)),
            mt.RandScaleIntensityd("image", factors=0.3, prob=0.3),
            mt.RandShiftIntensityd("image", offsets=0.3, prob=0.3),
            mt.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
            mt.ToTensord(both, track_meta=False),
        ]
    )
