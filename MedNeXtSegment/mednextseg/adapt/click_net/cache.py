"""The slices of a training recipe on disk, ready to be cut into views: made once, read by memory map."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from mednextseg.adapt.click_net.recipe import ClickNetRecipe
from mednextseg.adapt.click_net.regions import felzenszwalb_regions
from mednextseg.adapt.click_net.sources import SourceSlice, read_slices
from mednextseg.adapt.click_net.synthetic import paint_labels, random_shapes, warp
from mednextseg.files import write_text

_log = logging.getLogger(__name__)
FRAME_PX = 320  # slices are stored in the corner of a square of this side, shrunk to it where they are larger
_REGION_SIDE_PX = 192
_MIN_OBJECT_PX, _MAX_OBJECT_SHARE = 40, 0.6
_REGION_SCALES = (30.0, 1500.0)
_SHAPE_IMAGES = 500


@dataclass(frozen=True)
class CachedSet:
    """One set of the cache.

    Attributes:
        name, group: as in the recipe; group is "real", "regions" or "synthetic".
        images, labels, neighbors: (N, FRAME_PX, FRAME_PX) uint8 memory maps; neighbors is None for 2D sets.
        sizes_rc: (N, 2) the part of each frame that is filled.
        objects: (M, 6) int32: slice number, label, bounding box r0, c0, r1, c1 (half-open), of this slice or its neighbor.
        instances: whether labels are single objects.
    """

    name: str
    group: str
    images: np.ndarray
    labels: np.ndarray
    neighbors: np.ndarray | None
    sizes_rc: np.ndarray
    objects: np.ndarray
    instances: bool


def build_cache(recipe: ClickNetRecipe, data_folder: Path, cache_folder: Path) -> None:
    """Write every training set, the regions of its images and the synthetic images; sets already there are kept."""
    cache_folder = Path(cache_folder)
    cache_folder.mkdir(parents=True, exist_ok=True)
    for source in recipe.training:
        generator = np.random.default_rng([recipe.seed, *source.name.encode()])
        last_written = source.name if source.kind == "label_maps" else f"{source.name}-regions"
        if _is_cached(cache_folder, last_written):
            continue
        slices = list(read_slices(source, data_folder, "train", generator))
        if source.kind == "label_maps":
            _write_set(cache_folder, source.name, "synthetic", (_painted(item, generator) for item in slices))
            continue
        if source.kind != "unlabeled_volumes":
            _write_set(cache_folder, source.name, "real", slices)
        chosen = [slices[n] for n in generator.permutation(len(slices))[: recipe.region_slices]]
        _write_set(cache_folder, f"{source.name}-regions", "regions", (_with_regions(item, generator) for item in chosen))
    if not _is_cached(cache_folder, "shapes"):
        generator = np.random.default_rng([recipe.seed, 1])
        _write_set(cache_folder, "shapes", "synthetic", (_random_shape_slice(generator) for _ in range(_SHAPE_IMAGES)))


def open_cache(cache_folder: Path) -> list[CachedSet]:
    """Every set of a cache folder, by memory map.

    Raises:
        FileNotFoundError: where the folder holds no set.
    """
    tables = sorted(Path(cache_folder).glob("*.json"))
    if not tables:
        raise FileNotFoundError(f"{cache_folder} holds no training slices; build the cache first.")
    return [_open_set(path) for path in tables]


def _open_set(table: Path) -> CachedSet:
    raw = json.loads(table.read_text(encoding="utf-8"))
    stem = str(table.with_suffix(""))
    neighbors = Path(f"{stem}.neighbors.npy")
    return CachedSet(
        table.stem,
        raw["group"],
        np.load(f"{stem}.images.npy", mmap_mode="r"),
        np.load(f"{stem}.labels.npy", mmap_mode="r"),
        np.load(neighbors, mmap_mode="r") if neighbors.is_file() else None,
        np.array(raw["sizes_rc"], np.int32),
        np.array(raw["objects"], np.int32).reshape(-1, 6),
        raw["instances"],
    )


def _is_cached(folder: Path, name: str) -> bool:
    return (folder / f"{name}.json").is_file()


def _write_set(folder: Path, name: str, group: str, slices: Iterable[SourceSlice]) -> None:
    images, labels, neighbors, sizes, objects, instances = [], [], [], [], [], False
    for item in slices:
        number = len(images)
        image, label, neighbor = _framed(item)
        found = _objects_of(label, neighbor)
        if not found:
            continue
        instances = item.instances
        images.append(_in_frame(image))
        labels.append(_in_frame(label))
        neighbors.append(_in_frame(label if neighbor is None else neighbor))
        sizes.append(image.shape)
        objects.extend((number, *entry) for entry in found)
        has_neighbors = neighbor is not None
    if not images:
        return
    np.save(folder / f"{name}.images.npy", np.stack(images))
    np.save(folder / f"{name}.labels.npy", np.stack(labels))
    if has_neighbors:
        np.save(folder / f"{name}.neighbors.npy", np.stack(neighbors))
    table = {"group": group, "instances": instances, "sizes_rc": sizes, "objects": objects}
    write_text(folder / f"{name}.json", json.dumps(table, default=int))  # last: it says that the set is whole
    _log.info("%s: %d slices, %d objects", name, len(images), len(objects))


def _framed(item: SourceSlice) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Image and labels as uint8, shrunk to the frame where they are larger; at most 255 labels, renumbered from 1."""
    shape = item.image_rc.shape
    factor = min(1.0, FRAME_PX / max(shape))
    size_xy = (max(1, round(shape[1] * factor)), max(1, round(shape[0] * factor)))
    picture = Image.fromarray((item.image_rc * 255).round().astype(np.uint8)).resize(size_xy, Image.Resampling.BOX)
    both = item.labels_rc if item.neighbor_rc is None else np.stack([item.labels_rc, item.neighbor_rc])
    values = np.unique(both)
    values = values[values > 0][:255]
    numbers = np.zeros(int(max(both.max(), 0)) + 1, np.uint8)
    numbers[values] = np.arange(1, len(values) + 1)
    shrunk = [
        None if part is None else np.asarray(Image.fromarray(numbers[part]).resize(size_xy, Image.Resampling.NEAREST))
        for part in (item.labels_rc, item.neighbor_rc)
    ]
    return np.asarray(picture), shrunk[0], shrunk[1]


