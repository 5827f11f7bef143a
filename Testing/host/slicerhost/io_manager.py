"""Stand-in for qSlicerCoreIOManager: the calls slicer.util's load and save functions make, on real MRML storage nodes."""

import os
from dataclasses import dataclass

import slicer
import vtk


@dataclass(frozen=True)
class FileType:
    """One of Slicer's file types: its name, the nodes it holds and the file name endings it answers to."""

    name: str
    node_class: str
    endings: tuple[str, ...]


# Order matters: .seg.nrrd must be asked before .nrrd.
FILE_TYPES = (
    FileType("SegmentationFile", "vtkMRMLSegmentationNode", (".seg.nrrd", ".seg.nhdr", ".seg.nii.gz", ".seg.nii", ".vtm")),
    FileType("VolumeFile", "vtkMRMLScalarVolumeNode", (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd", ".hdr")),
    FileType("MarkupsFile", "vtkMRMLMarkupsNode", (".mrk.json", ".fcsv")),
    FileType("ModelFile", "vtkMRMLModelNode", (".vtk", ".vtp", ".stl", ".ply", ".obj")),
    FileType("TransformFile", "vtkMRMLTransformNode", (".h5", ".tfm", ".mat")),
    FileType("TableFile", "vtkMRMLTableNode", (".tsv", ".csv")),
    FileType("TextFile", "vtkMRMLTextNode", (".txt",)),
)
NO_FILE = "NoFile"  # Slicer's name for "nobody knows this file"


def _matching_type(file_name: str) -> tuple[FileType, str] | None:
    for file_type in FILE_TYPES:
        for ending in file_type.endings:
            if file_name.lower().endswith(ending):
                return file_type, ending
    return None


def _node_name(file_name: str) -> str:
    base_name = os.path.basename(file_name)
    match = _matching_type(base_name)
    return base_name[: -len(match[1])] if match else os.path.splitext(base_name)[0]


def _load_volume(file_name: str, name: str, properties: dict, _messages):
    # Bits of vtkSlicerVolumesLogic::LoadingOptions: 1 label map, 4 do not touch the views' window/level and orientation.
    options = (1 if properties.get("labelmap") else 0) | (0 if properties.get("show", True) else 4)
    return slicer.modules.volumes.logic().AddArchetypeVolume(file_name, name, options)


def _load_segmentation(file_name: str, name: str, _properties, _messages):
    return slicer.modules.segmentations.logic().LoadSegmentationFromFile(file_name, True, name)


def _load_markups(file_name: str, name: str, _properties, messages):
    logic = slicer.modules.markups.logic()
    if file_name.lower().endswith(".json"):
        node_id = logic.LoadMarkups(file_name, name, messages)
    else:
        node_id = logic.LoadMarkupsFiducials(file_name, name)
    return slicer.mrmlScene.GetNodeByID(node_id) if node_id else None


def _load_by_storage_node(file_type: FileType, file_name: str, name: str):
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass(file_type.node_class, name)
    node.AddDefaultStorageNode(file_name)
    storage = node.GetStorageNode()
    if storage.ReadData(node):
        return node
    scene.RemoveNode(storage)
    scene.RemoveNode(node)
    return None


_LOADERS = {"VolumeFile": _load_volume, "SegmentationFile": _load_segmentation, "MarkupsFile": _load_markups}


class CoreIOManager:
    """The subset of qSlicerCoreIOManager that slicer.util needs."""

    def fileType(self, fileName) -> str:
        match = _matching_type(str(fileName))
        return match[0].name if match else NO_FILE

    def fileWriterFileType(self, node, _format="") -> str:
        return next((file_type.name for file_type in FILE_TYPES if node.IsA(file_type.node_class)), NO_FILE)

    def loadNodes(self, fileType, properties, loadedNodes, userMessages=None) -> bool:
        file_name = properties["fileName"]
        name = properties.get("name") or _node_name(file_name)
        if not os.path.isfile(file_name):
            if userMessages:
                userMessages.AddMessage(vtk.vtkCommand.ErrorEvent, f"File not found: {file_name}")
            return False
        known = next((candidate for candidate in FILE_TYPES if candidate.name == fileType), None)
        if known is None:
            raise NotImplementedError(f"The host cannot read file type {fileType} ({file_name}).")
        if fileType in _LOADERS:
            node = _LOADERS[fileType](file_name, name, properties, userMessages)
        else:
            node = _load_by_storage_node(known, file_name, name)
        if node is None:
            return False
        loadedNodes.AddItem(node)
        return True

    def saveNodes(self, fileType, properties, userMessages=None) -> bool:
        if fileType in (NO_FILE, "SceneFile"):
            raise NotImplementedError(
                f"The host cannot write file type {fileType}; for scenes use slicer.mrmlScene.WriteToMRB."
            )
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        file_name = str(properties["fileName"])
        if not node.GetStorageNode():
            node.AddDefaultStorageNode(file_name)
        storage = node.GetStorageNode()
        storage.SetFileName(file_name)
        if "useCompression" in properties:
            storage.SetUseCompression(int(properties["useCompression"]))
        written = bool(storage.WriteData(node))
        if not written and userMessages:
            userMessages.AddMessages(storage.GetUserMessages())
        return written
