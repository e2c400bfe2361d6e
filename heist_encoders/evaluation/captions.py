"""Captions on the pictures of a game that is played."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

ACTIONS = (
    "left down", "left", "left up", "down", "stay", "up", "right down", "right", "right up",
    "D", "A", "W", "S", "Q", "E",
)  # fmt: skip
"""What Procgen's 15 actions are: directions, and six keys that few games use."""
BAR = 20
"""Height of the strip that a caption stands in, in pixels."""


def caption(step: int, total: float, action: int | None) -> str:
    """``step 3, return 0, right``; without an action when the episode is over."""
    end = "end" if action is None else ACTIONS[action]
    return f"step {step}, return {total:g}, {end}"


def captioned(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The picture with a strip of ``BAR`` pixels and the text above it.

    Args:
        picture: uint8 (H, W, 3), enlarged already. text: one line; what does not fit is cut.

    Returns:
        uint8 (H + BAR, W, 3).
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (picture.shape[1], picture.shape[0] + BAR), "white")
    image.paste(Image.fromarray(picture), (0, BAR))
    ImageDraw.Draw(image).text((4, 3), text, fill="black", font=_letters())
    return np.asarray(image)


@functools.cache
def _letters() -> FreeTypeFont:
    from heist_encoders.evaluation.pictures import font

    return font(13)
