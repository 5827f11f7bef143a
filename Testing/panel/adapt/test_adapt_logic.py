"""Cases of the scene teach a model, with a real worker process and a tiny network."""

import json

import pytest

from mednextseg.models.model_card import read_card
from mednextseg.worker import protocol


@pytest.fixture
def base(home):
    return home / "models" / "bright"


@pytest.fixture
def logic(host, worker, clean_panel):
    from MedNeXtSegmentLib.Adapt.AdaptLogic import AdaptLogic

    logic = AdaptLogic(worker)
    yield logic
    logic.close()


def test_cases_of_the_scene_teach_a_model(logic, base, cases, tmp_path) -> None:
    phases = []
    options = {"method": "head", "steps": 1, "held_out": ["Scan 2"]}
    run = logic.adapt(str(base), cases, options, tmp_path / "run", lambda run: phases.append(run.progress.phase))
    logic.wait(run)
    assert run.outcome["cases"] == ["Scan 2"] and "Dice before" in run.table
    assert run.isAccepted == (run.outcome["verdict"] == "accepted")
    assert any("step 1 of 1, loss" in phase for phase in phases)
    card = read_card(run.package)
    assert card.base.id == "bright" and [label.name for label in card.labels] == ["Ball"]
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["steps"] == 1


def test_a_cancelled_adaptation_keeps_its_checkpoint(logic, base, cases, tmp_path) -> None:
    def cancelOnce(run) -> None:
        if "step 1 of" in run.progress.phase:
            run.cancel()

    options = {"method": "head", "steps": 500, "held_out": ["Scan 2"]}
    run = logic.adapt(str(base), cases, options, tmp_path / "run", cancelOnce)
    with pytest.raises(RuntimeError):
        logic.wait(run)
    assert run.error.code == protocol.CANCELLED and run.outcome is None
    assert (tmp_path / "run" / "part_1" / "last.pt").is_file() and not (tmp_path / "run" / "in_use").exists()


def test_what_cannot_be_learned_is_said(logic, base, cases, tmp_path) -> None:
    with pytest.raises(ValueError, match="Give two cases"):
        logic.adapt(str(base), cases[:1])
    with pytest.raises(ValueError, match="Case 2 has no segmentation"):
        logic.adapt(str(base), [cases[0], (cases[1][0], None)])
    cases[1][1].GetSegmentation().AddEmptySegment("", "lamp")
    run = logic.adapt(str(base), cases, {"steps": 1}, tmp_path / "run")
    with pytest.raises(RuntimeError, match="the label lamp is empty in every case"):
        logic.wait(run)


def test_methods_are_compared(logic, base, cases, tmp_path) -> None:
    options = {"steps": 1, "shots": [1], "methods": ["head"], "held_out": ["Scan 2"]}
    run = logic.adapt(str(base), cases, options, tmp_path / "run")
    logic.wait(run)
    assert run.page.is_file() and "head" in run.table and run.package is None and not run.isAccepted
    assert [(cell["method"], cell["shots"]) for cell in run.outcome["cells"]] == [("head", 1)]


def test_pairs_and_volumes_without_labels_go_to_the_engine(logic, base, cases, tmp_path) -> None:
    nowhere = str(tmp_path / "none")
    for given, options, sentence in (
        ([], {"pairs": nowhere}, "pairs need imagesKnown and imagesNew"),
        (cases, {"unlabeled": nowhere, "steps": 1}, "give one with volumes to pre-train on"),
    ):
        run = logic.adapt(str(base), given, options, tmp_path / "run")
        with pytest.raises(RuntimeError, match=sentence):
            logic.wait(run)
    with pytest.raises(ValueError, match="Give pairs of images or cases with labels"):
        logic.adapt(str(base), cases, {"pairs": nowhere})
