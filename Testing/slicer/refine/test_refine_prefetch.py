"""In idle moments the slices next to the one worked on are encoded, so that the first click on them need not wait."""

import numpy as np
import pytest
import slicer
import torch

from mednextseg.networks.sam_med2d import build_sam_med2d
from mednextseg.refine.prompters.random_walker import RandomWalkerPrompter
from mednextseg.refine.prompters.sam_med2d import SamPrompter
from MedNeXtSegmentLib.Refine.RefineSession import RefineSession
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory


class CountingPrompter(SamPrompter):
    """A small SAM with random weights that counts the slices it encodes."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(build_sam_med2d(64, adapters=False), "sam", "0" * 64)
        self.encoded = 0

    def encode(self, image_rc, spacing_rc_mm=(1.0, 1.0), display_range=None):
        self.encoded += 1
        return super().encode(image_rc, spacing_rc_mm, display_range)


@pytest.fixture
def startSession(host):
    sessions = []

    def start(prompter):
        volume = slicer.util.addVolumeFromArray(np.random.default_rng(0).normal(100, 10, (12, 30, 30)).astype(np.float32))
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        segmentation.CreateDefaultDisplayNodes()
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        segmentation.GetSegmentation().AddEmptySegment("object", "object")
        sessions.append(RefineSession(volume, segmentation, "object", prompter, EditHistory()))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


def test_neighbors_are_encoded_one_at_a_time_and_a_click_there_finds_them(startSession):
    prompter = CountingPrompter()
    session = startSession(prompter)
    assert not session.prefetch()  # there is no slice yet
    session.addPoint((15, 15, 6), plane=(0, 0, 1))
    assert prompter.encoded == 1
    assert [session.prefetch() for _ in range(5)] == [True] * 4 + [False]
    assert prompter.encoded == 5
    session.addPoint((15, 15, 7), plane=(0, 0, 1))
    assert prompter.encoded == 5
    assert len(session.journal.entries) == 2  # prefetching is no action of the user
    session.close()
    assert not session.prefetch()


def test_a_prompter_that_sees_the_slice_itself_has_nothing_to_fetch(startSession):
    session = startSession(RandomWalkerPrompter())
    session.addPoint((15, 15, 6), plane=(0, 0, 1))
    assert not session.prefetch()
