"""What the panel asks for, kept in the scene: node references and plain values with limits."""

from typing import Annotated

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import Minimum, WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class MedNeXtSegmentParameterNode:
    """The parameters of an automatic run, of an evaluation and of an adaptation.

    Attributes:
        inputVolume, inputVolume2, inputVolume3, inputVolume4: the channels, in the order of the model card.
        roi: label only inside; None for the whole volume.
        wholeVolume: run a model that needs a region over the whole volume all the same.
        modelId: id of an installed model; empty for none.
        labelNames: names of the labels to keep, one a line; empty for all.
        outputSegmentation: None makes a new one on Apply.
        device: "auto" or the id of a device ("cpu", "cuda:0", "mps"); a scene from another machine may name one that is missing here.
        useCardOverlap: take the overlap of neighboring windows from the model card rather than from `overlap`.
        budget: share of the windows to look at; 1 looks at every window.
        tta: average over mirrored copies of the volume.
        ensemble: average over all the networks of the model, where it has more than one.
        useCardCleanUp: clean up as the model card says rather than as the three parameters below.
        keepLargest, fillHoles: of every segment.
        minimumVolumeMm3: pieces of a segment smaller than this are removed, mm3.
        show3D: show the segments in the 3D view when a run is done.
        useDisplayedWindow: answer clicks on the intensities as the volume is displayed, rather than on percentiles of each slice.
        evaluateReference, evaluateTest: the segmentation that counts as right, and the one that is measured against it.
        evaluateVolume: what both were drawn on; None shows no volume.
        showErrorMap: make segments of the false positive and false negative voxels.
        adaptModelId: id of the model to start from; empty for none.
        adaptDataset: folder of cases to learn from; empty for the cases of the scene.
        adaptCaseCount: number of those, whose nodes Adapt/SceneCases.py knows.
        adaptCollectedExceptions: ids of collected cases, one a line, that are learned from though of another model, or left out.
        adaptMethod, adaptLoss, adaptSampling, adaptMinutes: what is trained, by which loss, on which patches, and for how long in all.
        adaptToleratedLoss: of Dice that the gate lets a label lose.
        adaptLeaveOneOut: whether methods are compared with each case held out once.
        adaptFolder: for what comes out; empty for one in the module's home folder.
        adaptUnlabeled, adaptPretrainingSteps: folder of volumes to pre-train on, empty for none, and for how many steps.
        adaptPairs: folder of pairs of images without labels; empty for those of the scene, if any.
        adaptPairCount: number of those, whose nodes Adapt/SceneCases.py knows.
        adaptRegisterPairs: whether the two images of each pair are registered first.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    inputVolume2: vtkMRMLScalarVolumeNode
    inputVolume3: vtkMRMLScalarVolumeNode
    inputVolume4: vtkMRMLScalarVolumeNode
    roi: vtkMRMLMarkupsROINode
    wholeVolume: bool = False
    modelId: str = ""
    labelNames: str = ""
    outputSegmentation: vtkMRMLSegmentationNode
    device: str = "auto"
    useCardOverlap: bool = True
    overlap: Annotated[float, WithinRange(0.0, 0.9)] = 0.5
    budget: Annotated[float, WithinRange(0.0, 1.0)] = 1.0
    tta: bool = False
    ensemble: bool = True
    useCardCleanUp: bool = True
    keepLargest: bool = False
    fillHoles: bool = False
    minimumVolumeMm3: Annotated[float, Minimum(0.0)] = 0.0
    show3D: bool = True
    useDisplayedWindow: bool = True
    evaluateReference: vtkMRMLSegmentationNode
    evaluateTest: vtkMRMLSegmentationNode
    evaluateVolume: vtkMRMLScalarVolumeNode
    showErrorMap: bool = True
    adaptModelId: str = ""
    adaptDataset: str = ""
    adaptCaseCount: Annotated[int, Minimum(0)] = 0
    adaptCollectedExceptions: str = ""
    adaptMethod: str = "all"
    adaptLoss: str = "dice-ce"
    adaptSampling: str = "usual"
    adaptMinutes: Annotated[float, WithinRange(0.01, 10080.0)] = 10.0
    adaptToleratedLoss: Annotated[float, WithinRange(0.0, 1.0)] = 0.01
    adaptLeaveOneOut: bool = False
    adaptFolder: str = ""
    adaptUnlabeled: str = ""
    adaptPretrainingSteps: Annotated[int, WithinRange(1, 1000000)] = 100
    adaptPairs: str = ""
    adaptPairCount: Annotated[int, Minimum(0)] = 0
    adaptRegisterPairs: bool = False


def inputVolumesOf(parameterNode: MedNeXtSegmentParameterNode, count: int) -> list:
    """The volume nodes of the first `count` channels; None where one is not chosen."""
    names = ("inputVolume", "inputVolume2", "inputVolume3", "inputVolume4")[:count]
    return [getattr(parameterNode, name) for name in names]


def labelNamesOf(parameterNode: MedNeXtSegmentParameterNode) -> list[str] | None:
    """Names of the labels to keep; None for all."""
    return parameterNode.labelNames.splitlines() or None


def recipeOf(parameterNode: MedNeXtSegmentParameterNode, labelNames: list[str]) -> dict:
    """The parameters as fields of mednextseg.segment.recipe.SegmentRecipe.

    Args:
        parameterNode: the parameters.
        labelNames: all labels of the model, to which the clean-up applies.
    """
    recipe: dict = {"tta": parameterNode.tta}
    if parameterNode.budget < 1:
        recipe["budget"] = parameterNode.budget
    if not parameterNode.ensemble:
        recipe["ensemble"] = False
    if not parameterNode.useCardOverlap:
        recipe["overlap"] = parameterNode.overlap
    if not parameterNode.useCardCleanUp:
        steps = {
            "keep_largest": parameterNode.keepLargest,
            "fill_holes": parameterNode.fillHoles,
            "min_volume_mm3": parameterNode.minimumVolumeMm3,
        }
        recipe["postprocessing"] = {name: dict(steps) for name in labelNames}
        recipe["component_rules"] = []
    return recipe
