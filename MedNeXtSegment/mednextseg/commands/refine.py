"""`mednextseg refine`: one segment of a segmentation file corrected, by a prompt journal done again or by prompts made from it."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mednextseg.layered_segmentation import LayeredSegmentation
    from mednextseg.refine.journal import PromptJournal

_SLICES = {"axial": ((0, -1, 0), (-1, 0, 0)), "coronal": ((0, 0, -1), (-1, 0, 0)), "sagittal": ((0, 0, -1), (0, -1, 0))}


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "refine", parents=[common], help="replay recorded corrections, or repair a segment", description=__doc__
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the volume that was corrected on")
    parser.add_argument(
        "segmentation", type=Path, metavar="SEG", help="the segmentation as it was before the corrections (DICOM as well)"
    )
    parser.add_argument("--segment", required=True, help="name or ID of the segment")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--journal", type=Path, help="prompt journal (JSON) of a refinement")
    what.add_argument(
        "--repair", choices=_SLICES, help="have all such slices of the segment answered anew, by prompts made from it"
    )
    parser.add_argument(
        "--display-range",
        nargs=2,
        type=float,
        metavar=("BLACK", "WHITE"),
        help="intensities that --repair sees as black and white; else the percentiles of each slice",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, help=".seg.nrrd or .nii.gz file")
    parser.add_argument("--time-point", type=int, metavar="N", help="of a DICOM series with several: the Nth, from 1")
    parser.add_argument(
        "--prompter",
        help="clicknet (the default of --repair), random_walker, or the path of a network; of a journal only where its network does "
        "not ship with the program",
    )
    parser.add_argument("--family", choices=("sam_med2d", "sam", "medsam"), help="of a file whose tensors cannot tell")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N or mps")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Replay or repair, as the options say; of a .seg.nrrd nothing but the one segment changes, of plain labels it lies over the others.

    Raises:
        ValueError: where the segmentation has no such segment, the journal does not fit the prompter, or the output would be an input
            or cannot hold what the segmentation does.
        FileNotFoundError, PermissionError, OSError: where the output cannot be written.
    """
    from mednextseg.dicom_frames import is_dicom  # noqa: PLC0415
    from mednextseg.layered_segmentation import read_layered  # noqa: PLC0415
    from mednextseg.segmentation_io import check_output, has_table  # noqa: PLC0415
    from mednextseg.volume_io import read_volume  # noqa: PLC0415

    inputs = (options.image, options.segmentation, *filter(None, [options.journal]))
    check_output(options.output, inputs)
    journal = None if options.journal is None else _journal(options)
    segmentation = read_layered(options.segmentation)
    check_output(options.output, inputs, segmentation.geometry)
    if len(segmentation.layers_kji) > 1 and not has_table(options.output):
        raise ValueError(f"the segments of {options.segmentation.name} may overlap; give an output that ends in .seg.nrrd.")
    index = _index_of(segmentation, options)
    volume_kji, geometry = read_volume(options.image, options.time_point)
    if is_dicom(options.segmentation):
        _check_frame(options)
        segmentation = segmentation.reaching(geometry)
    before_kji = segmentation.mask_kji(index)
    grids = volume_kji, geometry, before_kji, segmentation.geometry
    after_kji, done = _repaired(options, *grids) if journal is None else _replayed(options, journal, *grids)
    _write(options.output, segmentation, index, after_kji)
    summary = {**done, "added": int((after_kji & ~before_kji).sum()), "removed": int((before_kji & ~after_kji).sum())}
    if options.json:
        print(json.dumps({"output": str(options.output), **summary}))
    else:
        words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in summary.items())
        print(f"{options.output}: {words}")
    return 0


Refined = tuple[np.ndarray, dict[str, int]]  # the segment as it is now, and what was done, for the summary


def _replayed(options: argparse.Namespace, journal: "PromptJournal", volume_kji, geometry, before_kji, grid) -> Refined:
    from mednextseg.refine import load_prompter  # noqa: PLC0415
    from mednextseg.refine.replay import replay  # noqa: PLC0415

    prompter = load_prompter(options.prompter or journal.prompter, options.device, options.family)
    refinement = replay(journal, volume_kji, geometry, prompter, before_kji, grid)
    return refinement.preview_segment(), {"actions": len(journal.entries)}


def _repaired(options: argparse.Namespace, volume_kji, geometry, before_kji, grid) -> Refined:
    from mednextseg.refine import load_prompter  # noqa: PLC0415
    from mednextseg.refine.refinement import Refinement  # noqa: PLC0415
    from mednextseg.refine.slices.slice_plane import plane_through  # noqa: PLC0415

    prompter = load_prompter(options.prompter or "clicknet", options.device, options.family)
    display_range = None if options.display_range is None else tuple(options.display_range)
    refinement = Refinement(volume_kji, geometry, prompter, before_kji, grid, display_range)
    # Through the voxel in the middle, so that planes of the grid's own fall on voxels.
    middle = geometry.ras_from_ijk(np.array(geometry.shape_ijk) // 2)
    changed, count = refinement.repair_slices(plane_through(geometry, middle, *_SLICES[options.repair]))
    return refinement.preview_segment(), {"slices": count, "slices_answered": changed}


def _journal(options: argparse.Namespace) -> "PromptJournal":
    from mednextseg.refine.journal import PromptJournal  # noqa: PLC0415

    journal = PromptJournal.load(options.journal)
    if journal.volume is None:
        print(
            f"mednextseg: {options.journal.name} is of an older version and does not say which volume it was made on; make sure that it "
            f"is {options.image.name}.",
            file=sys.stderr,
        )
    return journal


def _check_frame(options: argparse.Namespace) -> None:
    from mednextseg.dicom_seg.reading import lie_apart  # noqa: PLC0415

    if lie_apart(options.image, options.segmentation):
        raise ValueError(
            f"{options.segmentation} is of another frame of reference than {options.image}, so that their places do not match; give the "
            "image that it was made on."
        )


def _index_of(segmentation: "LayeredSegmentation", options: argparse.Namespace) -> int:
    try:
        return segmentation.index_of(options.segment)
    except ValueError as error:
        raise ValueError(f"{options.segmentation.name} has {error}") from error


def _write(output: Path, segmentation: "LayeredSegmentation", index: int, mask_kji: np.ndarray) -> None:
    from mednextseg.layered_segmentation import write_layered  # noqa: PLC0415
    from mednextseg.segmentation_io import has_table  # noqa: PLC0415
    from mednextseg.volume_io import image_of, write_image  # noqa: PLC0415

    if has_table(output):
        write_layered(output, segmentation.with_mask(index, mask_kji))
        return
    value, labelmap_kji = segmentation.segments[index].label.value, segmentation.layers_kji[0].copy()
    labelmap_kji[labelmap_kji == value] = 0
    taken = int((labelmap_kji[mask_kji] != 0).sum())
    if taken:
        print(f"mednextseg: {taken} voxels of other labels became {segmentation.segments[index].label.name}.", file=sys.stderr)
    labelmap_kji[mask_kji] = value
    write_image(image_of(labelmap_kji, segmentation.geometry), output)
