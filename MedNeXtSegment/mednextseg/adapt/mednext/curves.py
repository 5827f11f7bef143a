"""The picture of a training run: loss and validation Dice over the steps."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from mednextseg.files import replacing


def draw_curves(log_file: Path, picture: Path) -> None:
    """Draw every entry of a trainer's log.jsonl as a PNG."""
    entries = [json.loads(line) for line in log_file.read_text(encoding="utf-8").splitlines()]
    steps = [entry["step"] for entry in entries]
    figure, (loss_axis, dice_axis) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    loss_axis.plot(steps, [entry["training_loss"] for entry in entries], marker=".")
    loss_axis.set(xlabel="step", ylabel="training loss")
    for label in entries[-1]["dice"]:
        dice_axis.plot(steps, [entry["dice"][label] for entry in entries], marker=".", label=label)
    dice_axis.plot(steps, [entry["mean_dice"] for entry in entries], color="black", label="mean")
    dice_axis.set(xlabel="step", ylabel="validation Dice")
    dice_axis.legend()
    with replacing(picture) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)
