"""A volume to try the module on, in Slicer's Sample Data module. Nothing is downloaded before the user asks for it there."""

from pathlib import Path

from slicer.i18n import tr as _

CATEGORY = "MedNeXtSegment"
# Slicer's own MRHead: T1-weighted, donated for unrestricted use by the person in it.
_MR_HEAD_SHA256 = "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93"


def registerSampleVolume(iconsFolder: str) -> None:
    """Offer the sample; called once Slicer has started."""
    import SampleData

    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # Slicer 5.12 and newer
        logic.registerCustomSampleDataCategory(CATEGORY, title=_("MedNeXt Segment"))
    logic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName="MRHead for hippocampus",
        thumbnailFileName=str(Path(iconsFolder) / "MedNeXtSegment.png"),
        uris=f"https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/{_MR_HEAD_SHA256}",
        fileNames="MR-head.nrrd",
        nodeNames="MRHead",
        checksums=f"SHA256:{_MR_HEAD_SHA256}",
    )
