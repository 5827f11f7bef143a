"""Prompts drawn as the input channels of ClickNet; the same drawing in training and in use."""

import numpy as np


def prompt_channels(
    image_rc: np.ndarray,
    points_rc: np.ndarray,
    labels: np.ndarray,
    box_rc: tuple[float, float, float, float] | None,
    previous_rc: np.ndarray | None,
    disk_radius_px: float,
) -> np.ndarray:
    """The channels image, positive, negative, box, previous.

    Args:
        image_rc: (H, W) intensities in [0, 1].
        points_rc: (N, 2) continuous (row, col), pixel centers on whole numbers.
        labels: (N,) 1 for object, 0 for background.
        box_rc: r0, c0, r1, c1, half-open pixel indices: a pixel is inside where r0 <= row + 0.5 <= r1, likewise for columns.
        previous_rc: (H, W) probability of the last result, or None.
        disk_radius_px: radius of the binary disk of a click.
    Returns:
        (5, H, W) float32; the image scaled to [-1, 1]; disks, box and previous in [0, 1].
    """
    rows, cols = image_rc.shape
    channels = np.zeros((5, rows, cols), np.float32)
    channels[0] = image_rc * 2.0 - 1.0
    for (row, col), label in zip(points_rc, labels, strict=True):
        _draw_disk(channels[1 if label else 2], float(row), float(col), disk_radius_px)
    if box_rc is not None:
        r0, c0, r1, c1 = (int(np.ceil(edge - 0.5)) for edge in box_rc)
        channels[3, max(r0, 0) : max(r1, 0), max(c0, 0) : max(c1, 0)] = 1.0
    if previous_rc is not None:
        channels[4] = previous_rc
    return channels


def _draw_disk(channel_rc: np.ndarray, row: float, col: float, radius_px: float) -> None:
    reach = int(np.ceil(radius_px))
    r0, c0 = max(round(row) - reach, 0), max(round(col) - reach, 0)
    part = channel_rc[r0 : round(row) + reach + 1, c0 : round(col) + reach + 1]
    rows, cols = np.ogrid[r0 : r0 + part.shape[0], c0 : c0 + part.shape[1]]
    part[(rows - row) ** 2 + (cols - col) ** 2 <= radius_px**2 + 0.25] = 1.0
