"""Undo takes back what one step changed and nothing else, whatever others did to the segmentation since."""

import gc

import numpy as np
import pytest
import slicer
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.Layers import VoxelGrid
from MedNeXtSegmentLib.Scene.Segmentations import writeLabelsToSegmentation
from MedNeXtSegmentLib.Scene.VoxelRuns import VoxelRuns

SHAPE_KJI = (5, 6, 7)
GRID = VoxelGrid(np.eye(4), (0, 6, 0, 5, 0, 4))
NAMES = ("a", "b", "c")


class Segments:
    """A segmentation with some segments on one small grid, some of which may share a labelmap."""

    def __init__(self, *names: str):
        self.volume = slicer.util.addVolumeFromArray(np.zeros(SHAPE_KJI, np.int16))
        self.volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.eye(4)))
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.node.CreateDefaultDisplayNodes()
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        self.segmentation = self.node.GetSegmentation()
        for name in names:
            self.segmentation.AddEmptySegment(name, name)

    def mask(self, name: str) -> np.ndarray:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.node, name, self.volume)
        return np.zeros(SHAPE_KJI, bool) if array is None else array > 0

    def put(self, name: str, mask_kji: np.ndarray) -> None:
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask_kji.astype(np.uint8), self.node, name, self.volume)

    def masks(self) -> dict[str, np.ndarray]:
        return {name: self.mask(name) for name in self.segmentation.GetSegmentIDs()}

    def import_labels(self, labelmap_kji: np.ndarray) -> None:
        labels = [Label(value, name, (10 * value, 0, 0)) for value, name in enumerate(NAMES, 1)]
        writeLabelsToSegmentation(labelmap_kji, Geometry(SHAPE_KJI, np.eye(4)), self.node, labels)


def box(numbers) -> np.ndarray:
    mask = np.zeros(SHAPE_KJI, bool)
    starts, sizes = numbers
    mask[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))] = True
    return mask


boxes = st.tuples(
    st.tuples(*(st.integers(0, n - 2) for n in SHAPE_KJI)), st.tuples(*(st.integers(1, 4) for _ in range(3)))
).map(box)
few = settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
edits = st.tuples(st.sampled_from(NAMES), boxes, st.booleans())
WAYS = ("over others", "beside others", "remove", "replace")
labelmaps = st.tuples(st.integers(0, 2**20), st.sampled_from([0.1, 0.5, 1.0])).map(lambda given: labels_of(*given))
actions = st.one_of(
    st.tuples(st.sampled_from(WAYS), st.sampled_from(NAMES), boxes),
    labelmaps,
    st.just("undo"),
    st.just("undo"),
    st.just("redo"),
)


