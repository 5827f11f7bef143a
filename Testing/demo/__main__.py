"""Name the structures of the MNI152 T1 head that the package nilearn carries; write segmentation, table and picture.

No region is given: the first model looks at the whole head, the second one finds both hippocampi through the first. The picture is drawn
by Slicer's own display managers through the test host.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import numpy as np

from mednextseg import load_model, segment
from mednextseg.commands.console_progress import ConsoleProgress
from mednextseg.geometry import Geometry
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.labels.label import Label
from mednextseg.labels.volume_table import VolumeRow, volume_rows, write_volumes
from mednextseg.segmentation_io import write_segmentation
from mednextseg.volume_io import read_volume

WHOLE, FINE = "brain-mr", "hippocampus-mr"
OUTER_STRUCTURES = ("cerebral cortex", "cerebral white matter", "cerebrospinal fluid")
TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def main() -> None:
    """Run the demo; everything is written into the folder given by --output."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    started = time.monotonic()
    volume_kji, geometry = read_volume(template_path())
    labelmap_kji, labels, rows = segment_head(volume_kji, geometry)
    write_segmentation(output / "head.seg.nrrd", labelmap_kji, geometry, labels)
    write_volumes(rows, output / "volumes.csv", "MNI152")
    print_table(rows)
    draw(output / "head.seg.nrrd", output / "head.png")
    print(f"Written to {output.resolve()} in {time.monotonic() - started:.0f} s.")


def show_through(segmentation_node, words: tuple[str, ...]) -> None:
    """Segments whose name holds one of the words get a faint surface, so that what they enclose is seen in 3D."""
    segmentation, display = segmentation_node.GetSegmentation(), segmentation_node.GetDisplayNode()
    for segment_id in segmentation.GetSegmentIDs():
        if any(word in segmentation.GetSegment(segment_id).GetName() for word in words):
            display.SetSegmentOpacity3D(segment_id, 0.12)


def template_path() -> Path:
    """The T1 template inside the installed package nilearn, which is not imported (it would want many more packages)."""
    folder = importlib.util.find_spec("nilearn").submodule_search_locations[0]
    return Path(folder) / "datasets" / "data" / TEMPLATE


def segment_head(volume_kji: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, list[Label], list[VolumeRow]]:
    """One labelmap of all structures, its labels, and the table of volumes.

    The four parts of the hippocampi take the place of the two hippocampi of the first model.
    """
    whole, fine = load_model(WHOLE), load_model(FINE)
    with ConsoleProgress(WHOLE) as progress:
        labelmap_kji, of_head = segment(volume_kji, geometry, whole, progress=progress.show)
    with ConsoleProgress(FINE) as progress:
        parts_kji, of_parts = segment(volume_kji, geometry, fine, progress=progress.show)
    for note in of_parts.notes:
        print(note)
    rough = [whole.card.label_named(name).value for name in fine.card.region_from.labels]
    labels = [label for label in of_head.labels if label.value not in rough]
    labelmap_kji[np.isin(labelmap_kji, rough)] = 0
    first = max(label.value for label in of_head.labels)
    labelmap_kji[parts_kji > 0] = parts_kji[parts_kji > 0] + first
    labels += [Label(first + label.value, label.name, label.color, label.terminology) for label in of_parts.labels]
    return labelmap_kji, labels, volume_rows({**of_head.volumes_ml, **of_parts.volumes_ml}, whole.card.totals)


def print_table(rows: list[VolumeRow]) -> None:
    """Volumes on the terminal, left against right."""
    for row in rows:
        asymmetry = "" if row.asymmetry_percent is None else f"   left - right {row.asymmetry_percent:+6.1f} %"
        print(f"{row.name:34s} {row.volume_ml:8.2f} ml{asymmetry}")


def draw(segmentation_path: Path, picture_path: Path) -> None:
    """Three planes with overlay and the surfaces in 3D."""
    import slicerhost
    from slicerhost.views.screenshot import four_up_picture

    slicerhost.start()
    import slicer

    volume_node = slicer.util.loadVolume(str(template_path()))
    segmentation_node = slicer.util.loadSegmentation(str(segmentation_path))
    show_through(segmentation_node, OUTER_STRUCTURES)
    four_up_picture(volume_node, segmentation_node, picture_path, title="MNI152, whole head")


if __name__ == "__main__":
    main()
