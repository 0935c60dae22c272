from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from classifier.split import assign

PATIENTS = [f"p{n // 3}" for n in range(900)]
STRATA = ["rare" if n // 3 % 10 == 0 else "common" for n in range(900)]


def test_no_patient_is_in_two_parts():
    parts = assign(PATIENTS, STRATA, seed=0)
    assert len({*zip(PATIENTS, parts, strict=True)}) == len(set(PATIENTS))


def test_each_stratum_is_spread_by_the_fractions():
    counts = Counter(zip(STRATA, assign(PATIENTS, STRATA, seed=0), strict=True))
    for stratum, total in Counter(STRATA).items():
        shares = [counts[stratum, part] / total for part in ("train", "val", "test")]
        assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_rows():
    parts = assign(PATIENTS, STRATA, seed=0)
    turned = assign(PATIENTS[::-1], STRATA[::-1], seed=0)
    assert turned[::-1] == parts
    assert assign(PATIENTS, STRATA, seed=1) != parts


def test_a_patient_once_in_the_test_part_stays_there_with_all_pictures():
    given = [None] * len(PATIENTS)
    given[4] = "test"
    for seed in range(5):
        parts = assign(PATIENTS, STRATA, seed=seed, given=given)
        assert {part for patient, part in zip(PATIENTS, parts, strict=True) if patient == PATIENTS[4]} == {
            "test"
        }


def test_a_patient_with_several_findings_is_kept_together():
    parts = assign(["a", "a", *PATIENTS], ["common", "rare", *STRATA], seed=0)
    assert parts[0] == parts[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"given": ["train", "test"]}, "two parts"),
        ({"given": ["train", "exam"]}, "unknown part"),
        ({"fractions": {"train": 0.5, "test": 0.4}}, "sum to 1"),
        ({"fractions": {"train": 0.5, "exam": 0.5}}, "name train, val, test"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        assign(["a", "a"], ["s", "s"], seed=0, **change)


def test_the_web_process_can_split_without_torch():
    code = "import sys, classifier.split; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
