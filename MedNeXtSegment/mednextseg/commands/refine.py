"""`mednextseg refine`: the corrections of a prompt journal, done again on one segment of a segmentation file."""

import argparse
import json
from pathlib import Path

import numpy as np


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser("refine", parents=[common], help="replay recorded corrections", description=__doc__)
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the volume that was corrected on")
    parser.add_argument("segmentation", type=Path, metavar="SEG", help="the segmentation as it was before the corrections")
    parser.add_argument("--segment", required=True, help="name of the segment")
    parser.add_argument("--journal", required=True, type=Path, help="prompt journal (JSON) of a refinement")
    parser.add_argument("-o", "--output", required=True, type=Path, help=".seg.nrrd or .nii.gz file")
    parser.add_argument("--prompter", help="path of the network, where the journal's is not one that ships with the program")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N or mps")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Replay what the options say; the new segment lies over the others where they meet.

    Raises:
        ValueError: where the segmentation has no such segment, or the journal does not fit the prompter.
    """
    from mednextseg.refine import load_prompter  # noqa: PLC0415
    from mednextseg.refine.journal import PromptJournal  # noqa: PLC0415
    from mednextseg.refine.replay import replay  # noqa: PLC0415
    from mednextseg.segmentation_io import read_segmentation, write_segmentation  # noqa: PLC0415
    from mednextseg.volume_io import read_volume  # noqa: PLC0415

    journal = PromptJournal.load(options.journal)
    segmentation = read_segmentation(options.segmentation)
    values = [label.value for label in segmentation.labels if label.name == options.segment]
    if not values:
        names = ", ".join(label.name for label in segmentation.labels) or "none"
        raise ValueError(f'{options.segmentation.name} has no segment "{options.segment}"; its segments are: {names}.')
    volume_kji, geometry = read_volume(options.image)
    before_kji = segmentation.labelmap_kji == values[0]
    prompter = load_prompter(options.prompter or journal.prompter, options.device)
    after_kji = replay(journal, volume_kji, geometry, prompter, before_kji, segmentation.geometry).preview_segment()
    labelmap_kji = np.where(before_kji, 0, segmentation.labelmap_kji)
    labelmap_kji[after_kji] = values[0]
    write_segmentation(options.output, labelmap_kji, segmentation.geometry, segmentation.labels)
    summary = {"actions": len(journal.entries), "added": int((after_kji & ~before_kji).sum())}
    summary["removed"] = int((before_kji & ~after_kji).sum())
    if options.json:
        print(json.dumps({"output": str(options.output), **summary}))
    else:
        print("{output}: {actions} actions, {added} voxels added, {removed} removed".format(output=options.output, **summary))
    return 0
