"""A segmentation node -> a DICOM segmentation, by the extension that makes them in Slicer: Quantitative Reporting."""

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from mednextseg.files import check_writable, replacing

_PLUGIN, _EXPORTER = "DICOMSegmentationPlugin", "DICOMSegmentationExporter"


def exportDicomSeg(segmentationNode, path) -> None:
    """Write the node's segments, whole or not at all; empty ones are left out.

    Args:
        segmentationNode: vtkMRMLSegmentationNode whose source volume was loaded by the DICOM module.
        path: file that ends in .dcm.
    Raises:
        ValueError: in one sentence, where the extension is missing, the source volume is no DICOM, or the extension refuses.
        OSError: where the file cannot be written.
    """
    path = Path(path)
    check_writable(path, (".dcm",))
    exporterClass = _exporterClass()
    volumeNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    if volumeNode is None or not volumeNode.GetAttribute("DICOM.instanceUIDs"):
        raise ValueError(
            _("{name} lies on no volume that was loaded by the DICOM module; load the series there, and segment it.").format(
                name=segmentationNode.GetName()
            )
        )
    exporter = exporterClass(segmentationNode)
    try:
        with replacing(path) as temporary:
            about = {"SeriesDescription": segmentationNode.GetName(), "ContentCreatorName": "MedNeXtSegment"}
            exporter.export(str(temporary.parent), temporary.name, about, skipEmpty=True)
    except (ValueError, RuntimeError, AttributeError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            _("Quantitative Reporting could not write {path} ({said}); see Slicer's error log.").format(path=path, said=said)
        ) from error
    finally:
        exporter.cleanup()


def _exporterClass():
    """The extension's own class, by the module in which its plugin is registered."""
    plugin = getattr(slicer.modules, "dicomPlugins", {}).get(_PLUGIN)
    exporterClass = getattr(sys.modules.get(getattr(plugin, "__module__", "")), _EXPORTER, None)
    if exporterClass is None:
        raise ValueError(
            _(
                "A DICOM segmentation needs the extension Quantitative Reporting; install it in the Extensions Manager and start "
                "Slicer again."
            )
        )
    return exporterClass
