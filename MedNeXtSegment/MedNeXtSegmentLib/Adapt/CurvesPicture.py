"""The picture of a running adaptation: the loss of every training, and Dice on held-out patches, over the steps."""

from collections.abc import Sequence

import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Adapt.TrainingFolder import Curve

_HEIGHT_PX, _MARGIN_PX, _TEXT_PX = 150, 8, 16
_LEAST_WIDTH_PX = 240
# Told apart with color blindness, too (Okabe and Ito).
_COLORS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233))

Points = list[tuple[float, float]]


def curvesPixmap(curves: Sequence[Curve], widthPx: int):
    """A QPixmap of two plots side by side, a color for each training."""
    width = max(widthPx, _LEAST_WIDTH_PX)
    pixmap = qt.QPixmap(width, _HEIGHT_PX)
    pixmap.fill(qt.QColor(255, 255, 255))
    losses = [list(zip(curve.steps, curve.losses, strict=True)) for curve in curves]
    pairs = [zip(curve.steps, curve.dice, strict=True) for curve in curves]
    dice = [[(step, value) for step, value in training if value is not None] for training in pairs]
    largest = max((loss for line in losses for _step, loss in line), default=1.0)
    painter = qt.QPainter()
    painter.begin(pixmap)
    _plot(painter, 0, width // 2, _("Training loss"), losses, max(largest, 1e-6))
    _plot(painter, width // 2, width // 2, _("Dice on held-out patches"), dice, 1.0)
    painter.end()
    return pixmap


def _plot(painter, left: int, width: int, title: str, lines: list[Points], top: float) -> None:
    """One plot from 0 to `top`, as wide as the longest line."""
    x0, x1 = left + _MARGIN_PX, left + width - _MARGIN_PX
    y0, y1 = _HEIGHT_PX - _TEXT_PX - _MARGIN_PX, _TEXT_PX + _MARGIN_PX
    last = max((step for line in lines for step, _value in line), default=1)
    painter.setPen(qt.QPen(qt.QColor(70, 70, 70)))
    painter.drawText(x0, _TEXT_PX, f"{title} (0 - {top:.3g})")
    painter.drawText(x0, _HEIGHT_PX - _MARGIN_PX, _("{count} steps").format(count=last))
    painter.drawLine(x0, y0, x1, y0)
    painter.drawLine(x0, y0, x0, y1)
    for number, line in enumerate(lines):
        pen = qt.QPen(qt.QColor(*_COLORS[number % len(_COLORS)]))
        pen.setWidth(2)
        painter.setPen(pen)
        places = [(round(x0 + (x1 - x0) * step / last), round(y0 + (y1 - y0) * value / top)) for step, value in line]
        for (fromX, fromY), (toX, toY) in zip([places[0], *places] if places else [], places, strict=False):
            painter.drawLine(fromX, fromY, toX, toY)
