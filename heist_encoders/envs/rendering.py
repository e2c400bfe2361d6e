"""Pictures of what an environment's encoder keeps: the frame, beside it its reconstruction."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from heist_encoders.errors import MissingDependencyError
from heist_encoders.zoo.encoder import Encoder

SCALE: Final = 8
FPS: Final = 15


def render_modes() -> list[str]:
    """``rgb_array``, ``rgb_array_list``, and ``human`` where pygame is installed to open a window."""
    return ["rgb_array", "rgb_array_list", *(["human"] if importlib.util.find_spec("pygame") else [])]


Picture: TypeAlias = "NDArray[np.uint8] | list[NDArray[np.uint8]]"
"""What ``render`` gives of one game: uint8 (height, width, 3), or with ``rgb_array_list`` a list of such."""


def draw(frames: NDArray[np.uint8], encoder: Encoder | None) -> NDArray[np.uint8]:
    """Large pictures of frames.

    Args:
        frames: uint8 (N, 64, 64, 3).
        encoder: whose reconstructions to put on the right; None for the frames alone.

    Returns:
        uint8 (N, 512, 1024, 3), or (N, 512, 512, 3) without an encoder.
    """
    shown = frames
    if encoder is not None:
        shown = np.concatenate([frames, encoder.reconstruct(frames)], axis=2)  # (N, 64, 128, 3)
    large: NDArray[np.uint8] = shown.repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    return large


class Film:
    """What games showed since their episode began or the pictures were last taken: render_mode ``rgb_array_list``.

    It keeps frames, 12 kB a step, and draws when asked; gymnasium's ``RenderCollection`` would keep 1.5 MB a step.
    """

    def __init__(self, num: int) -> None:
        self._frames: list[list[NDArray[np.uint8]]] = [[] for _ in range(num)]

    def add(self, frames: NDArray[np.uint8], shown: NDArray[np.bool_], opened: NDArray[np.bool_]) -> None:
        """Keep uint8 (N, 64, 64, 3), which is not copied, of the games ``shown``; those ``opened`` begin anew."""
        for index in np.flatnonzero(shown):
            if opened[index]:
                self._frames[index].clear()
            self._frames[index].append(frames[index])

    def take(self, encoder: Encoder | None) -> tuple[list[NDArray[np.uint8]], ...]:
        """For each game its pictures, as ``draw`` makes them, oldest first. They are kept no longer."""
        taken, self._frames = self._frames, [[] for _ in self._frames]
        return tuple(list(draw(np.stack(frames), encoder)) if frames else [] for frames in taken)


class Window:
    """A window on the screen that shows one picture after the other, at 15 a second.

    Raises:
        MissingDependencyError: if pygame is not installed.
    """

    def __init__(self, title: str) -> None:
        if importlib.util.find_spec("pygame") is None:
            raise MissingDependencyError(
                "render_mode 'human' opens a window with pygame, which is not installed; pip install pygame, or use "
                "render_mode='rgb_array'"
            )
        self._title = title
        self._screen: Any = None  # pygame is optional, and has no types where it is absent
        self._clock: Any = None

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a uint8 (height, width, 3) picture and wait for its time to pass."""
        pygame = importlib.import_module("pygame")
        height, width = picture.shape[:2]
        if self._screen is None:
            pygame.init()
            pygame.display.set_caption(self._title)
            self._screen = pygame.display.set_mode((width, height))
            self._clock = pygame.time.Clock()
        self._screen.blit(pygame.surfarray.make_surface(picture.transpose(1, 0, 2)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(FPS)

    def close(self) -> None:
        """Close the window."""
        if self._screen is not None:
            pygame = importlib.import_module("pygame")
            pygame.display.quit()
            pygame.quit()
            self._screen = None
