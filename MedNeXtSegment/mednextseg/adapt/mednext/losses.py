"""Dice + cross-entropy over every deep supervision head, by MONAI's losses."""

from monai.losses import DeepSupervisionLoss, DiceCELoss


def segmentation_loss() -> DeepSupervisionLoss:
    """Loss of a list of logits (full size first) against one labelmap (N, 1, K, J, I).

    The heads weigh 1, 1/2, 1/4, ... and the labels are brought to their grids by nearest neighbor, as nnU-Net does it.
    Dice runs over the batch and leaves out the background.
    """
    dice_and_cross_entropy = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    return DeepSupervisionLoss(dice_and_cross_entropy, weight_mode="exp")
