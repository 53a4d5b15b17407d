"""Intervals cover and A/A rarely finds a winner: small versions of `python -m bench.statistics.simulation`."""

from bench.statistics.simulation import cluster_coverage, wilson_coverage, winners


def test_intervals_cover():
    assert abs(wilson_coverage(20_000) - 0.95) <= 0.015
    assert abs(cluster_coverage(2_000) - 0.95) <= 0.015


def test_a_a_rarely_finds_a_winner_and_a_planted_gap_is_found():
    assert winners(150, 0.0) <= 0.05
    assert winners(60, -0.3) >= 0.9
