"""Every code block of every seed runs as printed or with a deviation that is written down; none is left out."""

from __future__ import annotations

import re
from pathlib import Path

from .running import AS_PRINTED, BLOCKS, HERE, outcomes

TESTS = {"000": "helpdesk", "001": "meetings", "002": "documents", "003": "assistant", "004": "incidents"}
DEVIATIONS = Path(__file__).parents[2] / "docs" / "deviations.md"
# A pack whose blocks are not run yet has no outcomes; each seed that has them is held to all of its blocks.
DONE = [seed for seed in BLOCKS if (HERE / "blocks" / seed / "outcomes.toml").exists()]


def test_each_block_has_an_outcome() -> None:
    for seed in DONE:
        assert set(outcomes(seed)) == set(BLOCKS[seed])


def test_each_block_is_run_by_the_tests_of_its_pack() -> None:
    for seed in DONE:
        text = (HERE / f"test_{TESTS[seed]}.py").read_text(encoding="utf-8")
        assert not [line for line in BLOCKS[seed] if not re.search(rf"\b{line}\b", text)]


def test_each_deviation_is_written_down() -> None:
    for seed in DONE:
        page = DEVIATIONS.read_text(encoding="utf-8")
        named = {name for said in outcomes(seed).values() if said != AS_PRINTED for name in said.split(", ")}
        assert not [name for name in named if f"| {name} |" not in page]


def test_the_blocks_are_all_there() -> None:
    assert {seed: len(blocks) for seed, blocks in BLOCKS.items()} == {
        "000": 19,
        "001": 28,
        "002": 10,
        "003": 37,
        "004": 25,
    }
