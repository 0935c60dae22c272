from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from classifier.data.split import assign, fold_parts, folds

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


def test_a_patient_once_in_the_test_part_stays_there_with_all_images():
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
    code = "import sys, classifier.data.split; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_folds_part_no_patient_and_spread_each_stratum():
    fold_of = folds(PATIENTS, STRATA, count=5, seed=0)
    assert len({*zip(PATIENTS, fold_of, strict=True)}) == len(set(PATIENTS))
    counts = Counter(zip(STRATA, fold_of, strict=True))
    for stratum, total in Counter(STRATA).items():
        assert [counts[stratum, fold] / total for fold in range(1, 6)] == pytest.approx([0.2] * 5, abs=0.02)


def test_many_small_strata_do_not_all_fall_into_the_first_fold():
    patients = [f"p{n}" for n in range(60)]
    fold_of = folds(patients, patients, count=5, seed=0)
    assert set(Counter(fold_of).values()) == {12}


def test_folds_depend_on_the_seed_and_not_on_the_order_of_rows():
    fold_of = folds(PATIENTS, STRATA, count=5, seed=0)
    assert folds(PATIENTS[::-1], STRATA[::-1], count=5, seed=0)[::-1] == fold_of
    assert folds(PATIENTS, STRATA, count=5, seed=1) != fold_of


def test_every_image_is_tested_in_one_fold_and_its_patient_is_learned_from_in_no_part_of_it():
    tested = Counter()
    for fold in range(1, 6):
        parts = fold_parts(PATIENTS, STRATA, count=5, fold=fold, seed=0)
        tested.update(i for i, part in enumerate(parts) if part == "test")
        assert len({*zip(PATIENTS, parts, strict=True)}) == len(set(PATIENTS))
        assert [parts.count(p) / 900 for p in ("train", "val", "test")] == pytest.approx(
            [0.7, 0.1, 0.2], abs=0.02
        )
    assert set(tested.values()) == {1}
    assert len(tested) == 900


@pytest.mark.parametrize(("count", "fold"), [(5, 0), (5, 6), (1, 1)])
def test_a_fold_that_is_none_is_refused(count, fold):
    with pytest.raises(ValueError, match="fold"):
        fold_parts(["a", "b"], ["s", "s"], count=count, fold=fold, seed=0)
