"""What is said to `mednextseg adapt` and to the worker counts, or is refused in one sentence: nothing is left out in silence."""

from pathlib import Path

import pytest
from ball_cases import write_bright

from mednextseg.adapt.transfer.transfer_run import adapt_to_pairs
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.cli import main
from mednextseg.models.loaded_model import load_model
from mednextseg.worker.operations.adapt import adapt


def next_name(said: dict) -> str:
    """The name of the one option."""
    return next(iter(said))


SHOTS, PAIRS, POLICY = ["--dataset", "d", "--shots", "1"], ["--pairs", "p"], ["--dataset", "d", "--policy", "dynamic"]
LEARNED = [["--method", "head"], ["--auto-tune"], ["--loss", "focal"], ["--sampling", "hard"]]
REFUSED = [
    (["--dataset", "d", "--register"], "--register goes with --pairs, which was not given"),
    (["--dataset", "d", "--methods", "head", "--leave-one-out"], "--methods, --leave-one-out goes with --shots"),
    (["--dataset", "d", "--pretrain-steps", "9"], "--pretrain-steps goes with --pretrain"),
    (["--dataset", "d", "--epsilon", "0.1", "--bank", "m"], "--bank, --epsilon goes with --policy"),
    *(([*PAIRS, *more], "--pairs teaches a whole network without labels, and cannot be combined with --") for more in LEARNED),
    *(
        ([*PAIRS, *more], f"cannot be combined with {more[0]}")
        for more in (["--dataset", "d"], ["--collected"], ["--pretrain", "u"])
    ),
    *(([*POLICY, *more], "--policy learns from volumes alone which windows count, and cannot") for more in LEARNED),
    *(
        ([*POLICY, *more], f"cannot be combined with {more[0]}")
        for more in (["--steps", "1"], ["--same", "a=b"], ["--tolerated-loss", "0"], ["--id", "x"], ["--write-priors", "f"])
    ),
    ([*SHOTS, "--method", "head"], "--shots makes many models, by --methods, and cannot be combined with --method"),
    ([*SHOTS, "--install", "--write-priors", "f"], "cannot be combined with --write-priors, --install"),
]


@pytest.mark.parametrize(("more", "sentence"), REFUSED, ids=[" ".join(more).replace("--", "") for more, _ in REFUSED])
def test_options_that_would_not_count_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture, more: list, sentence: str
) -> None:
    assert main(["adapt", "--model", "nowhere", "-o", str(tmp_path / "run"), *more]) == 1
    said = capsys.readouterr()
    assert sentence in said.err and not said.out and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"methods": ["head"]}, "methods goes with shots"),
        ({"leave_one_out": True}, "leave_one_out goes with shots"),
        ({"registered": False}, "registered goes with pairs, image_pairs"),
        ({"pretraining_steps": 9}, "pretraining_steps goes with unlabeled"),
        ({"pairs": "p", "shots": []}, "has pairs and shots; pairs of images are learned alone"),
        ({"shots": [1], "method": "head"}, "curves are of several methods"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_the_worker_refuses_them_too(tmp_path: Path, parameters: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        adapt({"model": "nowhere", "target": str(tmp_path / "run"), **parameters}, None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("said", [{"loss": "focal"}, {"sampling": "hard"}, {"minutes": 1.0}, {"steps": 1}], ids=next_name)
def test_where_nothing_is_trained_there_is_no_loss_and_no_budget(said: dict) -> None:
    with pytest.raises(ValueError, match=f"the method settings trains nothing, so that {next(iter(said))} cannot be said"):
        TuningOptions(method="settings", **said)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"method": "head"}, "method cannot be chosen"),
        ({"loss": "focal"}, "loss cannot be chosen"),
        ({"unlabeled": "u"}, "labeled cases"),
    ],
    ids=["method", "loss", "pre-training"],
)
def test_pairs_have_one_way_to_be_learned(tmp_path: Path, said: dict, sentence: str) -> None:
    base = load_model(str(write_bright(tmp_path / "bright")))
    with pytest.raises(ValueError, match=sentence):
        adapt_to_pairs(base, tmp_path, tmp_path / "run", TuningOptions(**said))
    assert not (tmp_path / "run").exists()
