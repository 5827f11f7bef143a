"""`mednextseg evaluate --rank`: which of several models suits these labeled cases (CCFV)."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from mednextseg.json_values import listed

RANKING_FILE = "ranking.json"


def run_ranking(options: argparse.Namespace, only: Sequence[str] | None) -> int:
    """Score every model of --rank on the cases that have an image and a reference; write ranking.json.

    Args:
        options: of `mednextseg evaluate`: rank, images, reference (folders), device, output, json.
        only: cases to use; None for all.
    Raises:
        ValueError: without folders of images and references, or with a case that lacks one of them.
    """
    from mednextseg.cases.channels import read_channels  # noqa: PLC0415
    from mednextseg.cases.folders import case_files, image_files  # noqa: PLC0415
    from mednextseg.evaluate.compare.ranking import rank_models  # noqa: PLC0415
    from mednextseg.files import write_text  # noqa: PLC0415
    from mednextseg.machine import resolve_device  # noqa: PLC0415
    from mednextseg.models.loaded_model import load_model  # noqa: PLC0415
    from mednextseg.segmentation_io import read_segmentation  # noqa: PLC0415

    for name, path in (("--images", options.images), ("--reference", options.reference)):
        if path is None or not path.is_dir():
            raise ValueError(f"--rank needs {name} with a folder, got {path}.")
    images, references = image_files(options.images), case_files(options.reference)
    wanted = sorted(set(images) & set(references)) if only is None else list(only)
    missing = [case for case in wanted if case not in images or case not in references]
    if missing:
        raise ValueError(f"no image or no reference is there for: {listed(missing)}.")
    cases = [(*read_channels(images[case]), read_segmentation(references[case])) for case in wanted]
    models = [load_model(model) for model in options.rank]
    device = resolve_device(options.device)
    scores = rank_models(models, cases, device, report=lambda text: print(text, file=sys.stderr, flush=True))
    ranking = {"cases": wanted, "ranking": {model: asdict(score) for model, score in scores.items()}}
    write_text(options.output / RANKING_FILE, json.dumps(ranking, indent=1))
    if options.json:
        print(json.dumps(ranking))
        return 0
    print(f"{'model':30s} {'score':>8s} {'95 % interval':>20s}   (higher is better; no Dice)")
    for model, score in scores.items():
        print(f"{model:30s} {score.score:8.3f} {f'{score.low:.3f} - {score.high:.3f}':>20s}")
    print("Check the winner with a report: in our trial this order did not follow the Dice (docs/developers/model_choice.md).")
    return 0
