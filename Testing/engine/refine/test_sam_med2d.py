"""SAM-Med2D equals the official program on the goldens, and every trap of the official code is stepped around.

The traps are numbered as in the project's notes on the official repository (commit bfd2b93).
"""

import json
import os
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch

from mednextseg.networks.sam_med2d import build_sam_med2d
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.prompters.sam_med2d import SamPrompter, layout_of, network_input

_HASH = "0" * 64


@pytest.fixture(scope="module")
def official(golden):
    """The goldens, and the network filled by their rule."""
    folder = golden / "sam_med2d"
    sys.path.insert(0, str(golden))
    import golden_weights

    tensors = json.loads((folder / "tensors.json").read_text())["tensors"]
    with torch.device("meta"):
        network = build_sam_med2d()
    network.to_empty(device="cpu")
    names = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    shapes = _shapes(tensors)
    assert names == shapes
    network.load_state_dict({name: torch.from_numpy(golden_weights.tensor(name, shape)) for name, shape in shapes.items()})
    manifest = json.loads((folder / "manifest.json").read_text())
    return network.eval(), manifest["cases"], {n: dict(np.load(folder / f"{n}.npz")) for n in ("image1", "predictor1")}


def _shapes(tensors):
    if isinstance(tensors, dict):
        return {name: list(shape) for name, shape in tensors.items()}
    return {entry["name"]: list(entry["shape"]) for entry in tensors}


def _assert_close(mine, reference, tolerances):
    difference = np.asarray(mine, np.float64) - reference
    assert np.abs(difference).max() <= tolerances["suggested_atol_max"]
    assert np.sqrt((difference**2).mean()) <= tolerances["suggested_atol_rms"]


@pytest.fixture(scope="module")
def encoded(official):
    network, _, data = official
    with torch.inference_mode():
        return network.image_encoder(network_input(data["image1"]["image"], "sam_med2d", 256)[0])


@pytest.fixture(scope="module")
def predictor(official):
    """The prompter around the official weights, and its embedding of the golden 320 x 240 image."""
    network, _, data = official
    prompter = SamPrompter(network, "sam_med2d", _HASH)
    # The golden feeds its array as it is; the prompter turns RGB into the BGR of the training data, so it gets the mirror.
    return prompter, prompter.encode(data["predictor1"]["image"][..., ::-1])


def test_the_image_embedding_is_the_official_one(official, encoded):
    _, cases, data = official
    _assert_close(encoded.numpy(), data["image1"]["embedding"], cases["image1"]["embedding"])


@pytest.mark.parametrize("prompt", ["a", "c"], ids=["point", "box"])
def test_masks_and_scores_are_the_official_ones(official, encoded, prompt):
    network, cases, data = official
    given, expected = data["image1"], cases["image1"]["outputs"][prompt]
    points = box = None
    if prompt == "a":
        points = torch.from_numpy(given["a/point_coords"])[None], torch.from_numpy(given["a/point_labels"])[None]
    else:
        box = torch.from_numpy(given["c/box"])[None]
    with torch.inference_mode():
        sparse, _ = network.prompt_encoder(points, box, None)
        masks, iou = network(encoded, points, box)
    _assert_close(sparse.numpy(), given[f"{prompt}/sparse"], expected["sparse"])
    _assert_close(masks.numpy(), given[f"{prompt}/low_res_masks"], expected["low_res_masks"])
    _assert_close(iou.numpy(), given[f"{prompt}/iou"], expected["iou"])


def test_the_whole_predictor_gives_the_official_masks_in_two_rounds(official, predictor):
    """Traps 1 and 2: the second round gets probabilities, and the best of three masks is kept."""
    _, _, data = official
    given, (prompter, embedding) = data["predictor1"], predictor
    assert np.abs(embedding.features.embedding.float().numpy() - given["embedding"]).max() < 4e-3  # kept in half precision
    state = None
    for number in ("0", "1"):
        prompts = Prompts(given[f"{number}/point_coords"][:, ::-1], given[f"{number}/point_labels"])
        result = prompter.predict(embedding, prompts, state)
        state = result.state
        assert np.abs(state[0].numpy() - given[f"{number}/low_res"]).max() < 2e-2
        assert result.score == pytest.approx(float(given[f"{number}/iou"][0]), abs=2e-3)
        logits = given[f"{number}/logits_full"][0].astype(np.float32)
        certain = np.abs(logits) > 0.05
        certain[tuple(np.floor(prompts.points_rc + 0.5).astype(int).T)] = False  # the user's word, not the network's
        assert np.array_equal(result.mask[certain], (given[f"{number}/mask"][0] > 0)[certain])