def labels_of(seed: int, density: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (generator.integers(0, 4, SHAPE_KJI) * (generator.random(SHAPE_KJI) < density)).astype(np.uint8)


def edit_as_slicer_does(segments: Segments, way: str, name: str, mask: np.ndarray) -> None:
    """In the labelmap that the segment shares with others, as the Segment Editor would; "replace" as scripts do."""
    if segments.segmentation.GetSegment(name) is None:
        segments.segmentation.AddEmptySegment(name, name)
    if way == "replace":
        return segments.put(name, mask)
    logic, isRemoved = slicer.vtkSlicerSegmentationsModuleLogic, way == "remove"
    image = GRID.image(np.flatnonzero(mask), isRemoved, (0, 0, 0))
    mode = logic.MODE_MERGE_MIN if isRemoved else logic.MODE_MERGE_MASK
    others = [other for other in segments.segmentation.GetSegmentIDs() if way == "over others" and other != name]
    logic.SetBinaryLabelmapToSegment(image, segments.node, name, mode, image.GetExtent(), False, others)
    return None


def perform(history: EditHistory, segments: Segments, edit, isSparse: bool):
    """As a click does it: add to a segment and take from the others, or remove from it."""
    name, mask, isAdded = edit
    where = (GRID, np.flatnonzero(mask)) if isSparse else ()

    def write():
        for other in NAMES if isAdded else (name,):
            wanted = segments.mask(other)
            wanted[mask] = isAdded and other == name
            segments.put(other, wanted)

    return history.perform(segments.node, write, *where)


def assert_equal(found, expected) -> None:
    assert found.keys() == expected.keys()
    for name, mask in expected.items():
        assert np.array_equal(found[name], mask), name


@given(voxels=st.lists(st.integers(0, 2**40), unique=True).map(sorted))
def test_runs_give_back_their_voxels(voxels) -> None:
    runs = VoxelRuns(np.array(voxels, np.int64))
    assert runs.voxels().tolist() == voxels and len(runs) == len(voxels)
    assert VoxelRuns(np.arange(10**6)).nbytes < 100


@few
@given(steps=st.lists(edits, min_size=1, max_size=4), isSparse=st.booleans(), start=st.integers(0, 2**20))
def test_undo_and_redo_of_any_steps_are_exact(steps, isSparse, start) -> None:
    segments, history = Segments(*NAMES), EditHistory()
    segments.import_labels(np.random.default_rng(start).integers(0, 4, SHAPE_KJI).astype(np.uint8))
    states = [segments.masks()]
    for edit in steps:
        if perform(history, segments, edit, isSparse) is not None:
            states.append(segments.masks())
    for expected in states[-2::-1]:
        assert history.undo(segments.node) == ""
        assert_equal(segments.masks(), expected)
    while history.canRedo(segments.node):
        history.redo(segments.node)
    assert_equal(segments.masks(), states[-1])


@few
@given(todo=st.lists(actions, min_size=3, max_size=12))
def test_undo_and_redo_are_exact_in_shared_and_overlapping_labelmaps(todo) -> None:
    segments, history = Segments("c"), EditHistory()
    states, now = [segments.masks()], 0
    for action in todo:
        if isinstance(action, str):
            place = now - 1 if action == "undo" else now + 1
            if 0 <= place < len(states):
                assert getattr(history, action)(segments.node) == ""
                assert_equal(segments.masks(), states[place])
                now = place
            continue
        if isinstance(action, np.ndarray):
            history.perform(segments.node, lambda labels=action: segments.import_labels(labels))
        else:
            history.perform(segments.node, lambda edit=action: edit_as_slicer_does(segments, *edit))
        now += 1
        states[now:] = [segments.masks()]


def test_undo_and_redo_leave_segments_in_the_labelmap_they_share(host) -> None:
    segments, history = Segments(), EditHistory()
    segments.import_labels(labels_of(0, 1.0))
    count = segments.segmentation.GetNumberOfLayers("Binary labelmap")
    history.perform(segments.node, lambda: segments.import_labels(labels_of(1, 1.0)))
    history.undo(segments.node)
    history.redo(segments.node)
    assert segments.segmentation.GetNumberOfLayers("Binary labelmap") == count == 1


@few
@given(edit=edits, other=edits, start=st.integers(0, 2**20))
def test_what_others_changed_since_survives_undo(edit, other, start) -> None:
    segments, history = Segments(*NAMES), EditHistory()
    segments.import_labels(np.random.default_rng(start).integers(0, 4, SHAPE_KJI).astype(np.uint8))
    before = segments.masks()
    step = perform(history, segments, edit, isSparse=True)
    after = segments.masks()
    perform(EditHistory(), segments, other, isSparse=True)  # somebody else
    now = segments.masks()
    if step is None:
        return
    try:
        history.undo(segments.node)
    except ValueError as error:
        assert "changed again since" in str(error)
    found = segments.masks()
    isTouched = np.any([after[name] != now[name] for name in NAMES], axis=0)
    for name in NAMES:
        assert np.array_equal(found[name][isTouched], now[name][isTouched]), name
        assert np.array_equal(found[name][~isTouched], before[name][~isTouched]), name


def test_segments_painted_added_renamed_reordered_and_removed_meanwhile_survive(host) -> None:
    segments, history = Segments(*NAMES), EditHistory()
    first, second = box(((0, 0, 0), (2, 2, 2))), box(((3, 3, 3), (2, 2, 2)))
    perform(history, segments, ("a", first, True), isSparse=True)
    segments.put("b", second)
    segments.segmentation.AddEmptySegment("d", "d")
    segments.segmentation.GetSegment("b").SetName("liver")
    segments.segmentation.RemoveSegment("c")
    segments.segmentation.SetSegmentIndex("b", 0)
    assert history.undo(segments.node) == ""
    assert list(segments.segmentation.GetSegmentIDs()) == ["b", "a", "d"]
    assert segments.segmentation.GetSegment("b").GetName() == "liver"
    assert np.array_equal(segments.mask("b"), second) and not segments.mask("a").any()


def test_a_run_that_made_segments_is_undone_and_redone_but_not_what_was_painted_into_them(host) -> None:
    segments, history = Segments("mine"), EditHistory()
    mine = box(((0, 0, 0), (2, 2, 2)))
    segments.put("mine", mine)
    labelmap = np.zeros(SHAPE_KJI, np.uint8)
    labelmap[1:3, 1:4, 1:4], labelmap[3:5, 3:6, 3:6] = 1, 2
    history.perform(segments.node, lambda: segments.import_labels(labelmap))
    names = [segments.segmentation.GetNthSegment(n).GetName() for n in range(segments.segmentation.GetNumberOfSegments())]
    assert names == ["mine", "a", "b", "c"]
    a, b = (segments.segmentation.GetSegmentIdBySegmentName(name) for name in "ab")
    segments.segmentation.GetSegment(a).SetName("renamed")
    assert history.undo(segments.node) == "" and list(segments.segmentation.GetSegmentIDs()) == ["mine"]
    assert np.array_equal(segments.mask("mine"), mine)
    assert history.redo(segments.node) == ""
    assert segments.segmentation.GetSegment(a).GetName() == "renamed"
    assert np.array_equal(segments.mask(a), labelmap == 1) and np.array_equal(segments.mask(b), labelmap == 2)
    corner = box(((4, 0, 0), (1, 1, 1)))
    segments.put(a, segments.mask(a) | corner)
    history.undo(segments.node)
    assert list(segments.segmentation.GetSegmentIDs()) == ["mine", a]
    assert np.array_equal(segments.mask(a), corner)


def test_of_two_that_edit_in_turn_each_takes_back_its_own(host) -> None:
    segments, history = Segments(*NAMES), EditHistory()
    whole, half = box(((0, 0, 0), (4, 4, 4))), box(((0, 0, 0), (4, 4, 2)))
    mine = perform(history, segments, ("a", whole, True), isSparse=True)
    theirs = perform(history, segments, ("b", half, True), isSparse=True)
    history.undo(segments.node, mine)
    assert not segments.mask("a").any() and np.array_equal(segments.mask("b"), half)
    assert history.canUndo(segments.node, theirs) and not history.canUndo(segments.node, mine)
    history.undo(segments.node, theirs)
    assert not segments.mask("a").any() and not segments.mask("b").any()


def test_an_action_that_fails_leaves_nothing(host) -> None:
    segments, history = Segments(*NAMES), EditHistory()

    def fail():
        segments.put("a", box(((0, 0, 0), (2, 2, 2))))
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk"):
        history.perform(segments.node, fail)
    assert not segments.mask("a").any() and not history.canUndo(segments.node)


def test_steps_are_kept_by_bytes_and_go_with_the_segmentation(host) -> None:
    segments, history = Segments(*NAMES), EditHistory(maximumBytes=400)
    noise = np.random.default_rng(0).random(SHAPE_KJI) < 0.1
    for n in range(6):
        perform(history, segments, ("a", np.roll(noise, n), n % 2 == 0), isSparse=True)
    assert history.nbytes <= 1000  # one step is kept in any case
    assert history.canUndo(segments.node)
    slicer.mrmlScene.RemoveNode(segments.node)
    segments.node = segments.segmentation = None
    assert history.nbytes == 0


def test_a_segmentation_that_the_collector_takes_with_its_history_is_no_crash(host) -> None:
    segments, history = Segments(*NAMES), EditHistory()
    perform(history, segments, ("a", box(((0, 0, 0), (2, 2, 2))), True), isSparse=True)
    together = [history, segments.segmentation]
    together.append(together)
    slicer.mrmlScene.RemoveNode(segments.node)
    del segments, history, together
    gc.collect()


def test_a_frame_with_other_content_is_never_changed_by_undo(host) -> None:
    segments, history = Segments(*NAMES), EditHistory()
    mask = box(((0, 0, 0), (2, 2, 2)))
    perform(history, segments, ("a", mask, True), isSparse=True)
    frame = Segments(*NAMES)
    frame.put("a", mask)
    segments.node.CopyContent(frame.node, True)
    with pytest.raises(ValueError, match="another one now"):
        history.undo(segments.node)
    assert np.array_equal(segments.mask("a"), mask)
    shown, history = Segments(*NAMES), EditHistory()
    perform(history, shown, ("a", mask, True), isSparse=True)
    shown.node.CopyContent(frame.node, False)
    assert not history.canUndo(shown.node)
    assert np.array_equal(shown.mask("a"), mask)
