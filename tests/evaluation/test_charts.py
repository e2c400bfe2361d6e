"""Charts: what they show, and that their SVG can stand in a page."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from heist_encoders.evaluation import charts

LABELS = {"x_label": "x", "y_label": "y"}


def test_svg_is_one_element_that_brings_nothing_from_outside() -> None:
    text = charts.svg(charts.scatter([("<a>", 5.0, 0.5, "#000")], **LABELS), "what <it> is")
    root = ElementTree.fromstring(text)
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert root[0].text == "what <it> is"
    assert [node.text for node in root.iter("title")] == ["what <it> is", "<a>: 5, 0.500"]
    assert "<a>" in [node.text for node in root.iter("text")]
    for word in ("http", "xmlns", "url(", "<style", "<metadata", "<?xml"):
        assert word not in text
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert {f"#{name}" for name in ids} == {node.get("href") for node in root.iter("use")}


def test_the_same_data_gives_the_same_text_and_other_titles_other_ids() -> None:
    def draw(title: str) -> str:
        return charts.svg(charts.lines({"a": ([0, 1], [1.0, 2.0])}, **LABELS), title)

    assert draw("one") == draw("one")
    ids = [{node.get("id") for node in ElementTree.fromstring(draw(title)).iter()} - {None} for title in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_labels_of_near_points_do_not_overlap() -> None:
    figure = charts.scatter([(f"an encoder {i}", 2.0, 0.5 + 0.001 * i, "#000") for i in range(4)], **LABELS)
    figure.draw_without_rendering()
    boxes = [note.get_window_extent() for note in figure.axes[0].texts]
    assert len(boxes) == 4
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.5, 1.2], [0.001, 30.0], [2.0, 4e6]])
def test_a_log_axis_has_ticks_at_round_numbers(values: list[float]) -> None:
    figure = charts.scatter([("a", value, 0.5, "#000") for value in values], **LABELS)
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    said = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert 2 <= len(ticks) <= 9
    assert all(len(text) < 8 and "$" not in text for text in said)


def test_lines_survive_odd_values() -> None:
    series = {"a": ([0, 1, 2], [1.0, math.nan, 0.1]), "b": ([1], [0.0])}
    figure = charts.lines(series, log=True, **LABELS)
    assert len(figure.axes[0].lines) == 2
    assert "nan" not in charts.svg(figure, "t")
    assert "<svg" in charts.svg(charts.lines({}, **LABELS), "nothing")


def test_bubbles_show_the_limit_only_among_the_points() -> None:
    points = [("a", 1.0, 0.5, 64.0, "#000"), ("b", 8.0, 0.6, 128.0, "#000")]
    assert [len(charts.bubbles(points, limit=limit, **LABELS).axes[0].lines) for limit in (5.0, 50.0, None)] == [
        1,
        0,
        0,
    ]


def test_parallel_puts_values_where_their_axis_says() -> None:
    columns = {
        "rate": [0.001, 0.01, 0.1], "size": [32.0, 48.0, 64.0], "name": ["b", "a", "b"], "miou": [0.5, 0.5, 0.5],
    }  # fmt: skip
    figure = charts.parallel(columns, ["#111111", "#222222", "#333333"])
    host, *axes = figure.axes
    rows = [line.get_ydata() for line in host.lines]
    assert len(axes) == 4
    assert axes[0].get_yscale() == "log"
    assert axes[1].get_yscale() == "linear"
    for column in (0, 1):  # evenly apart, the one by its logarithm
        low, middle, high = (row[column] for row in rows)
        assert 0 <= low < middle < high <= 1
        assert middle == pytest.approx((low + high) / 2)
    assert rows[0][2] == pytest.approx(0.75)
    assert rows[1][2] == pytest.approx(0.25)
    assert host.lines[-1].get_linewidth() > host.lines[0].get_linewidth()
    assert "nan" not in charts.svg(figure, "t")