def test_trap_1_a_mask_prompt_is_a_small_map_of_probabilities(official):
    prompter = SamPrompter(official[0], "sam_med2d", _HASH)
    mask = np.zeros((320, 240), np.float32)
    mask[:, :120] = 1
    small = prompter._mask(Prompts(mask=mask), None, (256 / 320, 256 / 240))
    assert small.shape == (1, 1, 64, 64) and small.min() == 0 and small.max() == 1 and small.mean() == pytest.approx(0.5)
    logits = torch.full((1, 1, 64, 64), 2.0)
    assert torch.allclose(prompter._mask(Prompts(mask=mask), logits, (1, 1)), torch.sigmoid(logits))


def test_trap_2_the_untrained_single_mask_is_never_used(official, predictor, monkeypatch):
    prompter, embedding = predictor
    asked = []
    forward = type(prompter.network).forward
    monkeypatch.setattr(
        type(prompter.network), "forward", lambda *a, **k: asked.append(k["multimask_output"]) or forward(*a, **k)
    )
    prompter.predict(embedding, Prompts([[50, 60], [80, 90], [200, 100]], [1, 1, 0]))
    prompter.predict(embedding, Prompts(box=[10, 20, 200, 180]))
    assert asked == [True, True]


def test_trap_3_prompting_leaves_the_network_as_it_was(official, predictor):
    network, (prompter, embedding) = official[0], predictor
    before = {name: (id(p), p.clone()) for name, p in network.prompt_encoder.named_parameters()}
    first = prompter.predict(embedding, Prompts([[50, 60]], [1]))
    second = prompter.predict(embedding, Prompts([[50, 60]], [1]))
    assert np.array_equal(first.probability, second.probability)
    for name, p in network.prompt_encoder.named_parameters():
        assert id(p) == before[name][0] and torch.equal(p, before[name][1])


def test_trap_4_a_cached_embedding_keeps_no_graph(predictor):
    features = predictor[1].features
    assert features.embedding.grad_fn is None and not features.embedding.requires_grad
    assert features.embedding.dtype == torch.float16 and features.nbytes == 256 * 16 * 16 * 2


