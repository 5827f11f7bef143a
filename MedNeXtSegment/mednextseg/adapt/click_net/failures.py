"""A picture of the objects on which a prompter does worst, to see why."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from mednextseg.adapt.click_net.clicks import SimulatedUser, bounding_box
from mednextseg.adapt.click_net.metrics import Target
from mednextseg.refine.prompter import Prompter
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.slices.slice_session import SliceSession

_SIDE_PX, _CAPTION_PX = 256, 14
_CLICKS = 5
_TRUTH, _ANSWER = (60, 220, 60), (255, 70, 70)


def draw_failures(prompter: Prompter, targets: list[Target], rows: list[dict], path: Path, count: int = 12) -> None:
    """Write a PNG: a row for each of the worst objects, at most one of a set, with the answers to one click, five clicks and a box.

    Args:
        prompter: the method whose rows come first after those of the baselines.
        targets: as given to `evaluate`.
        rows: what it returned.
        path: file to write.
        count: rows of the picture.
    """
    methods = [row["method"] for row in rows if row["method"] != "baselines"]
    scores = [row["d1"] + row["d5"] + row["box_0"] for row in rows if row["method"] == methods[0]]
    worst: dict[str, Target] = {}
    for n in np.argsort(scores, kind="stable"):
        worst.setdefault(targets[n].dataset, targets[n])
    pictures = [_row_of(prompter, target) for target in list(worst.values())[:count]]
    Image.fromarray(np.concatenate(pictures)).save(path)


def _row_of(prompter: Prompter, target: Target) -> np.ndarray:
    embedding = prompter.encode(target.image_rc, (1.0, 1.0), (0.0, 1.0))
    session, user, first = SliceSession(prompter, embedding), SimulatedUser(), None
    for _ in range(_CLICKS):
        click = user.correction(session.mask, target.truth_rc)
        if click is None:
            break
        session.add_point(click[:2], bool(click[2]))
        first = session.mask if first is None else first
    boxed = prompter.predict(embedding, Prompts(box=np.array(bounding_box(target.truth_rc)))).mask
    answers = {"1 click": first, f"{_CLICKS} clicks": session.mask, "exact box": boxed}
    return np.concatenate([_tile(target, mask, caption) for caption, mask in answers.items()], axis=1)


def _tile(target: Target, mask_rc: np.ndarray, caption: str) -> np.ndarray:
    """The slice with the truth's outline in green and the answer's in red."""
    picture = np.repeat((target.image_rc * 255).astype(np.uint8)[..., None], 3, axis=2)
    for outlined, color in ((target.truth_rc, _TRUTH), (mask_rc, _ANSWER)):
        picture[outlined & ~ndimage.binary_erosion(outlined)] = color
    tile = np.zeros((_SIDE_PX + _CAPTION_PX, _SIDE_PX, 3), np.uint8)
    picture = picture[:_SIDE_PX, :_SIDE_PX]
    tile[_CAPTION_PX : _CAPTION_PX + picture.shape[0], : picture.shape[1]] = picture
    image = Image.fromarray(tile)
    ImageDraw.Draw(image).text((2, 1), f"{target.dataset}, {caption}", fill=(255, 255, 255))
    return np.asarray(image)
