"""Clean-up of labels: components of several labels together; then label by label largest component, small components, holes."""

import numpy as np
from scipy import ndimage

from mednextseg.models.clean_up import ComponentRule
from mednextseg.models.model_card import ModelCard

# Components and holes of a label are judged by shared faces (6 neighbors), so that a diagonal contact does not keep an island alive.
_FACES = ndimage.generate_binary_structure(3, 1)
_STRUCTURES = {"faces": _FACES, "corners": ndimage.generate_binary_structure(3, 3)}


def clean_labels(labelmap_kji: np.ndarray, card: ModelCard, voxel_volume_mm3: float) -> np.ndarray:
    """Apply the card's rules and steps; voxels taken from a label become background, filled holes take only background.

    Args:
        labelmap_kji: integer labels (K, J, I), or a layer for each of the card's labels (layers, K, J, I); not changed.
        card: with the labels, their `component_rules` and `postprocessing`; labels without an entry stay as they are.
        voxel_volume_mm3: of one voxel.
    Returns:
        Labels of the same shape and dtype.
    """
    labels = labelmap_kji.copy()
    cleaned = labels if labels.ndim == 4 else labels[None]  # a view
    for rule in card.component_rules:
        _apply_rule(cleaned, rule, [card.label_named(name).value for name in rule.labels], voxel_volume_mm3)
    for number, label in enumerate(card.labels):
        todo = card.postprocessing.get(label.name)
        layer_kji = cleaned[number if len(cleaned) > 1 else 0]
        box = _bounding_box(layer_kji == label.value) if todo is not None else None
        if box is None:
            continue
        part = layer_kji[box]
        before = part == label.value
        after = before
        if todo.keep_largest:
            after = keep_largest(after)
        if todo.min_volume_mm3 > 0:
            after = remove_small(after, todo.min_volume_mm3 / voxel_volume_mm3)
        part[before & ~after] = 0
        if todo.fill_holes:
            part[ndimage.binary_fill_holes(after, _FACES) & (part == 0)] = label.value
    return labels


def keep_largest(mask_kji: np.ndarray) -> np.ndarray:
    """The largest face-connected component; the one found first (lowest index) among equals."""
    components, count = ndimage.label(mask_kji, _FACES)
    if count <= 1:
        return mask_kji
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return components == int(sizes.argmax())


def remove_small(mask_kji: np.ndarray, min_voxels: float) -> np.ndarray:
    """The mask without face-connected components of fewer than min_voxels voxels."""
    components, _ = ndimage.label(mask_kji, _FACES)
    large = np.bincount(components.ravel()) >= min_voxels
    large[0] = False
    return large[components]


def _apply_rule(layers: np.ndarray, rule: ComponentRule, values: list[int], voxel_volume_mm3: float) -> None:
    """Apply one rule to the layers (layers, K, J, I) themselves."""
    box = _bounding_box(np.isin(layers, values).any(axis=0))
    if box is None:
        return
    part = layers[(slice(None), *box)]
    is_meant = np.isin(part, values)
    together = is_meant.any(axis=0)
    components, _ = ndimage.label(together, _STRUCTURES[rule.connectivity])
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    is_kept = sizes == sizes.max()
    if rule.keep_from_mm3 is not None:
        is_kept |= sizes * voxel_volume_mm3 >= rule.keep_from_mm3
    part[is_meant & ~is_kept[components]] = 0


def _bounding_box(mask_kji: np.ndarray) -> tuple[slice, ...] | None:
    """Slices around the mask, one voxel wider so that components and holes see their surroundings; None for an empty mask."""
    boxes = ndimage.find_objects(mask_kji.astype(np.uint8))
    if not boxes:
        return None
    return tuple(slice(max(0, s.start - 1), s.stop + 1) for s in boxes[0])
