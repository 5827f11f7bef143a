"""Checkpoints are read whole; pickles that could run code are refused and change nothing on disk."""

import io
import os
import pickle
import runpy
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mednextseg.models.pickles.restricted_unpickler import Inert, RefusedPickleError, load_checkpoint, load_pickle


class Call:
    """Pickles as a call of any function: the classic attack."""

    def __init__(self, function: object, *args: object) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple:
        return self.function, self.args


def attacks(marker: Path) -> dict[str, object]:
    from torch.storage import _load_from_bytes

    inner = io.BytesIO()
    torch.save({"x": Call(os.mkdir, str(marker))}, inner)
    return {
        "posix.mkdir": Call(os.mkdir, str(marker)),
        "builtins.exec": Call(exec, f"import os; os.mkdir({str(marker)!r})"),
        "builtins.eval": Call(eval, f"__import__('os').mkdir({str(marker)!r})"),
        "builtins.getattr": Call(getattr, "text", "upper"),
        "runpy.run_path": Call(runpy.run_path, str(marker)),
        "torch.storage._load_from_bytes": Call(_load_from_bytes, inner.getvalue()),
        "numpy.load": Call(np.load, str(marker)),
        "torch.hub.load_state_dict_from_url": Call(torch.hub.load_state_dict_from_url, "http://localhost"),
        "torch.load": Call(torch.load, str(marker)),
        "torch.jit._serialization.load": Call(torch.jit.load, str(marker)),
    }


ATTACK_NAMES = sorted(attacks(Path("marker")))


@pytest.mark.parametrize("layout", ["zip", "legacy", "plain"])
@pytest.mark.parametrize("name", ATTACK_NAMES)
def test_hostile_pickles_are_refused_by_name_and_change_nothing(name: str, layout: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "hostile"
    content = {"state_dict": {"w": torch.zeros(2)} if layout != "plain" else {}, "trap": attacks(marker)[name]}
    if layout == "plain":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RefusedPickleError, match=rf"asks for (posix|nt|__builtin__|{name.rpartition('.')[0]})\.") as refusal:
        (load_pickle if layout == "plain" else load_checkpoint)(path)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_old_protocols_and_dotted_names_find_no_way_around(tmp_path: Path) -> None:
    path = tmp_path / "trap.pkl"
    for program in (
        b"cos\nmkdir\n(S'" + str(tmp_path / "x").encode() + b"'\ntR.",
        b"(S'" + str(tmp_path / "x").encode() + b"'\nios\nmkdir\n.",
        b"\x80\x04\x8c\x0bcollections\x8c\x1bOrderedDict.__init__.__call__\x93.",
        b"\x80\x04\x8c\x05torch\x8c\x02os\x93.",
        b"\x80\x04\x8c\x05torch\x8c\x06hub.os\x93.",
        b"\x80\x02\x82\x01.",  # extension registry
    ):
        path.write_bytes(program)
        with pytest.raises(ValueError, match=r"trap\.pkl"):
            load_pickle(path)
    assert not (tmp_path / "x").exists()


