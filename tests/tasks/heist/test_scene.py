"""Semantic maps against what the engine paints."""

from __future__ import annotations

import numpy as np
import pytest

from heist_encoders.data.stream import stream
from heist_encoders.engine import Engine
from heist_encoders.semantic import UNKNOWN, coarsen
from heist_encoders.tasks.heist.elements import CLASSES, COLORS, ELEMENTS
from heist_encoders.tasks.heist.levels import LevelBank
from heist_encoders.tasks.heist.scene import AGENT, FLOOR, WALL, SemanticMaps, true_state

MODES = ("easy", "hard", "memory")
ROWS = 336


@pytest.fixture(scope="module", params=MODES)
def scene(request: pytest.FixtureRequest) -> tuple:
    """Mode, frames, labels and maps of some balanced frames."""
    rows = next(stream({"distribution_mode": request.param, "seed": 11}, batch_size=ROWS))
    return request.param, rows.frames, rows.labels, SemanticMaps(rows.labels, request.param).pick(slice(None))


def test_floor_is_black_and_walls_are_not(scene: tuple) -> None:
    _, frames, _, maps = scene
    black = (frames == 0).all(-1)
    assert black[maps == FLOOR].all(), "all that is painted beside walls belongs to a class"
    assert not black[maps == WALL].any()
    assert (maps == WALL).mean() > 0.3


def test_erasing_a_thing_changes_pixels_of_its_class_alone(scene: tuple) -> None:
    mode, frames, labels, maps = scene
    seeds, level = np.unique(labels["level_seed"], return_inverse=True)
    with Engine(1, distribution_mode=mode) as engine:
        bank = LevelBank(engine, seeds.tolist())
        xy = np.stack([labels["agent_x"], labels["agent_y"]], axis=1)
        states = bank.states(level, labels["progress"], xy, labels["agent_rotation"])
        assert np.array_equal(engine.draw(states), frames)
        # The agent first, then the elements, then the keys on the ring, which are painted if they are held.
        for entity, number in enumerate([AGENT, *range(3, len(CLASSES))]):
            erased = states.copy()
            if entity <= len(ELEMENTS):
                # Of no size, at the same place: memory mode's camera follows the agent.
                erased["entities"]["rx"][:, entity] = erased["entities"]["ry"][:, entity] = 0
            else:
                erased["held"][:, entity - 1 - len(ELEMENTS)] = 0
            changed = (engine.draw(erased) != frames).any(-1)
            own = maps == number
            # Seen through the transparent corners of what is painted over it: the agent, or a key on the ring.
            through = maps[changed & ~own]
            assert np.isin(through, [AGENT, *range(3 + len(ELEMENTS), len(CLASSES))]).all(), CLASSES[number]
            assert through.size < 0.01 * changed.sum(), CLASSES[number]
            shown = own.any((1, 2)) & (own.sum((1, 2)) >= 6)
            assert changed[shown].any((1, 2)).mean() > 0.97, f"{CLASSES[number]} is where nothing is painted"


def test_boxes_of_the_labels_and_the_maps_agree(scene: tuple) -> None:
    _, _, labels, maps = scene
    for index, element in enumerate(ELEMENTS):
        x0, y0, x1, y1 = (labels[f"{element}_{side}"].astype(int) for side in ("x0", "y0", "x1", "y1"))
        area = (x1 - x0) * (y1 - y0)
        painted = (maps == 3 + index).sum((1, 2))
        assert (painted <= area).all()
        assert (painted[area > 0] > 0).mean() > 0.97
        assert (painted[area == 0] == 0).all()
    for index, color in enumerate(COLORS):
        ring = (maps == 3 + len(ELEMENTS) + index).any((1, 2))
        assert np.array_equal(ring, labels[f"held_{color}"])


def test_picking_rows_is_the_same_whatever_they_are_picked_with(scene: tuple) -> None:
    mode, _, labels, maps = scene
    rows = np.array([5, 1, 300, 5])
    assert np.array_equal(SemanticMaps(labels, mode).pick(rows), maps[rows])
    assert len(SemanticMaps(labels, mode)) == ROWS


@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_true_state_shows_what_the_map_shows(mode: str) -> None:
    labels = next(stream({"distribution_mode": mode, "seed": 12}, batch_size=64)).labels
    maps, state = SemanticMaps(labels, mode).pick(slice(None)), true_state(labels, mode)
    cells = state.shape[-1]
    assert state.shape == (64, 16, cells, cells)
    middles = ((np.arange(cells) + 0.5) * 64 / cells).astype(int)
    shown = maps[:, middles][:, :, middles]
    held = np.arange(CLASSES.index("ring_blue"), len(CLASSES))
    walls = shown == WALL
    np.testing.assert_array_equal(walls, (state[:, 0] == 1) & ~np.isin(shown, [AGENT, *held]))
    for channel, name in enumerate(ELEMENTS, start=4):
        at = shown == CLASSES.index(name)
        assert (state[:, channel][at] == 1).all()
        assert at.sum() >= 0.8 * state[:, channel].sum() - 1  # the agent may stand in front, a key lie off the middle
    for channel, (number, color) in enumerate(zip(held, COLORS, strict=True), start=11):
        np.testing.assert_array_equal((maps == number).any((1, 2)), labels[f"held_{color}"])
        assert (state[:, channel] == np.asarray(labels[f"held_{color}"])[:, None, None]).all()
    pixels = 64 / cells
    for channel, name in enumerate(ELEMENTS, start=4):  # a thing that nothing covers is painted around its place
        for frame, y, x in np.argwhere(state[:, channel]):
            there = np.argwhere(maps[frame] == CLASSES.index(name))
            if len(there) >= 12:
                centre = there.min(0) / 2 + there.max(0) / 2 + 0.5
                place = np.array([y + 0.5 - state[frame, 15, y, x] / 4, x + 0.5 + state[frame, 14, y, x] / 4]) * pixels
                assert np.abs(centre - place).max() < 1.2, (name, centre, place)
    frame, y, x = np.nonzero(state[:, 1])
    assert len(frame) == 64
    np.testing.assert_array_equal(x + 0.5 + state[:, 2, 0, 0] / 4, labels["agent_x"])
    np.testing.assert_allclose(cells - 1 - y + 0.5 + state[:, 3, 0, 0] / 4, labels["agent_y"], atol=1e-5)


def test_blocks_take_the_object_that_covers_a_quarter_and_are_unknown_at_its_rim() -> None:
    maps = np.zeros((1, 64, 64), np.uint8)
    maps[0, :4, 4:8] = WALL
    maps[0, 0, 0:3] = 4  # three of 16 pixels: neither
    maps[0, 2, 4:8] = 5  # a quarter of a wall
    maps[0, 4:6, 0:2] = 6
    maps[0, 6:8, 2:4] = 5  # as many as class 6: the lower number
    maps[0, 60:64, 60:62] = WALL  # half floor, half wall
    coarse = coarsen(maps, len(CLASSES), 16)
    assert coarse.shape == (1, 16, 16)
    assert coarse[0, 0, 0] == UNKNOWN
    assert coarse[0, 0, 1] == 5
    assert coarse[0, 1, 0] == 5
    assert coarse[0, 15, 15] == FLOOR
    assert (coarse > 0).sum() == 3
