"""Every write where the disk fills up after any number of bytes: the whole file, or a refusal and the old file as it was."""

import contextlib
import json
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fuzz.inputs import LABELS, shared_package, step_volume, steps_of, write_nifti
from fuzz.outcomes import LEFTOVER, WRONG, Refusal, must, must_equal, names_in, refusing, run_command

_OLD = b"what was here before"


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """One write, once without a limit to see what it makes, and once with one."""
    write = (_labels, _segment, _text, _weights, _export, _install, _evaluate)[int(rng.integers(7))]
    (folder / "whole").mkdir()
    (folder / "limited").mkdir()
    state = rng.bit_generator.state
    target = write(rng, folder / "whole", session)()
    whole = {name: (target / name).stat().st_size for name in names_in(target) if (target / name).is_file()}
    rng.bit_generator.state = state
    run = write(rng, folder / "limited", session)
    place = folder / "limited" / target.relative_to(folder / "whole")
    before = _contents(folder / "limited")
    with _limited(int(rng.integers(0, max(whole.values()) + 40))):
        try:
            refusing(run)
            refused = None
        except Refusal as refusal:
            refused = refusal
    after = _contents(folder / "limited")
    hidden = [name for name in after if Path(name).name.startswith(".")]
    must(not hidden, LEFTOVER, f"{write.__name__[1:]}: unfinished files stay: {hidden[:3]}")
    if refused is None:
        here = {name: (place / name).stat().st_size for name in names_in(place) if (place / name).is_file()}
        must(
            set(here) == set(whole),
            WRONG,
            f"{write.__name__[1:]}: said to be written, but {sorted(set(whole) ^ set(here))[:3]}",
        )
        _check(write, place)
        return f"{write.__name__[1:]} fits"
    changed = [name for name in before if after.get(name) != before[name]]
    must(not changed, WRONG, f"{write.__name__[1:]}: {changed[:3]} changed though the write was refused")
    raise refused


@contextlib.contextmanager
def _limited(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes; writes fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names_in(folder) if (folder / name).is_file()}


def _check(write: Callable, place: Path) -> None:
    """What was written can be read."""
    from mednextseg.models.library import verify_model
    from mednextseg.segmentation_io import read_segmentation

    if write in (_labels, _segment):
        file = next(f for f in place.iterdir() if f.name.startswith("labels"))
        volume = np.load(place.parent / "volume.npy")
        must_equal(read_segmentation(file).labelmap_kji, steps_of(volume), "labels")
    elif write is _text:
        must((place / "text.json").read_text() == "x" * 3000, WRONG, "another text")
    elif write is _install:
        must(not verify_model(next(place.glob("models/*"))), WRONG, "the model is not whole")
    elif write is _evaluate:
        json.loads(next(place.glob("cases/*")).read_text())


def _output(rng: np.random.Generator, folder: Path) -> tuple[Path, Path, np.ndarray]:
    """A folder for the output, with or without an old file of its name; a volume."""
    place = folder / "out"
    place.mkdir()
    output = place / f"labels{rng.choice(['.seg.nrrd', '.nii', '.nii.gz', '.nrrd', '.mha'])}"
    if rng.integers(2):
        output.write_bytes(_OLD)
    volume = step_volume(rng, (9, 10, 11))
    np.save(folder / "volume.npy", volume)
    return place, output, volume


def _labels(rng: np.random.Generator, folder: Path, session: Path) -> Callable[[], Path]:
    from mednextseg.geometry import Geometry
    from mednextseg.labels.label import Label
    from mednextseg.segmentation_io import write_segmentation

    place, output, volume = _output(rng, folder)
    labels = [Label(value, name, (10, 20, 30)) for value, name in enumerate(LABELS, 1)]

    def run() -> Path:
        write_segmentation(output, steps_of(volume), Geometry(volume.shape, np.eye(4)), labels)
        return place

    return run


def _segment(rng: np.random.Generator, folder: Path, session: Path) -> Callable[[], Path]:
    place, output, volume = _output(rng, folder)
    image = write_nifti(folder / "image.nii.gz", volume, np.eye(4))

    def run() -> Path:
        run_command("segment", image, "-o", output, "--model", shared_package(session), "--device", "cpu")
        return place

    return run


def _text(rng: np.random.Generator, folder: Path, session: Path) -> Callable[[], Path]:
    from mednextseg.files import write_text

    place = folder / "out"
    place.mkdir()
    if rng.integers(2):
        (place / "text.json").write_bytes(_OLD)

    def run() -> Path:
        write_text(place / "text.json", "x" * 3000)
        return place

    return run


def _weights(rng: np.random.Generator, folder: Path, session: Path) -> Callable[[], Path]:
    from mednextseg.models.weights import read_safetensors, write_safetensors

    place, tensors = folder / "out", read_safetensors(shared_package(session) / "weights.safetensors")
    place.mkdir()
    if rng.integers(2):
        (place / "weights.safetensors").write_bytes(_OLD)

    def run() -> Path:
        write_safetensors(tensors, place / "weights.safetensors")
        return place

    return run


def _export(rng: np.random.Generator, folder: Path, session: Path) -> Callable[[], Path]:
    place = folder / "out"
    place.mkdir()

    def run() -> Path:
        run_command("models", "export", shared_package(session), "-o", place / "model.zip")
        return place

    return run


def _install(rng: np.random.Generator, folder: Path, session: Path) -> Callable[[], Path]:
    from mednextseg.models.install.installation import export_model, install

    archive = export_model(shared_package(session), folder / "model.zip")
    place = folder / "home"

    def run() -> Path:
        import os

        before = os.environ["MEDNEXTSEG_HOME"]
        os.environ["MEDNEXTSEG_HOME"] = str(place)
        try:
            install(archive, accept_license=True)
        finally:
            os.environ["MEDNEXTSEG_HOME"] = before
        return place

    return run


def _evaluate(rng: np.random.Generator, folder: Path, session: Path) -> Callable[[], Path]:
    from mednextseg.evaluate.folders import evaluate_files, match_cases
    from mednextseg.evaluate.measure_options import MeasureOptions

    labels = steps_of(step_volume(rng, (6, 7, 8)))
    write_nifti(folder / "a.nii.gz", labels, np.eye(4))
    shutil.copy(folder / "a.nii.gz", folder / "b.nii.gz")
    place = folder / "out"

    def run() -> Path:
        cases, evaluation = match_cases(folder / "a.nii.gz", folder / "b.nii.gz")
        evaluate_files(cases, evaluation, MeasureOptions(), place)
        if evaluation.failed:
            raise OSError(next(iter(evaluation.failed.values())))
        return place

    return run
