"""One automatic run as it is asked for: it travels from the panel or the console to the worker."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from slicer.i18n import tr as _

from mednextseg.labels.label import Label
from mednextseg.models.library import find_model
from mednextseg.models.model_card import ModelCard, read_card
from MedNeXtSegmentLib.Scene.Regions import regionFromROINode
from MedNeXtSegmentLib.Scene.Volumes import channelsOf, volumeKey


@dataclass(frozen=True, eq=False)
class SegmentJob:
    """What is to be segmented, by which model, and how.

    Attributes:
        volumeNodes: vtkMRMLScalarVolumeNode of each channel, in the model's order.
        model: id of an installed model, or the folder of one.
        roiNode: vtkMRMLMarkupsROINode, where to label; None for the whole volume.
        labels: names of the labels to keep; None for all.
        recipe: fields of mednextseg.segment.recipe.SegmentRecipe.
        segmentationNode: vtkMRMLSegmentationNode to write into; None for a new one.
        device: "auto", "cpu", "cuda:N" or "mps".
        isWhole: insist on the whole volume with a model that needs a region.
    """

    volumeNodes: tuple
    model: str
    roiNode: object = None
    labels: Sequence[str] | None = None
    recipe: dict | None = None
    segmentationNode: object = None
    device: str = "auto"
    isWhole: bool = False

    @cached_property
    def card(self) -> ModelCard:
        """Of the model; ValueError for one that is not installed."""
        return read_card(find_model(self.model))

    @cached_property
    def keptLabels(self) -> list[Label]:
        """The card's labels that are wanted, in the card's order; a run that finds its own regions may write each on two sides.

        Raises:
            ValueError: for a name the model lacks, and for no name at all.
        """
        if self.labels is None:
            return list(self.card.labels)
        wanted = {self.card.label_named(name).name for name in self.labels}
        if not wanted:
            raise ValueError(_("No segment is selected; select at least one of the model's segments."))
        return [label for label in self.card.labels if label.name in wanted]

    def sentTo(self, worker) -> dict:
        """Check volumes and region, share the volumes with the worker, and return the parameters that every operation on them has.

        Args:
            worker: WorkerClient or InProcessEngine.
        Returns:
            "volumes", "model", "roi", "recipe", "device", "whole" of mednextseg.worker.operations.segment.
        Raises:
            ValueError: in one sentence, for nodes or a model that cannot be used; nothing was sent.
            RuntimeError: where the disk has no room for a volume.
        """
        channels = channelsOf(self.volumeNodes, self.card)
        if self.roiNode is not None:
            regionFromROINode(self.roiNode).index_bounds(channels[0][1])
        keys = [volumeKey(node, geometry) for node, (_array, geometry) in zip(self.volumeNodes, channels, strict=True)]
        for key, (volume_kji, geometry) in zip(keys, channels, strict=True):
            worker.shareVolume(key, volume_kji, geometry)
        return {"volumes": keys, **self.parameters()}

    def parameters(self) -> dict:
        """The parameters that do not depend on the volume, as `sentTo` gives them; ValueError for a region without extent."""
        region = None if self.roiNode is None else regionFromROINode(self.roiNode)
        return {
            "model": str(self.model),
            "roi": None if region is None else region.to_dict(),
            "recipe": self.recipe or {},
            "device": self.device,
            "whole": self.isWhole,
        }

    def withVolume(self, volumeNode) -> "SegmentJob":
        """The same on another volume: a node, or a list of one for each channel."""
        volumeNodes = tuple(volumeNode) if isinstance(volumeNode, (list, tuple)) else (volumeNode,)
        return replace(self, volumeNodes=volumeNodes)
