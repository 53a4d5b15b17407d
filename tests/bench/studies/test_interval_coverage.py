"""Intervals cover and A/A rarely finds a winner: cells of `jsma-bench study interval-coverage`."""

from itertools import product

import pytest

from bench.studies.interval_coverage import Cell, accuracy_rate, difference_rate, winners

FEW = tuple(product((3, 5, 10, 30), ((1, 1), (1, 5), (3, 1), (3, 5))))


@pytest.mark.parametrize("clusters, shape", FEW)
def test_intervals_of_few_slides_cover(clusters, shape):
    cell = Cell(clusters, *shape)
    for accuracy in (0.5, 0.9, 0.97, 1.0):
        assert accuracy_rate(cell, accuracy, 1000).coverage >= 0.93
    for pair in ((0.5, 0.5), (0.9, 0.97), (0.97, 0.97), (1.0, 1.0), (0.9, 1.0)):
        assert difference_rate(cell, pair, 1000).coverage >= 0.93


def test_intervals_of_many_slides_are_no_wider_than_they_must_be():
    for shape in ((1, 1), (1, 5), (3, 5)):
        assert 0.93 <= accuracy_rate(Cell(240, *shape), 0.9, 1000).coverage <= 0.98
        assert 0.93 <= difference_rate(Cell(240, *shape), (0.9, 0.8), 1000).coverage <= 0.98
    slides, seeds = (accuracy_rate(Cell(240, 1, n, (0.0, 0.0)), 0.9, 200).width for n in (1, 5))
    assert seeds == pytest.approx(slides / 5**0.5, rel=0.1)  # where a slide's seeds err apart they do tell more


def test_a_a_rarely_finds_a_winner_and_a_planted_gap_is_found():
    assert winners(150, 0.0) <= 0.05
    assert winners(60, -0.3) >= 0.9
