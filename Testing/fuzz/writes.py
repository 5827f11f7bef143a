"""Everything that the product writes, each with what makes it and what tells whether it is whole."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fuzz.inputs import LABELS, shared_package, step_volume, steps_of, write_nifti
from fuzz.outcomes import WRONG, Fault, must, must_equal, run_command

OLD = b"what was here before"


@dataclass
class Write:
    """One way to write.

    Attributes:
        place: the folder that gets the output.
        run: writes; may be called again.
        check: raises Fault for a file of the place that is not whole and right.
        had_old: whether a file of the output's name holds OLD before.
    """

    place: Path
    run: Callable[[], object]
    check: Callable[[Path], None]
    had_old: bool = False


def labels(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    from mednextseg.geometry import Geometry
    from mednextseg.labels.label import Label
    from mednextseg.segmentation_io import write_segmentation

    output, had_old = _output(rng, place)
    volume = step_volume(rng, shape)
    table = [Label(value, name, (10, 20, 30)) for value, name in enumerate(LABELS, 1)]

    def run() -> None:
        write_segmentation(output, steps_of(volume), Geometry(volume.shape, np.eye(4)), table)

    return Write(place, run, _labels_are(steps_of(volume)), had_old)


def segment(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    output, had_old = _output(rng, place)
    volume = step_volume(rng, shape)
    image = write_nifti(inputs / "image.nii.gz", volume, np.eye(4))

    def run() -> None:
        run_command("segment", image, "-o", output, "--model", shared_package(session), "--device", "cpu")

    return Write(place, run, _labels_are(steps_of(volume)), had_old)


def folder_of_cases(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    """Cases that found room are not done again."""
    volumes = {f"case{n}": step_volume(rng, shape) for n in range(3)}
    for name, volume in volumes.items():
        write_nifti(inputs / f"{name}.nii.gz", volume, np.eye(4))

    def run() -> None:
        run_command("segment", inputs, "-o", place, "--model", shared_package(session), "--device", "cpu")

    return Write(place, run, lambda file: _labels_are(steps_of(volumes[file.name.partition(".")[0]]))(file))


def refine(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    """A journal without an action: every voxel comes out as it went in."""
    from mednextseg.geometry import Geometry
    from mednextseg.labels.label import Label
    from mednextseg.refine.journal import PromptJournal
    from mednextseg.segmentation_io import write_segmentation

    volume = step_volume(rng, shape)
    image = write_nifti(inputs / "image.nii.gz", volume, np.eye(4))
    table = [Label(value, name, (10, 20, 30)) for value, name in enumerate(LABELS, 1)]
    write_segmentation(inputs / "before.seg.nrrd", steps_of(volume), Geometry(volume.shape, np.eye(4)), table)
    PromptJournal("random_walker", "random_walker-1").save(inputs / "journal.json")
    output = place / "after.seg.nrrd"
    had_old = _put_old(rng, output)

    def run() -> None:
        files = (image, inputs / "before.seg.nrrd", "--segment", LABELS[0], "--journal", inputs / "journal.json")
        run_command("refine", *files, "-o", output)

    return Write(place, run, _labels_are(steps_of(volume)), had_old)


def dicom_seg(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    from dicom_files import placed, write_slices

    from mednextseg.layered_segmentation import read_layered

    volume = step_volume(rng, shape)
    write_slices(inputs / "series", volume, placed(shape, (1.0, 1.0, 1.0)))
    output = place / "labels.dcm"
    had_old = _put_old(rng, output)

    def run() -> None:
        run_command("segment", inputs / "series", "-o", output, "--model", shared_package(session), "--device", "cpu")

    def check(file: Path) -> None:
        found = _whole(lambda: read_layered(file), file)
        for index, name in enumerate(LABELS):
            must_equal(found.mask_kji(found.index_of(name)), steps_of(volume) == index + 1, name)

    return Write(place, run, check, had_old)


def text(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    from mednextseg.files import write_text

    content = "x" * int(rng.integers(1, 9000))
    had_old = _put_old(rng, place / "text.json")

    def check(file: Path) -> None:
        must(file.read_text() == content, WRONG, "another text")

    return Write(place, lambda: write_text(place / "text.json", content), check, had_old)


def weights(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    from mednextseg.models.weights import read_safetensors, write_safetensors

    tensors = read_safetensors(shared_package(session) / "weights.safetensors")
    had_old = _put_old(rng, place / "weights.safetensors")

    def check(file: Path) -> None:
        _whole(lambda: _same(read_safetensors(file), tensors), file)

    return Write(place, lambda: write_safetensors(tensors, place / "weights.safetensors"), check, had_old)


def training(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    """The state and the log of a training, three times saved; it goes on from what was saved."""
    import torch

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(session / "home")  # which torch makes where it is imported
    from mednextseg.adapt.resumable_training import LOG_FILE, ResumableTraining

    class Training(ResumableTraining):
        def _train(self) -> None:
            while self.step < 3:
                self.step += 1
                self._record({"step": self.step}, float(self.step))

    def run() -> None:
        network = torch.nn.Linear(20, 20)
        Training(place, network, torch.optim.SGD(network.parameters(), 0.1, momentum=0.9), 0.9).run()

    def check(file: Path) -> None:
        if file.name == LOG_FILE:
            _whole(lambda: [json.loads(line)["step"] for line in file.read_text().splitlines()], file)
        else:
            _whole(lambda: torch.load(file, weights_only=True)["step"], file)

    return Write(place, run, check)


def export(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    from mednextseg.models.install.installation import install

    had_old = _put_old(rng, place / "model.zip")

    def check(file: Path) -> None:
        with _home(inputs / "check"):
            shutil.rmtree(_whole(lambda: install(file, accept_license=True), file))

    return Write(
        place, lambda: run_command("models", "export", shared_package(session), "-o", place / "model.zip"), check, had_old
    )


def installation(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    """From a zip or a folder."""
    from mednextseg.models.install.installation import export_model, install

    source = shared_package(session)
    if rng.integers(2):
        source = export_model(source, inputs / "model.zip")
    return Write(place, lambda: _at_home(place, lambda: install(source, accept_license=True)), _is_installed)


def import_of_weights(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    """A checkpoint of another program, with a card beside it."""
    import torch

    from mednextseg.models.weights import read_safetensors

    package = shared_package(session)
    torch.save({"state_dict": read_safetensors(package / "weights.safetensors")}, inputs / "net.pth")
    card = json.loads((package / "card.json").read_text())
    own = ("id", "version", "family", "architecture", "weights_sha256")
    (inputs / "net.json").write_text(json.dumps({name: value for name, value in card.items() if name not in own}))
    command = ("models", "import", inputs / "net.pth", "--id", "brought", "--accept-license")
    return Write(place, lambda: _at_home(place, lambda: run_command(*command)), _is_installed)


def evaluation(rng: np.random.Generator, inputs: Path, place: Path, session: Path, shape: tuple[int, ...]) -> Write:
    """Of three cases; those that found room are taken from the folder the next time."""
    from mednextseg.evaluate.folders import evaluate_files, match_cases
    from mednextseg.evaluate.measure_options import MeasureOptions

    for side in ("reference", "prediction"):
        (inputs / side).mkdir()
        for n in range(3):
            write_nifti(inputs / side / f"case{n}.nii.gz", steps_of(step_volume(rng, (6, 7, 8))), np.eye(4))

    def run() -> None:
        cases, found = match_cases(inputs / "reference", inputs / "prediction")
        evaluate_files(cases, found, MeasureOptions(), place)
        if found.failed:
            raise OSError(next(iter(found.failed.values())))
        must(len(found.results) == 3, WRONG, f"{len(found.results)} of 3 cases")

    return Write(place, run, lambda file: _whole(lambda: json.loads(file.read_text())["result"], file))


WRITES = (
    labels, segment, folder_of_cases, refine, dicom_seg, text, weights, training, export, installation, import_of_weights, evaluation,
)  # fmt: skip


def _output(rng: np.random.Generator, place: Path) -> tuple[Path, bool]:
    output = place / f"labels{rng.choice(['.seg.nrrd', '.nii', '.nii.gz', '.nrrd', '.mha'])}"
    return output, _put_old(rng, output)


def _put_old(rng: np.random.Generator, output: Path) -> bool:
    """Now and then an old file of that name."""
    if rng.integers(2):
        return False
    output.write_bytes(OLD)
    return True


def _labels_are(wanted: np.ndarray) -> Callable[[Path], None]:
    def check(file: Path) -> None:
        from mednextseg.segmentation_io import read_segmentation

        must_equal(_whole(lambda: read_segmentation(file), file).labelmap_kji, wanted, file.name)

    return check


def _whole(read: Callable[[], object], file: Path) -> object:
    """What the call returns; Fault where it cannot read the file."""
    try:
        return read()
    except Exception as error:  # whatever the reader makes of a file that is not whole
        raise Fault(WRONG, f"{file.name} is not whole: {error}") from error


def _same(found: dict, wanted: dict) -> None:
    import torch

    must(set(found) == set(wanted) and all(torch.equal(found[name], wanted[name]) for name in wanted), WRONG, "other tensors")


def _is_installed(file: Path) -> None:
    from mednextseg.models.library import verify_model

    if "models" in file.parts and file.name == "card.json":
        problems = verify_model(file.parent)
        must(not problems, WRONG, f"the model is not whole: {problems}")
    elif file.suffix == ".json":
        _whole(lambda: json.loads(file.read_text()), file)


def _at_home(place: Path, call: Callable[[], object]) -> object:
    with _home(place):
        return call()


@contextmanager
def _home(place: Path):
    before = os.environ["MEDNEXTSEG_HOME"]
    os.environ["MEDNEXTSEG_HOME"] = str(place)
    try:
        yield
    finally:
        os.environ["MEDNEXTSEG_HOME"] = before
