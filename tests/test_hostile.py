"""Hostile evidence in small: benchmarks/hostile.py does the same in numbers."""

import random

import pytest

pytest.importorskip("psutil", reason="psutil is not installed: pip install psutil")

from benchmarks import attack_replies, hostile
from benchmarks.hostile_files import bombs, mutate, seeds


@pytest.mark.claim("M5")
@pytest.mark.slow
def test_mutants_and_bombs_end_as_items_or_issues_and_nothing_else_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "_BOMB_EVERY", 9)
    figures = hostile.run(180, 90, hostile.Inputs(seed=2), limit_s=900, cpu_seconds=1, folder=tmp_path)
    assert figures["faults"] == {}, figures["examples"]
    assert figures["by_kind"]["bomb"] == 20
    assert figures["found"]["files"] >= 180
    assert figures["items"] > 20
    assert sum(figures["issues_by_kind"].values()) > 50


@pytest.mark.slow
def test_the_same_seed_makes_the_same_files():
    assert bombs() == bombs.__wrapped__()
    pool = [data for kind in seeds().values() for data in kind]
    for data in pool[:20]:
        first, again, other = (mutate(data, random.Random(seed), pool) for seed in (1, 1, 2))
        assert first == again
        assert first != other


@pytest.mark.claim("K6")
@pytest.mark.slow
def test_whatever_workers_say_the_run_goes_on_and_the_case_answers(tmp_path):
    figures = attack_replies.run(150, 7, tmp_path, chunk=80)
    assert figures["faults"] == []
    assert figures["replies"] >= 150
    assert figures["status"]["items"] > 0
    assert figures["status"]["issues"] > 0
