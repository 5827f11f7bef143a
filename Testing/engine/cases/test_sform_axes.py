"""A model whose own program reads by the sform (nibabel) sees a file's axes so, and its result lies where the file was read to lie."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from tiny_models import tiny_mednext, write_package

from mednextseg.cli import main
from mednextseg.volume_io import read_volume

VOLUME_IJK = np.random.default_rng(0).normal(size=(20, 18, 16)).astype(np.float32)
MIRRORED = np.diag([-1.0, 1.0, 1.0, 1.0])


def save(path: Path, sform: np.ndarray, qform: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(VOLUME_IJK, None)
    image.set_sform(sform, 4)  # of a template: ITK, and so Slicer, takes the qform
    image.set_qform(qform, 1)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("by_sform", [True, False])
def test_the_axes_are_those_of_the_form_that_counts(tmp_path: Path, capsys: pytest.CaptureFixture, by_sform: bool) -> None:
    fields = {"orientation": "RAS", "reorient_only": True, "axes_by_sform": by_sform}
    model = write_package(tmp_path / "model", tiny_mednext(), ("left", "right"), **fields)

    def labels(sform: np.ndarray, qform: np.ndarray, *more: str) -> tuple[np.ndarray, np.ndarray]:
        image = save(tmp_path / "image.nii.gz", sform, qform)
        assert main(["segment", str(image), "-o", str(tmp_path / "out.nii.gz"), "--model", str(model), *more]) == 0
        labelmap_kji, geometry = read_volume(tmp_path / "out.nii.gz")
        return labelmap_kji, geometry.ijk_to_ras

    straight, _ = labels(np.eye(4), np.eye(4))
    mirrored, _ = labels(MIRRORED, MIRRORED)
    assert not np.array_equal(straight, mirrored)
    capsys.readouterr()
    found, place = labels(MIRRORED, np.eye(4))
    assert np.array_equal(found, mirrored if by_sform else straight)
    assert np.allclose(place, np.eye(4)), "where Slicer shows the image"
    assert ("as its own program does" in capsys.readouterr().err) == by_sform
    inside, _ = labels(MIRRORED, np.eye(4), "--roi", "-1,9.5,-1,30,-1,30")
    assert inside[:, :, :10].any() and not inside[:, :, 10:].any()
