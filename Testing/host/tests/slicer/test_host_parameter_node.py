"""The host's parameterNodeWrapper, without widgets."""

import enum
import pathlib
from typing import Annotated

import pytest
import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import Choice, Default, Maximum, Minimum, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from slicerhost import slicer_python


class Device(enum.Enum):
    AUTO = "auto"
    CPU = "cpu"


@parameterNodeWrapper
class Parameters:
    """Its docstring stays."""

    volume: vtkMRMLScalarVolumeNode
    output: vtkMRMLSegmentationNode | None
    overlap: Annotated[float, WithinRange(0, 0.9)] = 0.5
    windows: Annotated[int, Minimum(1), Maximum(8)] = 4
    quality: Annotated[str, Choice(["fast", "best"])] = "best"
    label: Annotated[str, Default("tumour")]
    tta: bool = True
    device: Device
    models: pathlib.Path

    def summary(self):
        return f"{self.quality} on {self.device.value}"


stricter_than_slicer = pytest.mark.skipif(
    slicer_python.uses_slicers_own_files(), reason="Slicer's own wrapper accepts this, or knows more types"
)


class HostParametersLogic(ScriptedLoadableModuleLogic):
    pass


@pytest.fixture
def node():
    return HostParametersLogic().getParameterNode()


def test_values_start_with_their_defaults(node):
    parameters = Parameters(node)
    assert parameters.volume is None
    assert (parameters.overlap, parameters.windows, parameters.quality, parameters.label) == (0.5, 4, "best", "tumour")
    assert (parameters.tta, parameters.device, parameters.models) == (True, Device.AUTO, pathlib.Path())
    assert parameters.summary() == "best on auto"
    assert Parameters.__doc__ == "Its docstring stays."
    assert parameters.default("overlap").value == 0.5


def test_values_are_kept_in_the_node_for_every_wrapper_of_it(node):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    parameters = Parameters(node)
    parameters.volume = volume
    parameters.overlap = 1 / 3
    parameters.tta = False
    parameters.device = Device.CPU
    parameters.models = pathlib.Path("some") / "folder"
    other = Parameters(node)
    assert other.volume is volume
    assert other.overlap == 1 / 3
    assert (other.tta, other.device, other.models) == (False, Device.CPU, pathlib.Path("some/folder"))
    slicer.mrmlScene.RemoveNode(volume)
    assert other.volume is None


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("overlap", 0.95, ValueError),
        ("windows", 0, ValueError),
        ("windows", 9, ValueError),
        ("windows", 2.5, TypeError),
        ("quality", "worst", ValueError),
        ("label", 3, TypeError),
        ("device", "cpu", TypeError),
    ],
)
def test_wrong_values_are_refused_and_change_nothing(node, name, value, error):
    parameters = Parameters(node)
    before = getattr(parameters, name)
    with pytest.raises(error):
        setattr(parameters, name, value)
    assert getattr(parameters, name) == before


def test_a_node_of_another_class_is_refused(node):
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    with pytest.raises(TypeError, match="vtkMRMLScalarVolumeNode"):
        Parameters(node).volume = segmentation


@stricter_than_slicer
def test_a_bool_is_no_number(node):
    with pytest.raises(TypeError, match="windows takes int"):
        Parameters(node).windows = True


@stricter_than_slicer
def test_a_misspelled_parameter_is_refused(node):
    with pytest.raises(AttributeError, match="overlapp"):
        Parameters(node).overlapp = 0.5


@stricter_than_slicer
def test_an_unknown_type_raises_instead_of_pretending():
    with pytest.raises(NotImplementedError, match="dict"):

        @parameterNodeWrapper
        class Unknown:
            labels: dict[str, int]


def test_parameters_survive_saving_and_loading_the_scene(node, tmp_path):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "kept")
    parameters = Parameters(node)
    parameters.volume = volume
    parameters.overlap = 0.125
    parameters.device = Device.CPU
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear(False)
    assert slicer.mrmlScene.Import()
    loaded = Parameters(HostParametersLogic().getParameterNode())
    assert loaded.volume.GetName() == "kept"
    assert (loaded.overlap, loaded.device) == (0.125, Device.CPU)


def test_writing_a_value_tells_the_observers(node):
    parameters = Parameters(node)
    calls = []
    tag = parameters.AddObserver("ModifiedEvent", lambda *_: calls.append(1))
    parameters.tta = False
    assert len(calls) == 1
    parameters.RemoveObserver(tag)
    parameters.tta = True
    assert len(calls) == 1