def _in_frame(part_rc: np.ndarray) -> np.ndarray:
    frame = np.zeros((FRAME_PX, FRAME_PX), np.uint8)
    frame[: part_rc.shape[0], : part_rc.shape[1]] = part_rc
    return frame


def _objects_of(label_rc: np.ndarray, neighbor_rc: np.ndarray | None) -> list[tuple[int, int, int, int, int]]:
    """(label, r0, c0, r1, c1) of everything large enough in the slice, or only in its neighbor."""
    found = {}
    for part in (neighbor_rc, label_rc):
        if part is None:
            continue
        areas = np.bincount(part.ravel())
        for value, box in enumerate(ndimage.find_objects(part), start=1):
            if box is not None and _MIN_OBJECT_PX <= areas[value] <= _MAX_OBJECT_SHARE * part.size:
                found[value] = (value, box[0].start, box[1].start, box[0].stop, box[1].stop)
    return list(found.values())


def _with_regions(item: SourceSlice, generator: np.random.Generator) -> SourceSlice:
    factor = min(1.0, _REGION_SIDE_PX / max(item.image_rc.shape))
    size_xy = [max(8, round(n * factor)) for n in item.image_rc.shape[::-1]]
    picture = Image.fromarray((item.image_rc * 255).astype(np.uint8)).resize(size_xy, Image.Resampling.BOX)
    image = np.asarray(picture, np.float32) / 255.0
    scale = float(np.exp(generator.uniform(*np.log(_REGION_SCALES))))
    regions = felzenszwalb_regions(image, scale, min_size_px=_MIN_OBJECT_PX)
    areas = np.bincount(regions.ravel())
    number = np.zeros(len(areas), np.int32)
    largest = np.argsort(-areas)[:255]
    number[largest] = np.arange(1, len(largest) + 1)
    return SourceSlice(image, number[regions], None, item.case, instances=True)


def _painted(item: SourceSlice, generator: np.random.Generator) -> SourceSlice:
    """A label map's slice with a random image; some labels join first, as they do where contrast is missing."""
    values = np.unique(np.stack([item.labels_rc, item.neighbor_rc]))
    joined = np.where(generator.random(len(values)) < 0.3, generator.permutation(values), values)
    joined[values == 0] = 0
    table = np.zeros(int(values.max()) + 1, np.int32)
    table[values] = joined
    labels = table[item.labels_rc]
    return SourceSlice(paint_labels(labels, generator), labels, table[item.neighbor_rc], item.case)


def _random_shape_slice(generator: np.random.Generator) -> SourceSlice:
    labels = random_shapes((224, 224), generator)
    labels = warp(labels, generator, generator.uniform(0.0, 8.0)).astype(np.int32)
    image, pieces = paint_labels(labels, generator), np.zeros_like(labels)
    for value in np.unique(labels):
        numbers, _ = ndimage.label(labels == value)
        pieces += np.where(numbers > 0, numbers + pieces.max(), 0)
    return SourceSlice(image, pieces, None, "shapes", instances=True)
