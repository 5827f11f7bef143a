"""Reading the slices that ClickNet learns from and is measured on: 2D sets and cuts through volumes.

Layouts, by ClickNetSource.kind:
    images_2d         images/NAME.*, labels/NAME.png (index image), split.json with the lists "train" and "val"
    instances_2d      the same; the labels number single objects
    binary_masks_2d   images/NAME.*, masks/NAME_*.png, one structure a file; no split: all of it is training
    volumes           pairs of image and labelmap on the same grid, or an nnU-Net raw folder (dataset.json, imagesTr, labelsTr),
                      or images/NAME_0000.nii.gz, labels/NAME.nii.gz and split.json
    unlabeled_volumes, label_maps   volumes without labels, labels without images
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from mednextseg.adapt.click_net.recipe import ClickNetSource
from mednextseg.adapt.click_net.synthetic import stretched
from mednextseg.cases.splits import read_split
from mednextseg.volume_io import read_volume

_MIN_VOLUME_PIXELS = 24  # a volume's cut with a shorter side shows nothing


@dataclass(frozen=True)
class SourceSlice:
    """One slice and its objects.

    Attributes:
        image_rc: (H, W) float32 in [0, 1]; None for a label map without an image.
        labels_rc: (H, W) integers, 0 is background; None where the image is unlabeled.
        neighbor_rc: labels of a slice up to 3 further on in the same volume, in the same numbers; None for a 2D image.
        case: patient or image, for statistics by patient.
        instances: whether each label is one object of many alike.
    """

    image_rc: np.ndarray | None
    labels_rc: np.ndarray | None
    neighbor_rc: np.ndarray | None
    case: str
    instances: bool = False


def read_slices(source: ClickNetSource, data_folder: Path, part: str, generator: np.random.Generator) -> Iterator[SourceSlice]:
    """All slices of one part of a set.

    Args:
        source: the set.
        data_folder: where source.folder lies.
        part: "train", "val" or "all".
        generator: draws displayed ranges of CT and the distance of the neighbor slice.
    Raises:
        ValueError: for a part that is none of these.
    """
    if part not in ("train", "val", "all"):
        raise ValueError(f'the part of a set is "train", "val" or "all", got {part!r}.')
    folder = Path(data_folder) / source.folder
    if source.kind in ("images_2d", "instances_2d"):
        yield from _images_2d(folder, part, source.kind == "instances_2d")
    elif source.kind == "binary_masks_2d":
        yield from _binary_masks_2d(folder) if part != "val" else ()
    else:
        for image, label, case in volume_files(source, folder, part):
            yield from _cuts(source, image, label, case, generator)


def gray_image(path: Path) -> np.ndarray:
    """A stored picture as float32 in [0, 1] by its percentiles; colors by luminance."""
    return stretched(np.asarray(Image.open(path).convert("L"), dtype=np.float32))


def _images_2d(folder: Path, part: str, instances: bool) -> Iterator[SourceSlice]:
    names = read_split(folder / "split.json").part(part)
    files = {path.stem: path for path in (folder / "images").iterdir()}
    for name in names:
        labels = np.asarray(Image.open(folder / "labels" / f"{name}.png"))
        image = gray_image(files[name])
        if image.shape == labels.shape and labels.any():
            yield SourceSlice(image, labels.astype(np.int32), None, name, instances)


def _binary_masks_2d(folder: Path) -> Iterator[SourceSlice]:
    for path in sorted((folder / "images").iterdir()):
        masks = sorted((folder / "masks").glob(f"{path.stem}_*.png"))
        if not masks:
            continue
        image = gray_image(path)
        labels = np.zeros(image.shape, np.int32)
        for value, mask in enumerate(masks, start=1):
            labels[np.asarray(Image.open(mask).convert("L")) > 0] = value
        yield SourceSlice(image, labels, None, path.stem)


def volume_files(source: ClickNetSource, folder: Path, part: str) -> Iterator[tuple[Path | None, Path | None, str]]:
    """Image, labels and name of each case of a set of volumes; no image for label maps, no labels for what is unlabeled."""
    if source.pairs:
        for image, label in source.pairs if part != "val" else ():
            if source.kind == "label_maps":
                yield None, folder / image, image
            else:
                yield folder / image, (folder / label if label else None), image
    elif source.kind == "label_maps":
        for path in sorted(folder.glob("*.nii.gz")) if part != "val" else ():
            yield None, path, path.name
    else:
        is_raw = (folder / "imagesTr").is_dir()
        names = read_split(folder / ("splits_final.json" if is_raw else "split.json")).part(part)
        images, labels = (folder / "imagesTr", folder / "labelsTr") if is_raw else (folder / "images", folder / "labels")
        for name in names[: source.most_cases or None]:
            yield images / f"{name}_0000.nii.gz", labels / f"{name}.nii.gz", name


def _cuts(
    source: ClickNetSource, image: Path | None, label: Path | None, case: str, generator: np.random.Generator
) -> Iterator[SourceSlice]:
    volume_kji, labels_kji = _isotropic(source, image, label)
    if source.objects and labels_kji is not None:
        labels_kji = np.where(np.isin(labels_kji, source.objects), labels_kji, 0)
    shape = (volume_kji if volume_kji is not None else labels_kji).shape
    for axis in source.axes_kji:
        if min(n for other, n in enumerate(shape) if other != axis) < _MIN_VOLUME_PIXELS:
            continue
        stops = min(source.slices_per_axis, shape[axis])
        for index in np.unique(np.linspace(0, shape[axis] - 1, stops + 2)[1:-1].round().astype(int)):
            labels = None if labels_kji is None else _upright(labels_kji.take(index, axis))
            picture = (
                None if volume_kji is None else _in_display_range(_upright(volume_kji.take(index, axis)), source, generator)
            )
            if picture is not None and picture.max() <= 0:
                continue
            step = int(generator.integers(1, 4)) * (1 if generator.random() < 0.5 else -1)
            beyond = min(max(index + step, 0), shape[axis] - 1)
            neighbor = None if labels_kji is None else _upright(labels_kji.take(beyond, axis))
            yield SourceSlice(picture, labels, neighbor, case)


def _isotropic(source: ClickNetSource, image: Path | None, label: Path | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Both arrays, brought to the finest spacing where cuts along several axes would be stretched otherwise."""
    volume_kji, geometry = read_volume(image) if image is not None else (None, None)
    labels_kji, label_geometry = read_volume(label) if label is not None else (None, None)
    if geometry is not None and label_geometry is not None and not geometry.matches(label_geometry, tolerance_mm=0.5):
        labels_kji = labels_kji[:, ::-1] if geometry.shape_kji == label_geometry.shape_kji else None
    spacing = np.array((geometry or label_geometry).spacing_kji_mm)
    factors = spacing / spacing.min()
    if len(source.axes_kji) > 1 and factors.max() > 1.2:
        volume_kji = None if volume_kji is None else ndimage.zoom(volume_kji.astype(np.float32), factors, order=1)
        labels_kji = None if labels_kji is None else ndimage.zoom(labels_kji, factors, order=0)
    return volume_kji, None if labels_kji is None else labels_kji.astype(np.int32)


def _upright(slice_rc: np.ndarray) -> np.ndarray:
    return slice_rc[::-1]  # most files count from below; training mirrors both axes anyway


def _in_display_range(slice_rc: np.ndarray, source: ClickNetSource, generator: np.random.Generator) -> np.ndarray:
    if not source.display_ranges_hu:
        return stretched(slice_rc)
    low, high = source.display_ranges_hu[generator.integers(len(source.display_ranges_hu))]
    return np.clip((slice_rc.astype(np.float32) - low) / (high - low), 0.0, 1.0)
