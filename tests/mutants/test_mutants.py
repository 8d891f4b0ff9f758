"""Each planted fault is seen by a test; without it the same tests pass, in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mutants import MUTANTS, Mutant

from .trial import Trial, run

# One of each layer, each in one place: what every test run can afford.
QUICK = ("policy_using_true", "foreign_keys_single", "nothing_swept", "sqlite_views_of_everything", "stamp_unchecked")


@pytest.fixture(scope="module")
def baseline(server: str, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """All chosen tests, with nothing planted."""
    tests = dict.fromkeys(test for mutant in MUTANTS.values() for test in mutant.tests)
    return run(tests, server=server, notes=tmp_path_factory.mktemp("baseline") / "endings")


def test_mutants_of_every_layer_are_killed(server: str, tmp_path: Path, record_property: Any) -> None:
    chosen = {name: MUTANTS[name].tests[:1] for name in QUICK}
    tests = [test for tests in chosen.values() for test in tests]
    sound = run(tests, server=server, notes=tmp_path / "baseline")
    assert sorted(sound.tests("passed")) == sorted(tests), sound.output
    for name, tests in chosen.items():
        trial = run(tests, server=server, notes=tmp_path / name, mutant=name)
        _note(record_property, MUTANTS[name], trial)
        assert trial.tests("leaked") == tests, trial.output


@pytest.mark.soak
@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_mutant_is_killed(mutant: Mutant, baseline: Trial, server: str, tmp_path: Path, record_property: Any) -> None:
    assert set(mutant.tests) <= set(baseline.tests("passed")), baseline.output
    trial = run(mutant.tests, server=server, notes=tmp_path / "endings", mutant=mutant.name)
    _note(record_property, mutant, trial)
    for place in mutant.places:
        assert any(place in test for test in trial.tests("leaked")), f"survives in {place}: {trial.output}"


def test_enough_mutants() -> None:
    assert len(MUTANTS) >= 15


def _note(record_property: Any, mutant: Mutant, trial: Trial) -> None:
    killers = [
        test.removeprefix("tests/").removeprefix("leak/").replace("server0-", "") for test in trial.tests("leaked")
    ]
    record_property("mutant", f"{mutant.name}: {mutant.fault}")
    for killer in killers or ["SURVIVED"]:
        record_property("mutant", f"    {killer}")
