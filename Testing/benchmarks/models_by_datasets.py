"""Three models on three data sets, from one command: trains the two small models, then runs `mednextseg evaluate --table`.

    python Testing/benchmarks/models_by_datasets.py ../shared/data -o build/models_by_datasets

DATA is a folder with the Medical Segmentation Decathlon's Task04 Hippocampus in nnU-Net's layout (hippocampus), the ICBM 2009a head with
CoBrALab's labels (mini3d/mni152_09a_sym) and SynthSeg's label maps (synthseg_labels); see hippocampus_sets.py for what is made of
them. Everything is kept under the output folder, so that a run that was stopped goes on. The small models are made for this comparison
only: they are trained for minutes, on few cases, and never leave the output folder. The checkpoint of every validation is packaged as
a model of its own, for ccfv_trial.py.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import hippocampus_sets as sets

from mednextseg.adapt.mednext.dataset import LabeledDataset, open_dataset
from mednextseg.adapt.mednext.packaging import package_training
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.mednext.trainer import Trainer
from mednextseg.cli import main as run_command_line
from mednextseg.kernels.allocator import keep_freed_memory

BUNDLED_MODEL = "hippocampus-mr"
MODELS = (BUNDLED_MODEL, "msd", "heads")
DATASETS = ("MSD", "MNI152", "heads")
# Of MSD's own training cases: the first ones to train on, the last ones to log the progress by. Its validation cases stay unseen.
_TRAINING_CASES, _LOGGED_CASES = 40, 2


class PackagingTrainer(Trainer):
    """Packages the averaged weights of every validation, whatever their Dice: nothing is chosen by looking at labeled cases."""

    def _record(self, entry: dict, score: float) -> None:
        super()._record(entry, score=float(self.step))
        package_training(self.folder, self.recipe, self.dataset, package_of(self.folder, self.step))


def package_of(folder: Path, step: int) -> Path:
    """Where the package of a training step lies."""
    return folder / "packages" / f"{folder.name}-{step:04d}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare what is not there yet, train what is not finished, and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--datasets", nargs="+", default=DATASETS, choices=DATASETS)
    parser.add_argument("--steps", type=int, default=250, help="training steps of the two small models")
    parser.add_argument("--package-every", type=int, default=25, help="steps between packages of a training")
    parser.add_argument("--cases", type=int, help="at most so many cases of each data set, and heads to train on")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    prepare(options.data, options.output, options.cases)
    models = {}
    for name in options.models:
        folder = options.output / "models" / name
        if name == BUNDLED_MODEL:
            models[name] = name
        else:
            train(options.output / "training" / name, folder, options.steps, options.package_every)
            models[f"{name}, {options.steps} steps"] = str(package_of(folder, options.steps).resolve())
    plan = table_plan(options.data, options.output, models, options.cases)
    plan["datasets"] = [entry for entry in plan["datasets"] if entry["name"] in options.datasets]
    plan_file = options.output / "plan.json"
    plan_file.write_text(json.dumps(plan, indent=1), encoding="utf-8")
    return run_command_line(["evaluate", "--table", str(plan_file), "-o", str(options.output / "table"), "--device", "cpu"])


def prepare(data: Path, output: Path, count: int | None) -> None:
    """Cut, paint and link what the models are trained and measured on."""
    splits = json.loads((data / "hippocampus" / "splits_final.json").read_text(encoding="utf-8"))[0]
    msd, heads, test = output / "training" / "msd", output / "training" / "heads", output / "datasets"
    if not (msd / "splits_final.json").is_file():
        sets.training_folder_of_msd(data, msd, splits["train"][:_TRAINING_CASES], splits["train"][-_LOGGED_CASES:])
    if not (heads / "splits_final.json").is_file():
        sets.training_folder_of_heads(data, heads, sets.TRAINING_HEADS[:count], sets.VALIDATION_HEADS)
    if not (test / "heads").is_dir():
        sets.cut_mni152(data, test / "mni152")
        sets.paint_heads(data, test / "heads", sets.TEST_HEADS[:count])


def train(dataset_folder: Path, folder: Path, steps: int, package_every: int) -> None:
    """A MedNeXt-S k3 on the CPU; goes on where it stopped."""
    if package_of(folder, steps).is_dir():
        return
    recipe = MedNeXtRecipe(
        id=folder.name,
        title=f"Small model for a comparison: {folder.name}",
        patch_size_kji=(32, 48, 32),
        mirror_axes_kji=(2,),
        batch_size=1,
        max_steps=steps,
        learning_rate=2e-3,
        warmup_steps=min(10, steps),
        ema_decay=0.9,
        validate_every=package_every,
        extra={"card": {"normalization_region": "roi", "weights_license": "not for distribution"}},
    )
    dataset: LabeledDataset = open_dataset(dataset_folder)
    PackagingTrainer(recipe, dataset, folder).run()


def table_plan(data: Path, output: Path, models: dict[str, str], count: int | None) -> dict:
    """The plan of `mednextseg evaluate --table`; every data set has its own numbers for the hippocampus."""
    msd, test = (data / "hippocampus").resolve(), (output / "datasets").resolve()
    cases: Sequence[str] = json.loads((msd / "splits_final.json").read_text(encoding="utf-8"))[0]["val"]
    labels = {"MNI152": list(sets.MNI_HIPPOCAMPUS), "heads": list(sets.FREESURFER_HIPPOCAMPUS)}
    others = [
        {
            "name": name,
            "images": str(test / name.lower() / "images"),
            "references": str(test / name.lower() / "references"),
            "labels": {"hippocampus": numbers},
        }
        for name, numbers in labels.items()
    ]
    own = {
        "name": "MSD",
        "images": str(msd / "imagesTr"),
        "references": str(msd / "labelsTr"),
        "labels": "MSD-Task04-Hippocampus",
        "unions": ["hippocampus"],
        "cases": cases[:count],
    }
    return {"models": [{"name": name, "model": model} for name, model in models.items()], "datasets": [own, *others]}


if __name__ == "__main__":
    raise SystemExit(main())
