"""What the labels of a skip map mean (windows/skip_map.py); the standard library only, because Slicer's process reads it too."""

from mednextseg.labels.label import Label

SKIP_LABELS = (Label(1, "not looked at", (200, 60, 60)), Label(2, "looked at less often", (230, 190, 80)))
