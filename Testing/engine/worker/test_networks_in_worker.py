"""Networks in a real worker process: the same results as in this process, cancelled between windows, kept loaded."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ball, tiny_mednext, write_package
from two_balls import SHAPE, expected_labels, two_balls, write_chain
from worker_process import WORKER, WorkerByHand

from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import load_model
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.completion.network_input import CHANNELS
from mednextseg.refine.strokes import Stroke
from mednextseg.segment import auto_segmenter
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest

IJK_TO_RAS = np.array([[-1.0, 0, 0, 5], [0, -1.2, 0, 9], [0, 0, 1.5, -3], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_package(folder / "models" / "tiny", tiny_mednext(), ("left", "right"))
    write_chain(folder / "models")
    return folder


@pytest.fixture(scope="module")
def worker(home: Path) -> Iterator[WorkerByHand]:
    running = WorkerByHand(WORKER, {"MEDNEXTSEG_HOME": str(home)})
    yield running
    running.close()


def _volume(shape_kji: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 100, shape_kji).astype(np.int16)


def _open(worker: WorkerByHand, name: str, volume_kji: np.ndarray) -> None:
    answer = worker.ask("open_volume", volume=name, array=worker.arrays.write(volume_kji), ijk_to_ras=IJK_TO_RAS.tolist())
    assert answer["event"] == "result", answer


def test_the_hello_names_every_device(worker: WorkerByHand) -> None:
    assert worker.hello["missing_packages"] == []
    assert worker.hello["torch"]
    assert worker.hello["threads"] == 1  # OMP_NUM_THREADS of this test
    assert [device["id"] for device in worker.hello["devices"]][-1] == "cpu"
    assert all(device["name"] for device in worker.hello["devices"])


def test_a_segmentation_equals_the_one_made_in_this_process(worker: WorkerByHand, home: Path) -> None:
    volume = _volume((20, 30, 40))
    _open(worker, "round trip", volume)
    region, recipe = {"bounds_mm": [-30, 4, -25, 8, -2, 20]}, {"overlap": 0.25}
    request = worker.send(
        "segment", volumes=["round trip"], model="tiny", roi=region, labels=["left"], recipe=recipe, device="cpu"
    )
    value = worker.answer(request)["value"]
    labelmap = worker.arrays.take(value["labelmap"])
    expected, report = auto_segmenter.segment(
        volume,
        Geometry(volume.shape, IJK_TO_RAS),
        load_model(home / "models" / "tiny"),
        RegionOfInterest(tuple(region["bounds_mm"])),
        ["left"],
        SegmentRecipe(**recipe),
        "cpu",
    )
    np.testing.assert_array_equal(labelmap, expected)
    assert (labelmap == 1).any()
    assert value["report"]["volumes_ml"] == pytest.approx(report.volumes_ml)
    assert [label["name"] for label in value["labels"]] == ["left"]
    progress = [m for m in worker.messages if m["id"] == request and m["event"] == "progress"]
    assert {"network", "clean up"} <= {m["phase"] for m in progress}
    assert [m["fraction"] for m in progress] == sorted(m["fraction"] for m in progress)
    assert progress[-1]["phase"] == "clean up"


def test_a_model_that_finds_its_own_regions_says_what_it_holds_and_costs(worker: WorkerByHand) -> None:
    matrix = np.eye(4).tolist()
    worker.ask("open_volume", volume="balls", array=worker.arrays.write(two_balls()), ijk_to_ras=matrix)
    request = {"volumes": ["balls"], "model": "fine", "device": "cpu"}
    value = worker.ask("segment", **request)["value"]
    assert np.array_equal(worker.arrays.take(value["labelmap"]), expected_labels(two_balls()))
    assert [label["name"] for label in value["labels"]] == ["left shell", "left core", "right shell", "right core"]
    plan = worker.ask("plan_segment", panel="p", shape_kji=list(SHAPE), ijk_to_ras=matrix, model="fine")["value"]
    assert plan["coarse_model"] == "coarse" and plan["forward_passes"] == value["report"]["windows"]["forward_passes"]
    slices = worker.ask("review_slices", **request, count=4, gap_mm=3.0)["value"]["slices"]
    assert {item["label"] for item in slices} <= {label["name"] for label in value["labels"]} and len(slices) == 4


def test_clicks_during_a_run_are_answered_between_its_windows_and_change_nothing(worker: WorkerByHand) -> None:
    """The same labels, the same masks; and no click waits for more than a few windows."""
    _open(worker, "busy", _volume((24, 40, 48)))
    request = {"volumes": ["busy"], "model": "tiny", "recipe": {"overlap": 0.5}, "device": "cpu"}
    alone = worker.arrays.take(worker.ask("segment", **request)["value"]["labelmap"])
    image, points = ball((40, 44), (20, 22), (9, 9)).astype(np.float32), {"points_rc": [[20.0, 22.0]], "labels": [1]}
    encode = {"session": "s", "embedding": "e", "prompter": "random_walker", "spacing_rc_mm": [1.0, 1.0]}
    running = worker.send("segment", **request)
    worker.wait_for(lambda m: m["id"] == running and m["event"] == "progress" and m["phase"] == "network")
    assert worker.ask("encode_slice", image=worker.arrays.write(image), **encode)["event"] == "result"
    masks = []
    for _ in range(2):
        value = worker.ask("predict_mask", session="s", embedding="e", **points)["value"]
        masks.append(worker.arrays.take(value["probability"]))
    assert not any(m["id"] == running and m["event"] in ("result", "error") for m in worker.messages)
    np.testing.assert_array_equal(worker.arrays.take(worker.answer(running)["value"]["labelmap"]), alone)
    value = worker.ask("predict_mask", session="s", embedding="e", **points)["value"]
    for mask in [*masks, worker.arrays.take(value["probability"])]:
        np.testing.assert_array_equal(mask, masks[0])


def test_a_model_stays_loaded(worker: WorkerByHand) -> None:
    _open(worker, "again", _volume((16, 16, 32)))
    worker.arrays.take(worker.ask("segment", volumes=["again"], model="tiny")["value"]["labelmap"])
    models = {model["id"]: model for model in worker.ask("list_models")["value"]["models"]}
    assert models["tiny"]["is_loaded"]
    assert [label["name"] for label in models["tiny"]["labels"]] == ["left", "right"]


def test_cancelling_twenty_segmentations_leaves_nothing_behind(worker: WorkerByHand) -> None:
    _open(worker, "long", _volume((96, 96, 96)))
    files = sorted(worker.arrays.folder.iterdir())
    for _ in range(20):
        request = worker.send("segment", volumes=["long"], model="tiny", recipe={"overlap": 0.75})
        worker.wait_for(lambda m, request=request: m["id"] == request and m["event"] == "progress" and m["phase"] == "network")
        worker.cancel(request)
        assert worker.answer(request)["code"] == "cancelled"
    assert sorted(worker.arrays.folder.iterdir()) == files
    assert worker.ask("close_volume", volume="long")["event"] == "result"
    assert len(list(worker.arrays.folder.iterdir())) == len(files) - 1


@pytest.mark.parametrize(
    ("parameters", "code", "text"),
    [
        ({"volumes": ["never sent"], "model": "tiny"}, "unknown_volume", "never sent"),
        ({"volumes": ["small"], "model": "no-such-model"}, "invalid_input", "tiny"),
        ({"volumes": ["small"], "model": "tiny", "recipe": {"overlapp": 0.5}}, "invalid_input", "overlapp"),
        ({"volumes": ["small"], "model": "tiny", "labels": ["middle"]}, "invalid_input", "middle"),
        ({"volumes": ["small"], "model": "tiny", "device": "cuda:99"}, "invalid_input", "cuda:99"),
        ({"volumes": ["small", "small"], "model": "tiny"}, "invalid_input", "channel"),
        ({"volumes": ["small"], "model": "tiny", "color": 1}, "invalid_input", "color"),
    ],
)
def test_a_request_that_cannot_be_fulfilled_gets_one_sentence(worker: WorkerByHand, parameters, code, text) -> None:
    _open(worker, "small", _volume((16, 16, 32)))
    answer = worker.ask("segment", **parameters)
    assert answer["code"] == code
    assert text in answer["message"]


def test_a_volume_must_fit_its_geometry(worker: WorkerByHand) -> None:
    flat = np.zeros((4, 4)).tolist()
    answer = worker.ask("open_volume", volume="flat", array=worker.arrays.write(_volume((4, 4, 4))), ijk_to_ras=flat)
    assert answer["code"] == "invalid_input"


def test_a_whole_object_is_completed_by_the_network_of_the_prompter(worker: WorkerByHand) -> None:
    flat = np.zeros((16, 16), np.float32)
    encode = {"session": "s", "embedding": "e", "spacing_rc_mm": [1.0, 1.0]}
    size = worker.ask("encode_slice", image=worker.arrays.write(flat), prompter="clicknet", **encode)["value"][
        "completion_size"
    ]
    channels = np.random.default_rng(0).normal(size=(len(CHANNELS), size, size, size)).astype(np.float32)
    answer = worker.ask("complete_object", session="s", embedding="e", cube=worker.arrays.write(channels))
    assert answer["event"] == "result", answer
    value = answer["value"]
    expected = load_prompter("clicknet").completion.log_odds(channels)
    np.testing.assert_allclose(worker.arrays.take(value["log_odds"]), expected, atol=1e-3)
    wrong = worker.ask("complete_object", session="s", embedding="e", cube=worker.arrays.write(channels[:, 1:]))
    assert wrong["event"] == "error" and "channels are (5, " in wrong["message"]
    worker.ask("encode_slice", image=worker.arrays.write(flat), prompter="random_walker", **encode)
    none = worker.ask("complete_object", session="s", embedding="e", cube=worker.arrays.write(channels))
    assert none["event"] == "error" and "no network for whole objects" in none["message"]


def test_prompts_give_the_same_probability_as_in_this_process(worker: WorkerByHand) -> None:
    image = ball((1, 64, 80), (0, 30, 40), (1, 14, 18))[0].astype(np.float32) * 200
    image += np.random.default_rng(2).normal(0, 10, image.shape).astype(np.float32)
    array = worker.arrays.write(image)
    encoded = worker.ask(
        "encode_slice", session="s", embedding="slice 1", prompter="random_walker", image=array, spacing_rc_mm=[1.0, 1.5]
    )
    assert encoded["event"] == "result", encoded
    assert encoded["value"]["prompter"]["name"] == "random_walker" and encoded["value"]["completion_size"] == 0
    points, labels = [[30.0, 40.0], [5.0, 5.0]], [1, 0]
    value = worker.ask("predict_mask", session="s", embedding="slice 1", points_rc=points, labels=labels)["value"]
    probability = worker.arrays.take(value["probability"])
    prompter = load_prompter("random_walker")
    expected = prompter.predict(prompter.encode(image, (1.0, 1.5)), Prompts(points, labels)).probability
    np.testing.assert_allclose(probability, expected, atol=1e-6)
    assert probability[30, 40] > 0.5 > probability[5, 5]
    boxed = worker.ask(
        "predict_mask", session="s", embedding="slice 1", box=[10, 20, 50, 60], mask=worker.arrays.write(probability)
    )
    assert worker.arrays.take(boxed["value"]["probability"]).shape == image.shape
    lines = [([[30.0, 28.0], [30.0, 52.0]], True, False), ([[8.0, 5.0], [30.0, 5.0], [8.0, 20.0]], False, True)]
    strokes = [{"points_rc": points, "positive": positive, "lasso": lasso} for points, positive, lasso in lines]
    drawn = worker.ask("predict_mask", session="s", embedding="slice 1", strokes=strokes)["value"]
    expected = prompter.predict(prompter.encode(image, (1.0, 1.5)), Prompts(strokes=[Stroke(*line) for line in lines]))
    np.testing.assert_allclose(worker.arrays.take(drawn["probability"]), expected.probability, atol=1e-6)
    for wrong in ([{"points_rc": [[1, 2]]}], [[1, 2]], [{"points_rc": [[1, 2]], "positive": 1, "lasso": False}]):
        assert worker.ask("predict_mask", session="s", embedding="slice 1", strokes=wrong)["event"] == "error"
    assert worker.ask("forget_slice", embedding="slice 1")["event"] == "result"
    lost = worker.ask("predict_mask", session="s", embedding="slice 1", points_rc=points, labels=labels)
    assert (lost["code"], lost["hint"]) == ("unknown_embedding", "Encode the slice again.")
