"""Films: frames to an mp4 (H.264, by the ffmpeg that imageio-ffmpeg brings) or a GIF."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heist_encoders.constants import EVALUATION_LEVELS, FRAME_SHAPE, NUM_ACTIONS
from heist_encoders.errors import ConfigError, MissingDependencyError
from heist_encoders.evaluation.encoding import reconstruct_frames
from heist_encoders.evaluation.files import temporary_sibling
from heist_encoders.evaluation.frames import Frames
from heist_encoders.files import is_full_disk, no_room
from heist_encoders.paths import user_path

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder


def ffmpeg_executable() -> str:
    """Path of ffmpeg: ``$IMAGEIO_FFMPEG_EXE``, else imageio-ffmpeg's own, else the one on the PATH.

    imageio-ffmpeg isn't imported: the release that procgen's gym3 allows (0.3) needs ``pkg_resources``, which newer
    setuptools no longer bring.

    Raises:
        MissingDependencyError: if there is none.
    """
    if named := os.environ.get("IMAGEIO_FFMPEG_EXE"):
        return named
    spec = importlib.util.find_spec("imageio_ffmpeg")
    for folder in spec.submodule_search_locations or [] if spec else []:
        for path in sorted(Path(folder, "binaries").glob("ffmpeg*")):
            if os.access(path, os.X_OK):
                return str(path)
    if found := shutil.which("ffmpeg"):
        return found
    raise MissingDependencyError("no ffmpeg to write an mp4 with; pip install imageio-ffmpeg, or write a .gif")


def write_video(path: str | Path, frames: Frames, *, fps: int = 15) -> Path:
    """Write a film, whole or not at all.

    Args:
        path: ends in ``.mp4`` or ``.gif``; replaced if it exists.
        frames: uint8 (T, H, W, 3), T >= 1; for an mp4 an odd last row or column is cut off.
        fps: frames a second.

    Raises:
        ConfigError: for another ending or shape. MissingDependencyError: if there is no ffmpeg for an mp4.

    Examples:
        >>> from heist_encoders.evaluation import write_video
        >>> write_video("frames.gif", heist_encoders.open_dataset("data/heist").frames("test")[:4]).name
        'frames.gif'
    """
    path = user_path(path)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ConfigError(f"a film needs uint8 frames (T, H, W, 3), got {frames.dtype} {frames.shape}")
    if path.suffix not in (".mp4", ".gif"):
        raise ConfigError(f"cannot write a film to {path.name!r}; the name must end in .mp4 or .gif")
    with temporary_sibling(path) as temporary:
        if path.suffix == ".gif":
            _write_gif(temporary, frames, fps)
        else:
            _write_mp4(temporary, frames, fps)
    return path


def _write_gif(path: Path, frames: Frames, fps: int) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=max(20, 1000 // fps), loop=0)


def _write_mp4(path: Path, frames: Frames, fps: int) -> None:
    height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2
    command = [
        ffmpeg_executable(), "-y", "-loglevel", "error", "-nostdin", "-threads", "1",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0",
        "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart",
        "-f", "mp4", str(path),
    ]  # fmt: skip
    data = np.ascontiguousarray(frames[:, :height, :width]).tobytes()
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    if result.returncode:
        if is_full_disk(RuntimeError(result.stderr.decode(errors="replace"))):
            raise no_room(path)
        raise MissingDependencyError(
            f"{command[0]} could not write an mp4 ({result.stderr.decode(errors='replace').strip()[-200:]}); "
            "install another ffmpeg or write a .gif"
        )


def played_frames(
    game: str, distribution_mode: str, use_backgrounds: bool, *, steps: int = 150, level_seed: int | None = None
) -> Frames:
    """Frames of a game as it is played: by its oracle where it has one, else by random moves.

    Args:
        steps: how many. level_seed: of the level that it starts in (default: the first evaluation level).

    Returns:
        uint8 (steps, 64, 64, 3), the same for the same arguments.

    Raises:
        MissingDependencyError: if procgen isn't installed.
    """
    from heist_encoders.engine import Engine
    from heist_encoders.tasks.registry import task_of

    rng = np.random.default_rng(0)
    level = EVALUATION_LEVELS.start if level_seed is None else level_seed
    frames = np.empty((steps, *FRAME_SHAPE), np.uint8)
    with Engine(1, game=game, distribution_mode=distribution_mode, use_backgrounds=use_backgrounds) as engine:
        engine.load_levels([level])
        oracle = task_of(game).oracle()
        for i in range(steps):
            frames[i] = engine.frames[0]
            action = oracle.action(engine.get_state(0)) if oracle else rng.integers(NUM_ACTIONS)
            engine.act(np.array([action], np.int32))
            if engine.observe().first[0]:
                level += 1
                engine.load_levels([level])
    return frames


def reconstruction_video(
    model: BaseAutoencoder, frames: Frames, path: str | Path, *, scale: int = 5, fps: int = 12
) -> Path:
    """A film of the originals (left) beside their reconstructions, with each frame's mean squared error printed.

    Args:
        model: an autoencoder. frames: uint8 (T, 64, 64, 3). path: ends in .mp4 or .gif.
        scale: screen pixels a pixel. fps: frames a second.
    """
    from PIL import Image, ImageDraw

    from heist_encoders.evaluation.pictures import font

    shown = reconstruct_frames(model, frames)
    errors = (np.square(shown.astype(np.float32) - frames) / 255**2).mean((1, 2, 3))
    side, gap, bar = 64 * scale, 8, 44
    letters = font(18)
    film = np.empty((len(frames), side + bar, 2 * side + gap, 3), np.uint8)
    for i, (original, copy) in enumerate(zip(frames, shown, strict=True)):
        image = Image.new("RGB", (2 * side + gap, side + bar), "white")
        for x, picture in ((0, original), (side + gap, copy)):
            image.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), (x, bar))
        draw = ImageDraw.Draw(image)
        draw.text((4, 12), "original", fill="black", font=letters)
        draw.text((side + gap, 12), f"{getattr(model, 'name', 'reconstruction')}", fill="black", font=letters)
        draw.text((2 * side + gap - 4, 12), f"MSE {errors[i]:.5f}", fill="#444", font=letters, anchor="ra")
        film[i] = np.asarray(image)
    return write_video(path, film, fps=fps)


def enlarge(frames: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint8]:
    """uint8 (..., H, W, 3) -> (..., H * scale, W * scale, 3), each pixel a square."""
    return frames.repeat(scale, axis=-3).repeat(scale, axis=-2)
