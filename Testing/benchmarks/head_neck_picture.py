"""Draw what head-neck-ct finds in one of OpenKBP's validation cases, in three planes and in 3D.

    PYTHONPATH=Testing/host python Testing/benchmarks/head_neck_picture.py head-neck-ct --data ../shared/data/openkbp_headneck \
        --case validation_pt_201 --output Resources/Screenshots/head-neck.png
"""

import argparse
import tempfile
from pathlib import Path

import slicerhost
from mednextseg import load_model, segment
from mednextseg.segmentation_io import write_segmentation
from mednextseg.volume_io import read_volume
from slicerhost.views.screenshot import four_up_picture


def main() -> None:
    """Segment the case and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="id or folder of the package")
    parser.add_argument("--data", required=True, type=Path, help="folder with images")
    parser.add_argument("--case", default="validation_pt_201")
    parser.add_argument("--output", required=True, type=Path)
    options = parser.parse_args()
    source = options.data / "images" / f"{options.case}_0000.nii.gz"
    volume_kji, geometry = read_volume(source)
    labelmap_kji, report = segment(volume_kji, geometry, load_model(options.model))
    slicerhost.start()
    import slicer

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "head-neck.seg.nrrd"
        write_segmentation(file, labelmap_kji, geometry, report.labels)
        segmentation_node = slicer.util.loadSegmentation(str(file))
        volume_node = slicer.util.loadVolume(str(source))
        volume_node.GetDisplayNode().SetAutoWindowLevel(False)
        volume_node.GetDisplayNode().SetWindowLevel(400, 40)  # soft tissue, in HU
        four_up_picture(volume_node, segmentation_node, options.output, title=f"OpenKBP, {options.case}")


if __name__ == "__main__":
    main()