@pytest.mark.parametrize("shape", [(155, 225), (181, 258), (33, 400), (256, 256), (512, 511)])
def test_trap_5_every_shape_is_stretched_and_coordinates_follow_by_axis(shape):
    image = np.zeros((*shape, 3), np.float32)
    row, col = shape[0] * 2 // 3, shape[1] // 3
    image[row : row + max(2, shape[0] // 100), col : col + max(2, shape[1] // 100)] = 255
    inputs, scale = network_input(image, "sam_med2d", 256)
    assert inputs.shape == (1, 3, 256, 256)
    bright = np.argwhere(inputs[0, 0].numpy() > 0)
    assert np.allclose(bright.min(axis=0), np.array([row, col]) * scale, atol=1.0 * max(1, *scale))


def test_trap_6_colors_are_turned_to_blue_first_and_gray_is_untouched(official, monkeypatch):
    seen = []
    network = official[0]
    prompter = SamPrompter(network, "sam_med2d", _HASH)
    monkeypatch.setattr(type(network.image_encoder), "forward", lambda self, x: seen.append(x) or torch.zeros(1, 256, 16, 16))
    red = np.zeros((256, 256, 3), np.uint8)
    red[..., 0] = 255
    prompter.encode(red)
    prompter.encode(np.tile(np.arange(256.0), (256, 1)))
    assert seen[0][0, 2].min() > 2 and seen[0][0, 0].max() < -2
    means, deviations = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    gray = seen[1][0, :, 0, 200] * deviations + means
    assert torch.allclose(gray, gray[0].expand(3), atol=1e-2)


def test_trap_7_several_prompts_get_each_their_own_best_mask(official, encoded):
    network = official[0]
    boxes = torch.tensor([[10.0, 20, 200, 180], [100, 100, 140, 150]])
    with torch.inference_mode():
        both, both_iou = network(encoded, boxes=boxes)
        single = [network(encoded, boxes=box[None]) for box in boxes]
    for n, (masks, iou) in enumerate(single):
        assert torch.allclose(both[n], masks[0], atol=1e-4) and torch.allclose(both_iou[n], iou[0], atol=1e-5)


def test_trap_8_the_mask_comes_back_on_the_pixels_of_the_slice(predictor, official):
    prompter, embedding = predictor
    result = prompter.predict(embedding, Prompts([[50, 60]], [1]))
    assert result.probability.shape == (320, 240) and result.state.shape == (1, 1, 64, 64)


def _small_checkpoint(tmp_path, tensors, name="weights.pth", wrapped=False):
    path = tmp_path / name
    content = OrderedDict((key, torch.zeros(shape)) for key, shape in tensors.items())
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    torch.save({"model": content, "optimizer": optimizer} if wrapped else content, path)
    return path


_MINIMAL = {"image_encoder.pos_embed": (1, 16, 16, 768), "mask_decoder.mask_tokens.weight": (4, 256)}


def test_trap_9_a_checkpoint_that_does_not_fit_is_refused_by_the_missing_name(tmp_path):
    path = _small_checkpoint(tmp_path, {**_MINIMAL, "image_encoder.blocks.0.Adapter.norm.weight": (768,)}, wrapped=True)
    with pytest.raises(ValueError, match="is missing"):
        load_prompter(path)


def test_trap_9_other_files_are_told_apart_by_their_tensors(tmp_path):
    with pytest.raises(ValueError, match="no SAM-Med2D, SAM or MedSAM"):
        load_prompter(_small_checkpoint(tmp_path, {"conv.weight": (3, 3)}))
    large = {**_MINIMAL, "image_encoder.pos_embed": (1, 64, 64, 1280)}
    with pytest.raises(ValueError, match="only ViT-B"):
        load_prompter(_small_checkpoint(tmp_path, large))
    ambiguous = {**_MINIMAL, "image_encoder.pos_embed": (1, 64, 64, 768)}
    with pytest.raises(ValueError, match="say which"):
        load_prompter(_small_checkpoint(tmp_path, ambiguous))
    with pytest.raises(ValueError, match="leave it out"):
        load_prompter(_small_checkpoint(tmp_path, _MINIMAL), family="medsam")


def test_trap_10_no_foreign_imaging_packages_are_imported():
    foreign = {"torchvision", "cv2", "skimage", "albumentations", "segment_anything", "apex"}
    code = "import sys, mednextseg.refine.prompters.sam_med2d; print(*{name.split('.')[0] for name in sys.modules})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert not foreign & set(run.stdout.split())


def test_the_official_checkpoint_layout_is_read_without_running_its_optimizer(tmp_path):
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build_sam_med2d().state_dict().items()}
    # One stored number for each tensor keeps the file small; its names and shapes are the official ones.
    tensors = {name: torch.tensor(float(n)).expand(shape) for n, (name, shape) in enumerate(shapes.items())}
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    torch.save({"model": OrderedDict(tensors), "optimizer": optimizer}, tmp_path / "sam-med2d_b.pth")
    prompter = load_prompter(tmp_path / "sam-med2d_b.pth")
    assert prompter.info.name == "sam_med2d" and prompter.info.needs_encode and len(prompter.info.model_hash) == 64
    for n, (name, tensor) in enumerate(prompter.network.state_dict().items()):
        assert tensor.min() == tensor.max() == n, name


def test_sam_has_the_layout_of_1024_pixels_without_adapters():
    with torch.device("meta"):
        tensors = build_sam_med2d(1024, adapters=False).state_dict()
    assert layout_of(tensors) == (1024, False)
    assert len(tensors) == 314
    assert tensors["image_encoder.pos_embed"].shape == (1, 64, 64, 768)
    assert tensors["image_encoder.blocks.2.attn.rel_pos_h"].shape == (127, 64)


def test_medsam_is_fed_its_own_way_and_takes_boxes_only():
    image = np.random.default_rng(0).uniform(40, 90, (200, 300, 3)).astype(np.float32)
    inputs, scale = network_input(image, "medsam", 1024)
    assert inputs.shape == (1, 3, 1024, 1024) and inputs.min() == 0 and inputs.max() == 1
    assert scale == (1024 / 200, 1024 / 300)
    padded, scale = network_input(image, "sam", 1024)
    assert scale == (683 / 200, 1024 / 300) and padded[..., 683:, :].abs().max() == 0 and padded[..., :683, :].abs().min() > 0
    prompter = SamPrompter(build_sam_med2d(64, adapters=False), "medsam", _HASH)
    embedding = prompter.encode(image[..., 0])
    assert prompter.predict(embedding, Prompts(box=[20, 30, 90, 200])).probability.shape == (200, 300)
    with pytest.raises(ValueError, match="boxes only"):
        prompter.predict(embedding, Prompts([[50, 60]], [1]))


def test_a_small_sam_answers_every_kind_of_prompt():
    torch.manual_seed(0)
    prompter = SamPrompter(build_sam_med2d(64, adapters=False), "sam", _HASH)
    embedding = prompter.encode(np.random.default_rng(0).random((50, 80)))
    first = prompter.predict(embedding, Prompts([[20, 30]], [1]))
    second = prompter.predict(embedding, Prompts([[20, 30], [5, 5]], [1, 0], mask=first.probability), first.state)
    assert first.mask[20, 30] and not second.mask[5, 5]
    assert first.state.shape == (1, 1, 16, 16)
    assert 0 <= second.score <= 1
