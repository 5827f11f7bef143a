"""Views of a window come back as they went, and averaging over them changes nothing that it should not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_mednext

from mednextseg import segment
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.network_run import sliding_window_for
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.mirrored_views import MirroredView, mirror_views, named_view, views_for
from mednextseg.segment.windows.sliding_window import SlidingWindow, WindowCount, predict_slabs

MEDISEG = ("mirror_k", "mirror_j", "mirror_i", "rot90_ji", "rot180_ji", "rot270_ji")
OTHERS = ("mirror_kj", "mirror_kji", "rot90_kj", "rot270_ki")
CUBE = SlidingWindow((16, 16, 16))


def averaged(image: np.ndarray, network: torch.nn.Module, outputs: int, **changes: object) -> torch.Tensor:
    slabs = predict_slabs(image, [lambda: network], outputs, replace(CUBE, **changes), WindowCount())
    return torch.cat([values for _, values in slabs], dim=1)


@pytest.mark.parametrize("name", [*MEDISEG, *OTHERS])
@settings(max_examples=20)
@given(shape=st.tuples(*[st.integers(1, 6)] * 5))
def test_undoing_a_view_gives_the_window_back(name: str, shape: tuple) -> None:
    window = torch.arange(float(np.prod(shape))).reshape(shape)
    view = named_view(name)
    assert torch.equal(view.undo(view.apply(window)), window)


def test_a_name_says_what_is_turned() -> None:
    window = torch.arange(27.0).reshape(3, 3, 3)
    assert torch.equal(named_view("mirror_ki").apply(window), window.flip(0, 2))
    assert torch.equal(named_view("rot90_ji").apply(window)[0], torch.rot90(window[0]))
    assert torch.equal(named_view("rot180_kj").apply(window), window.flip(0, 1))
    assert named_view("mirror_ik") == named_view("mirror_ki")
    assert named_view("flip_ki") == named_view("mirror_ki")  # as recipes named it before
    for name in ("mirror_x", "mirror_kk", "rot45_ji", "rot90_jj", "rot90", ""):
        with pytest.raises(ValueError, match="there is no view"):
            named_view(name)


class Blur(torch.nn.Module):
    """Two classes from a blur that treats all directions alike: what a network that is equivariant would do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        smooth = F.conv3d(F.pad(x, (1,) * 6, mode="replicate"), torch.full((1, 1, 3, 3, 3), 1 / 27))
        return torch.cat([smooth, x - smooth], dim=1)


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_an_equivariant_network_gains_and_loses_nothing(average: str) -> None:
    image = np.random.default_rng(0).normal(size=(1, 20, 16, 24)).astype(np.float32)
    views = (MirroredView(), *map(named_view, MEDISEG))
    alone = averaged(image, Blur(), 2, average=average)
    assert (averaged(image, Blur(), 2, average=average, views=views) - alone).abs().max() < 1e-6
    assert (averaged(image, torch.nn.Identity(), 1, views=views) - torch.from_numpy(image)).abs().max() < 1e-6


class Sides(torch.nn.Module):
    """Background, left and right, by where a voxel lies along I: mirrored, it takes one side for the other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = torch.linspace(1, 0, x.shape[-1])
        return torch.cat([x.square(), x * left, x * left.flip(0)], dim=1)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_sides_change_back_in_a_mirrored_view(tiny_model: LoadedModel, activation: str) -> None:
    names = ["left", "right"] if activation == "softmax" else ["middle", "left", "right"]
    labels = tuple(Label(value, name, (value, 0, 0)) for value, name in enumerate(names, start=1))
    card = replace(tiny_model.card, labels=labels, activation=activation, mirror_axes_kji=(0, 2), orientation="LPS")
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float32)
    alone = averaged(image, Sides(), 3)
    assert not torch.allclose(averaged(image, Sides(), 3, views=views_for(card, None)), alone, atol=0.1)
    sided = replace(card, exchanged_sides=(("left", "right"),))
    assert torch.allclose(averaged(image, Sides(), 3, views=views_for(sided, None)), alone, atol=1e-5)
    assert torch.allclose(averaged(image, Sides(), 3, views=views_for(sided, ["mirror_i"])), alone, atol=1e-5)


def test_a_real_network_is_averaged_over_its_turned_copies() -> None:
    network = tiny_mednext()
    image = np.random.default_rng(0).normal(size=(1, 16, 32, 32)).astype(np.float32)
    x = torch.from_numpy(image)[None]
    with torch.no_grad():
        turned = sum(torch.rot90(network(torch.rot90(x, n, (3, 4))), -n, (3, 4)) for n in range(4)) / 4
    views = (MirroredView(), *map(named_view, ("rot90_ji", "rot180_ji", "rot270_ji")))
    assert (averaged(image, network, 3, views=views, patch_kji=(16, 32, 32)) - turned[0]).abs().max() < 1e-5


def test_views_come_from_the_card_unless_the_recipe_names_them(tiny_model: LoadedModel) -> None:
    card = replace(tiny_model.card, mirror_axes_kji=(0, 2), patch_size_kji=(16, 16, 32))
    assert sliding_window_for(card, SegmentRecipe(), "cpu").views == (MirroredView(),)
    assert sliding_window_for(card, SegmentRecipe(tta=True), "cpu").views == mirror_views((0, 2))
    assert [view.mirrored_axes_kji for view in mirror_views((0, 2))] == [(), (0,), (2,), (0, 2)]
    named = SegmentRecipe.from_dict({"tta": True, "tta_views": ["mirror_j", "rot90_kj"]})
    assert sliding_window_for(card, named, "cpu").views == (MirroredView(), MirroredView((1,)), MirroredView((), 1, (0, 1)))
    with pytest.raises(ValueError, match=r"ji plane needs square windows of square pixels; the model's have 16 x 32 voxels"):
        views_for(card, ["rot90_ji"])
    assert len(views_for(card, ["rot180_ji"])) == 2  # a half turn keeps the shape
    with pytest.raises(ValueError, match="1 x 2 mm"):
        views_for(replace(card, spacing_kji_mm=(1.0, 2.0, 1.0)), ["rot90_kj"])


def test_a_run_says_when_its_views_go_beyond_the_card(tiny_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(16, 16, 32)).astype(np.float32)
    model = LoadedModel(tiny_model.folder, replace(tiny_model.card, mirror_axes_kji=(2,)))
    _, allowed = segment(volume, Geometry(volume.shape, np.eye(4)), model, recipe=SegmentRecipe(tta=True))
    assert allowed.notes == [] and allowed.windows.forward_passes == 2
    recipe = SegmentRecipe(tta=True, tta_views=("mirror_k", "rot90_kj"))
    _, beyond = segment(volume, Geometry(volume.shape, np.eye(4)), model, recipe=recipe)
    assert len(beyond.notes) == 1 and "beyond those the model card allows" in beyond.notes[0]
    assert beyond.windows.forward_passes == 3