def test_numpy_objects_cannot_be_forged_from_bytes(tmp_path: Path) -> None:
    """Flags of a dtype that claim bytes are no objects would make numpy follow them as addresses."""
    forged = Call(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b")

    class Forged:
        def __reduce__(self) -> tuple:
            dtype = Call(np.dtype, "O8", False, True)
            return forged.function, forged.args, (1, (1,), dtype, False, b"A" * 8)

    path = tmp_path / "forged.pkl"
    path.write_bytes(pickle.dumps({"x": Forged()}))
    with pytest.raises(ValueError, match=r"forged\.pkl"):
        load_pickle(path)
    path.write_bytes(pickle.dumps(Call(np._core.multiarray.scalar, Call(np.dtype, "O8"), b"A" * 8)))
    with pytest.raises(ValueError, match="own bytes"):
        load_pickle(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoints_of_training_programs_are_read_whole(legacy: bool, tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.arange(4.0))
    optimizer = torch.optim.AdamW([parameter], lr=1e-3)
    parameter.square().sum().backward()
    optimizer.step()
    content = {
        "epoch": 7,
        "state_dict": OrderedDict(w=parameter, half=torch.ones(3, dtype=torch.bfloat16), scalar=torch.tensor(5)),
        "plot_stuff": ([np.float64(0.5), np.float32(-1)], [np.arange(6).reshape(2, 3)], np.array([], dtype="U3")),
        "init_args": {"device": torch.device("cuda"), "size": torch.Size([1, 2]), "dtype": torch.float16},
        "optimizer_state_dict": optimizer.state_dict(),
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.LinearLR(optimizer),
        "folder": Path("/somewhere/results"),
    }
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    read = load_checkpoint(path)
    assert torch.equal(read["state_dict"]["w"], parameter) and read["state_dict"]["half"].dtype == torch.bfloat16
    assert read["plot_stuff"][0] == [0.5, -1.0] and read["plot_stuff"][1][0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["init_args"] == {"device": torch.device("cuda"), "size": (1, 2), "dtype": torch.float16}
    assert torch.equal(read["optimizer_state_dict"]["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    assert isinstance(read["optimizer"], Inert) and isinstance(read["scheduler"], Inert)


@given(
    array=hnp.arrays(
        dtype=st.one_of(
            hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.floating_dtypes(), hnp.unicode_string_dtypes(max_len=8)
        ),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    ),
    protocol=st.integers(2, 5),
    fortran=st.booleans(),
)
def test_arrays_come_back_as_they_were(array: np.ndarray, protocol: int, fortran: bool, tmp_path: Path) -> None:
    array = np.asfortranarray(array) if fortran else array
    path = tmp_path / "arrays.pkl"
    path.write_bytes(_pickled_like_numpy_1(pickle.dumps([array, *array.ravel()[:1]], protocol)))
    if protocol == 5 and b"_frombuffer" in path.read_bytes():
        with pytest.raises(ValueError, match="_frombuffer"):
            load_pickle(path)
        return
    read = load_pickle(path)
    np.testing.assert_array_equal(read[0], array)
    assert read[0].dtype == array.dtype.newbyteorder("=")  # numpy itself turns bytes round on reading
    np.testing.assert_array_equal(read[1:], array.ravel()[:1])


def _pickled_like_numpy_1(data: bytes) -> bytes:
    """numpy 1 wrote numpy.core where numpy 2 writes numpy._core; protocol 2 has it as a plain line."""
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def test_the_golden_folders_are_read(golden: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(golden))
    import make_checkpoints

    sys.path.remove(str(golden))
    v1, v2 = make_checkpoints.complete(tmp_path)
    assert len(load_checkpoint(v1)["state_dict"]) == len(load_checkpoint(v2)["network_weights"]) > 200
    assert load_checkpoint(v2)["init_args"]["device"].type == "cuda"
    for folder in (v1.parent, golden / "nnunet_v1" / "numpy2_pickles"):
        plans = load_pickle(folder / "model_final_checkpoint.model.pkl")["plans"]
        properties = plans["dataset_properties"]["intensityproperties"][0]
        assert isinstance(float(properties["mean"]), float)
        assert list(plans["plans_per_stage"][0]["patch_size"]) == [48, 64, 64]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_files_get_one_sentence(share: float, legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"state_dict": {"w": torch.zeros(1000)}}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"^cut\.pth is truncated or not a whole checkpoint .* download it again\.$"):
        load_checkpoint(path)


def test_archives_that_torch_does_not_write_are_refused(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.pth", tmp_path / "packed.pth"
    torch.save({"state_dict": {"w": torch.zeros(100_000)}}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    with pytest.raises(ValueError, match="compressed"):
        load_checkpoint(path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(ValueError, match="TorchScript"):
        load_checkpoint(path)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="not a PyTorch checkpoint"):
        load_checkpoint(path)
    torch.save(torch.zeros(2), path)
    with pytest.raises(ValueError, match="holds a Tensor"):
        load_checkpoint(path)
