"""Training views: a square cut of a cached slice around one object, turned, mirrored, bent and with its contrast changed."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.cache import CachedSet
from mednextseg.adapt.click_net.clicks import bounding_box, degraded_mask, displaced_mask
from mednextseg.adapt.click_net.synthetic import smooth_field

LEAST_SIDE_PX = 24.0
MIN_TARGET_PX = 60  # smaller targets in the network's view were measured to add noise only
BOX_MARGINS = (1.4, 2.1)  # side of a view over the longer side of the box that it shows; in use it lies between the two
_ATTEMPTS = 40
_JOINED_SHARE = 0.2
_WHOLE_SHARE = 0.12  # of views of label maps and regions: all that is labeled, as one object that nearly fills the slice
_BENT_SHARE, _LARGEST_BEND = 0.4, 0.02  # of views; standard deviation of the shift, as a share of the view's side
_DISPLACED_SHARE = 0.5  # of the masks that clicks come with
_COUNTED_SLICES = (20, 250)  # a set counts at least and at most as one of so many slices


@dataclass(frozen=True)
class TrainingView:
    """A square part of a slice, as the network sees it in training, with the object to find.

    Attributes:
        image_rc: (S, S) float32 in [0, 1].
        truth_rc: (S, S) bool; empty where the object is not in the slice.
        neighbor_rc: (S, S) float32, the object in a slice nearby, or a degraded copy of the truth; None unless asked for.
    """

    image_rc: np.ndarray
    truth_rc: np.ndarray
    neighbor_rc: np.ndarray | None = None


class ViewSampler:
    """Draws views from a cache: group by its share, set by the root of its size, slice and object at random.

    Args:
        sets: the opened cache.
        group_shares: as in ClickNetRecipe.
        view_size_px: side S of the views.
        generator: source of randomness.
    """

    def __init__(
        self, sets: list[CachedSet], group_shares: dict[str, float], view_size_px: int, generator: np.random.Generator
    ) -> None:
        self.sets, self.size, self.generator = sets, view_size_px, generator
        shares = np.zeros(len(sets))
        for group, share in group_shares.items():
            members = [n for n, item in enumerate(sets) if item.group == group]
            if not members:
                raise ValueError(f'the cache holds no set of the group "{group}"; rebuild it, or give the group no share.')
            roots = np.sqrt(np.clip([len(sets[n].sizes_rc) for n in members], *_COUNTED_SLICES))
            shares[members] = share * roots / roots.sum()
        self.shares = shares / shares.sum()

    def draw(self, with_neighbor: bool = False, may_be_absent: bool = False, around_box: bool = False) -> TrainingView:
        """One view.

        Args:
            with_neighbor: the view needs a start for a mask.
            may_be_absent: the object may be in the neighboring slice only.
            around_box: as close to the object as a box lets the network look.
        """
        for _ in range(_ATTEMPTS):
            cached = self.sets[self.generator.choice(len(self.sets), p=self.shares)]
            number = int(self.generator.integers(len(cached.sizes_rc)))
            objects = cached.objects[cached.objects[:, 0] == number]
            if not len(objects):
                continue
            entry = objects[self.generator.integers(len(objects))]
            view = self._cut(cached, entry, with_neighbor, may_be_absent, around_box)
            if view is not None:
                return view
        raise RuntimeError("no view with a large enough object was found; the cache's objects are too small.")

    def _cut(
        self, cached: CachedSet, entry: np.ndarray, with_neighbor: bool, may_be_absent: bool, around_box: bool
    ) -> TrainingView | None:
        number, label, *box = (int(n) for n in entry)
        rows, cols = cached.sizes_rc[number]
        labels = cached.labels[number, :rows, :cols]
        truth, box = self._target(cached, labels, label, box)
        neighbor = cached.neighbors[number, :rows, :cols] == label if cached.neighbors is not None else None
        area = max(int(truth.sum()), int(neighbor.sum()) if neighbor is not None else 0)
        if around_box:
            if not truth.any():
                return None
            box = [int(edge) for edge in bounding_box(truth)]
            side = max(self.generator.uniform(*BOX_MARGINS) * max(box[2] - box[0], box[3] - box[1]), LEAST_SIDE_PX)
        else:
            side = self._side_px(box, area, max(rows, cols))
        if side is None:
            return None
        matrix, offset = self._placement(box, side, (rows, cols), around_box)
        image = cached.images[number, :rows, :cols].astype(np.float32) / 255.0
        if side > 1.2 * self.size:
            image = ndimage.gaussian_filter(image, 0.4 * side / self.size)
        places = self._bent(self._places(matrix, offset), matrix)
        image = _read(image, places)
        truth = _read(truth.astype(np.float32), places) > 0.5
        if truth.sum() < MIN_TARGET_PX and not (may_be_absent and neighbor is not None and not truth.any()):
            return None
        if truth.mean() > 0.85:
            return None
        start = None
        if with_neighbor and neighbor is not None and (not truth.any() or self.generator.random() < 0.6):
            start = _read(neighbor.astype(np.float32), places)
            if start.sum() < MIN_TARGET_PX / 2:
                return None
        elif with_neighbor:
            is_displaced = not may_be_absent and self.generator.random() < _DISPLACED_SHARE
            start = (displaced_mask if is_displaced else degraded_mask)(truth, self.generator)
        return TrainingView(self._other_contrast(image), truth, start)

    def _target(self, cached: CachedSet, labels_rc: np.ndarray, label: int, box: list[int]) -> tuple[np.ndarray, list[int]]:
        """What is to be found, and the box to look around: the object as it is labeled, or now and then another extent of it."""
        truth, draw = labels_rc == label, self.generator
        chance = draw.random() if cached.group != "real" and labels_rc.any() else 1.0
        if chance < _WHOLE_SHARE:
            truth = ndimage.binary_fill_holes(labels_rc > 0)
            box = [int(edge) for edge in bounding_box(truth)]
        elif chance < _WHOLE_SHARE + _JOINED_SHARE:
            truth = truth | (labels_rc == draw.choice(np.unique(labels_rc[labels_rc > 0])))
        elif not cached.instances and draw.random() < 0.25:
            truth = _one_component(truth, draw)
        return truth, box

    def _side_px(self, box: list[int], area_px: int, slice_side_px: int) -> float | None:
        """Side of the view in slice pixels: the whole slice, or log-uniform from just around the object to the whole slice."""
        r0, c0, r1, c1 = box
        smallest = max(1.1 * max(r1 - r0, c1 - c0), LEAST_SIDE_PX)
        largest = min(1.15 * slice_side_px, self.size * np.sqrt(area_px / MIN_TARGET_PX))
        if area_px == 0 or largest < LEAST_SIDE_PX:
            return None
        if smallest >= largest:
            return largest if smallest > slice_side_px else smallest
        if self.generator.random() < 0.45:
            return min(largest, float(slice_side_px))
        return float(np.exp(self.generator.uniform(np.log(smallest), np.log(largest))))

    def _placement(
        self, box: list[int], side_px: float, shape_rc: tuple[int, int], centered: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Affine of ndimage (slice index = matrix @ view index + offset) with a random turn and mirroring; object inside."""
        r0, c0, r1, c1 = box
        center = np.array([(r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2])
        slack = np.maximum(side_px - np.array([r1 - r0, c1 - c0]), 0.15 * side_px) / 2
        slack = np.minimum(slack, 0.08 * side_px) if centered else slack
        center = center + self.generator.uniform(-slack, slack)
        middle = (np.array(shape_rc) - 1) / 2
        beyond = np.maximum((np.array(shape_rc) - side_px) / 2, 0) + 0.1 * side_px
        center = np.clip(center, middle - beyond, middle + beyond)
        angle = np.pi / 2 * self.generator.integers(4)
        if self.generator.random() < 0.5:
            angle += self.generator.uniform(-0.5, 0.5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if self.generator.random() < 0.5:
            turn[:, 0] *= -1
        stretch = np.diag(np.exp(self.generator.uniform(-0.12, 0.12, 2)))
        matrix = turn @ stretch * side_px / self.size
        return matrix, center - matrix @ np.full(2, (self.size - 1) / 2)

    def _places(self, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """(2, S, S) slice index of each pixel of the view."""
        pixels = np.indices((self.size, self.size), np.float32)
        return np.tensordot(matrix, pixels, 1) + offset[:, None, None]

    def _bent(self, places: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Places shifted by a smooth random field, now and then: few sets show more than some hundred shapes."""
        if self.generator.random() >= _BENT_SHARE:
            return places
        most_px = self.generator.uniform(0.0, _LARGEST_BEND) * self.size
        shape = (self.size, self.size)
        shift_px = np.stack([most_px * smooth_field(shape, self.size / 8, self.generator) for _ in range(2)])
        return places + np.tensordot(matrix, shift_px, 1)

    def _other_contrast(self, image_rc: np.ndarray) -> np.ndarray:
        """Another displayed range, gamma, inversion, blur, bias field and noise, each now and then."""
        draw, image = self.generator, image_rc
        if draw.random() < 0.5:
            low, high = draw.uniform(-0.15, 0.2), draw.uniform(0.75, 1.25)
            image = np.clip((image - low) / (high - low), 0.0, 1.0)
        if draw.random() < 0.4:
            image = image ** np.exp(draw.uniform(-0.5, 0.5))
        if draw.random() < 0.15:
            image = 1.0 - image
        if draw.random() < 0.15:
            image = ndimage.gaussian_filter(image, draw.uniform(0.3, 1.2))
        if draw.random() < 0.2:
            image = image * np.exp(draw.uniform(0.0, 0.3) * smooth_field(image.shape, self.size / 3, draw))
        if draw.random() < 0.3:
            image = image + draw.uniform(0.0, 0.06) * draw.standard_normal(image.shape)
        return np.clip(image, 0.0, 1.0).astype(np.float32)


def _read(part_rc: np.ndarray, places: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(part_rc, places, order=1, mode="constant")


def _one_component(mask_rc: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One connected component, drawn by area."""
    numbers, count = ndimage.label(mask_rc)
    if count < 2:
        return mask_rc
    areas = np.bincount(numbers.ravel())[1:].astype(float)
    return numbers == 1 + generator.choice(count, p=areas / areas.sum())
