"""The MRML scene and the module logics that 3D Slicer creates at start-up, made of slicer-core. Without Qt."""

import slicer
import vtk

# Slicer's name of each module and the logic class it registers with the application logic.
MODULE_LOGIC_CLASSES = {
    "Colors": "vtkMRMLColorLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
}
# The Terminologies logic is left out on purpose: without Slicer's share folder it only prints errors.


def remove_leaked_names() -> list[str]:
    """Delete every slicer.util name that slicer-core's meta-package puts into `slicer` as well.

    In 3D Slicer `slicer.loadVolume` does not exist; with the leak, tests would pass on code that fails there.

    Returns:
        The names that were removed.
    """
    leaked = [
        name
        for name in dir(slicer.util)
        if not name.startswith(("_", "vtk")) and getattr(slicer, name, None) is getattr(slicer.util, name)
    ]
    for name in leaked:
        delattr(slicer, name)
    return leaked


def send_vtk_messages_to_stderr() -> None:
    """Without this, VTK on Windows opens a window for each message."""
    output = vtk.vtkOutputWindow()
    output.SetDisplayModeToAlwaysStdErr()
    vtk.vtkOutputWindow.SetInstance(output)


def create_application_logic(temporary_path: str) -> "slicer.vtkSlicerApplicationLogic":
    """Application logic with an empty scene, default colors, slice presets and both displayable-manager factories."""
    application_logic = slicer.vtkSlicerApplicationLogic()
    application_logic.SetTemporaryPath(temporary_path)
    for factory in (slicer.vtkMRMLThreeDViewDisplayableManagerFactory, slicer.vtkMRMLSliceViewDisplayableManagerFactory):
        factory.GetInstance().SetMRMLApplicationLogic(application_logic)

    scene = slicer.vtkMRMLScene()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)

    application_logic.SetMRMLScene(scene)
    application_logic.GetColorLogic().SetMRMLScene(scene)
    application_logic.GetColorLogic().AddDefaultColorNodes()
    application_logic.SetSliceLogics(vtk.vtkCollection())
    application_logic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    return application_logic


def create_module_logics(application_logic: "slicer.vtkSlicerApplicationLogic") -> "dict[str, slicer.vtkMRMLAbstractLogic]":
    """One connected logic for each of MODULE_LOGIC_CLASSES, keyed by module name."""
    logics = {}
    for module_name, class_name in MODULE_LOGIC_CLASSES.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(application_logic.GetMRMLScene())
        application_logic.SetModuleLogic(module_name, logic)
        logics[module_name] = logic
    return logics


def keep_subject_hierarchy_in_step(scene: "slicer.vtkMRMLScene") -> None:
    """Create and remove a subject hierarchy item with every displayable node.

    A Qt class does this in 3D Slicer. Without it, segment edits complain about missing items and stale pointers stay behind.
    """

    def hierarchy_for(node):
        if not node.IsA("vtkMRMLDisplayableNode"):
            return None
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_added(_caller, _event, node):
        hierarchy = hierarchy_for(node)
        if hierarchy and not node.GetHideFromEditors() and not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_about_to_be_removed(_caller, _event, node):
        hierarchy = hierarchy_for(node)
        item_id = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        if item_id:
            hierarchy.RemoveItem(item_id, False, False)  # neither the data node (it goes anyway) nor its children

    scene.AddObserver(scene.NodeAddedEvent, on_node_added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, on_node_about_to_be_removed)
