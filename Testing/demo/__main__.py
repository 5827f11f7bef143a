"""Segment both hippocampi of the MNI152 T1 head that the package nilearn carries; write segmentation, table and picture.

Each hippocampus is segmented in its own region of interest, as a user would draw it. The picture is drawn by Slicer's own display
managers through the test host.
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
from mednextseg.segment.auto_segmenter import volumes_ml
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segmentation_io import write_segmentation
from mednextseg.volume_io import read_volume

MODEL = "hippocampus-mr"
TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
# Boxes around each hippocampus in MNI space (RAS mm), about the size of the crops the model was trained on.
REGIONS = {
    "Right": RegionOfInterest((8, 44, -48, 2, -34, 8)),
    "Left": RegionOfInterest((-44, -8, -48, 2, -34, 8)),
}


def main() -> None:
    """Run the demo; everything is written into the folder given by --output."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    started = time.monotonic()
    volume_kji, geometry = read_volume(template_path())
    labelmap_kji, labels = segment_both(volume_kji, geometry)
    write_segmentation(output / "hippocampi.seg.nrrd", labelmap_kji, geometry, labels)
    print_table(labelmap_kji, geometry, labels)
    draw(output / "hippocampi.seg.nrrd", output / "hippocampi.png")
    print(f"Written to {output.resolve()} in {time.monotonic() - started:.0f} s.")


def template_path() -> Path:
    """The T1 template inside the installed package nilearn, which is not imported (it would want many more packages)."""
    folder = importlib.util.find_spec("nilearn").submodule_search_locations[0]
    return Path(folder) / "datasets" / "data" / TEMPLATE


def segment_both(volume_kji: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, list[Label]]:
    """One labelmap for both sides, values 1 and 2 right, 3 and 4 left, and its labels."""
    model = load_model(MODEL)
    labelmap_kji = np.zeros(geometry.shape_kji, dtype=np.uint8)
    labels = []
    for number, (side, region) in enumerate(REGIONS.items()):
        with ConsoleProgress(f"{side} hippocampus") as progress:
            part_kji, _ = segment(volume_kji, geometry, model, roi=region, progress=progress.show)
        for label in model.card.labels:
            value = number * len(model.card.labels) + label.value
            labelmap_kji[part_kji == label.value] = value
            labels.append(Label(value, f"{side} {label.name.lower()}", label.color, label.terminology))
    return labelmap_kji, labels


def print_table(labelmap_kji: np.ndarray, geometry: Geometry, labels: list[Label]) -> None:
    """Volumes on the terminal."""
    for name, volume_ml in volumes_ml(labelmap_kji, labels, geometry).items():
        print(f"{name:34s} {volume_ml:6.2f} ml")


def draw(segmentation_path: Path, picture_path: Path) -> None:
    """Three planes with overlay and the surfaces in 3D."""
    import slicerhost
    from slicerhost.views.screenshot import four_up_picture

    slicerhost.start()
    import slicer

    volume_node = slicer.util.loadVolume(str(template_path()))
    segmentation_node = slicer.util.loadSegmentation(str(segmentation_path))
    four_up_picture(volume_node, segmentation_node, picture_path, field_of_view_mm=130, title="MNI152, hippocampi")


if __name__ == "__main__":
    main()
