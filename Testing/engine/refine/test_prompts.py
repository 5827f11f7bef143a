"""Prompts: what is accepted, and that nothing can be changed behind a session's back."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.refine import Prompts
from mednextseg.refine.loading import load_prompter
from mednextseg.refine.prompter import obey_prompts, scaled_to_display
from mednextseg.refine.prompters.prompt_channels import prompt_channels

_EDGE = st.floats(-1000, 1000, allow_nan=False)


@given(st.tuples(_EDGE, _EDGE, _EDGE, _EDGE))
def test_box_corners_are_sorted_whichever_two_are_given(edges):
    r0, c0, r1, c1 = edges
    if r0 == r1 or c0 == c1:
        with pytest.raises(ValueError, match="no area"):
            Prompts(box=edges)
        return
    box = Prompts(box=edges).box
    assert box[0] < box[2] and box[1] < box[3]
    assert np.array_equal(box, Prompts(box=(r1, c0, r0, c1)).box)
    assert np.array_equal(box, Prompts(box=(r1, c1, r0, c0)).box)


@pytest.mark.parametrize(
    "wrong",
    [
        {"points_rc": [[1, 2]], "labels": []},
        {"points_rc": [[1, np.nan]], "labels": [1]},
        {"points_rc": [[1, 2]], "labels": [2]},
        {"box": [0, 0, np.inf, 1]},
        {"box": [0, 0, 1]},
        {"mask": np.full((4, 4), -3.0)},
        {"mask": np.zeros((2, 2, 2))},
    ],
)
def test_senseless_prompts_are_refused_with_a_sentence(wrong):
    with pytest.raises(ValueError, match=r"\w+ \w+ .*[.]$"):
        Prompts(**wrong)


def test_prompts_do_not_share_memory_with_what_they_were_made_from():
    points, mask = np.array([[1.0, 2.0]]), np.zeros((3, 3), np.float32)
    prompts = Prompts(points, [1], None, mask)
    points[0, 0], mask[0, 0] = 9, 1
    assert prompts.points_rc[0, 0] == 1 and prompts.mask[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        prompts.points_rc[0, 0] = 5


def test_points_come_and_go_without_changing_the_others():
    prompts = Prompts().with_point((1, 2), True).with_point((3, 4), False).with_point((5, 6), True)
    assert prompts.without_point(1).points_rc.tolist() == [[1, 2], [5, 6]]
    assert prompts.without_point(1).labels.tolist() == [1, 1]
    assert prompts.labels.tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="no point 3"):
        prompts.without_point(3)


def test_the_channels_hold_the_prompts_where_they_were_given():
    previous = np.linspace(0, 1, 600).reshape(20, 30)
    clicks, labels, box = np.array([[5, 7], [12, 20]]), np.array([1, 0]), (2, 3, 6, 9)
    channels = prompt_channels(np.full((20, 30), 0.5), clicks, labels, box, previous, 2.0)
    assert channels.shape == (5, 20, 30) and np.abs(channels[0]).max() == 0
    assert channels[1, 5, 7] == 1 and channels[1, 5, 9] == 1 and channels[1, 5, 10] == 0 and channels[1, 12, 20] == 0
    assert channels[2, 12, 20] == 1 and channels[2].sum() == channels[1].sum()
    assert np.array_equal(np.argwhere(channels[3])[[0, -1]], [[2, 3], [5, 8]]) and channels[3].sum() == 4 * 6
    assert np.array_equal(channels[4], previous.astype(np.float32))
    assert not prompt_channels(np.full((20, 30), 0.5), clicks[:0], labels[:0], None, None, 2.0).any()


def test_a_click_and_a_box_beyond_the_edge_draw_only_what_is_inside():
    channels = prompt_channels(np.zeros((8, 8)), np.array([[-1, 3], [40, 40]]), np.array([1, 1]), (-5, -5, 3, 30), None, 2.0)
    assert channels[1].sum() > 0 and channels[1, 4:].sum() == 0
    assert channels[3].sum() == 3 * 8


def test_the_displayed_range_decides_what_is_black_and_white():
    image = np.array([[0.0, 50.0], [100.0, 200.0]])
    assert scaled_to_display(image, (50, 100)).tolist() == [[0, 0], [1, 1]]
    assert scaled_to_display(np.full((4, 4), 7.0), None).max() == 0
    with_hole = image.copy()
    with_hole[0, 0] = np.nan
    assert np.isfinite(scaled_to_display(with_hole, None)).all()
    with pytest.raises(ValueError, match="no finite"):
        scaled_to_display(np.full((2, 2), np.nan), None)
    with pytest.raises(ValueError, match="rows, cols"):
        scaled_to_display(np.zeros((2, 2, 2)), None)


def test_clicked_pixels_get_what_the_user_said():
    result = obey_prompts(np.full((4, 4), 0.5, np.float32), Prompts([[0, 0], [3.4, 2.6], [9, 9]], [1, 0, 1]))
    assert result[0, 0] == 1 and result[3, 3] == 0 and (result == 0.5).sum() == 14


def test_an_unknown_prompter_is_refused_by_naming_those_there_are():
    with pytest.raises(ValueError, match="random_walker"):
        load_prompter("no such thing")


def test_the_light_modules_import_neither_torch_nor_scipy():
    modules = "mednextseg.refine, mednextseg.refine.prompts, mednextseg.refine.slices.slice_plane, mednextseg.refine.journal"
    code = f"import sys, {modules}; print([m for m in ('torch', 'scipy', 'SimpleITK') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == "[]"
