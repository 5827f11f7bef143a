"""Boxes around coarse labels hold every voxel of them on any grid, unite where they overlap, and notice when they cut a result off."""

from itertools import combinations

import numpy as np
from geometries import geometries
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import ball

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.segment.windows.coarse_to_fine import FoundRegion, faces_touched, regions_around, united

LABELS = [Label(value, name, (0, 0, 0)) for value, name in ((1, "left kidney"), (2, "right kidney"), (5, "spleen"))]
_CORNER = st.tuples(*[st.floats(-60, 60)] * 3)


@st.composite
def boxes(draw: st.DrawFn) -> list[FoundRegion]:
    regions = []
    for number in range(draw(st.integers(0, 7))):
        low, size = draw(_CORNER), draw(st.tuples(*[st.floats(1, 50)] * 3))
        high = tuple(a + b for a, b in zip(low, size, strict=True))
        regions.append(FoundRegion((f"structure {number}",), low, high, draw(st.sampled_from([None, "left", "right"]))))
    return regions


def holds(outer: FoundRegion, inner: FoundRegion) -> bool:
    return bool((np.array(outer.low_ras) <= inner.low_ras).all() and (np.array(outer.high_ras) >= inner.high_ras).all())


@given(geometries(), st.integers(0, 2**32 - 1), st.floats(1, 30))
def test_a_box_holds_every_voxel_of_its_label_on_any_oblique_grid(geometry: Geometry, seed: int, margin_mm: float) -> None:
    labelmap = np.random.default_rng(seed).choice([0, 0, 0, 1, 2, 3], geometry.shape_kji)
    found = regions_around(labelmap, geometry, LABELS, margin_mm)
    assert set(found) == {label.name for label in LABELS if (labelmap == label.value).any()}
    for label in LABELS:
        if label.name in found:
            region, voxels = found[label.name], labelmap == label.value
            assert region.roi.mask(geometry)[voxels].all()
            points = geometry.ras_from_ijk(np.argwhere(voxels)[:, ::-1])
            np.testing.assert_allclose(region.low_ras, points.min(axis=0) - margin_mm, atol=1e-9)
            np.testing.assert_allclose(region.high_ras, points.max(axis=0) + margin_mm, atol=1e-9)


@given(boxes(), st.randoms(use_true_random=False))
def test_united_boxes_are_apart_hold_all_and_do_not_depend_on_the_order(regions: list[FoundRegion], random: object) -> None:
    apart = united(regions)
    assert not any(a.overlaps(b) for a, b in combinations(apart, 2) if a.side == b.side)
    for region in regions:
        (home,) = [other for other in apart if region.names[0] in other.names]
        assert holds(home, region) and home.side == region.side
    assert sorted(name for region in apart for name in region.names) == sorted(region.names[0] for region in regions)
    random.shuffle(regions)
    corners = [{(r.low_ras, r.high_ras, r.side, frozenset(r.names)) for r in united(order)} for order in (regions, apart)]
    assert corners[0] == corners[1] == {(r.low_ras, r.high_ras, r.side, frozenset(r.names)) for r in apart}


@given(geometries(), st.integers(0, 2), st.booleans())
def test_a_face_that_cuts_a_result_off_is_told_and_one_beyond_the_volume_is_not(
    geometry: Geometry, axis: int, high: bool
) -> None:
    corners = geometry.corners_ras()
    low_ras, high_ras = corners.min(axis=0), corners.max(axis=0)
    everywhere = FoundRegion(("all",), tuple(low_ras - 1), tuple(high_ras + 1))
    assert not faces_touched(np.ones(geometry.shape_kji, bool), geometry, everywhere).any()
    faces = np.zeros((2, 3), dtype=bool)
    faces[int(high), axis] = True
    cut = everywhere.enlarged(faces, -1 - 0.5 * (high_ras - low_ras)[axis])  # half of the volume along one axis
    mask = cut.roi.mask(geometry)
    assert np.array_equal(faces_touched(mask, geometry, cut), faces if mask.any() else np.zeros((2, 3), bool))
    assert not faces_touched(np.zeros(geometry.shape_kji, bool), geometry, cut).any()


def test_a_result_with_room_touches_nothing() -> None:
    geometry = Geometry((30, 30, 30), np.diag([0.8, 1.1, 1.5, 1.0]))
    mask = ball((30, 30, 30), (15, 15, 15), (5, 5, 5))
    region = regions_around(mask, geometry, LABELS[:1], 2.0)["left kidney"]
    assert not faces_touched(mask, geometry, region).any()
    assert faces_touched(mask, geometry, region.enlarged(np.ones((2, 3), bool), -1.5)).all()
