"""Kappa against the published example, against scikit-learn's, and its interval against the known error."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from webapp.core.agreement import cohen, fleiss

# Fleiss (1971), table 1 as given on Wikipedia: 10 subjects, 14 raters, 5 categories; kappa 0.210.
TABLE = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def pairs_of(both_yes, first_only, other_only, both_no):
    counts = {("y", "y"): both_yes, ("y", "n"): first_only, ("n", "y"): other_only, ("n", "n"): both_no}
    return [pair for pair, n in counts.items() for _ in range(n)]


def test_fleiss_is_that_of_the_published_table():
    text = [[word for word, n in enumerate(row) for _ in range(n)] for row in TABLE]
    kappa = fleiss(text)
    assert kappa.value == pytest.approx(0.20993, abs=1e-5)
    assert kappa.images == 10
    assert kappa.low < kappa.value < kappa.high


def test_fleiss_is_that_of_its_formula_on_random_results():
    random.seed(3)
    text = [[random.choice("abc") for _ in range(4)] for _ in range(60)]
    table = np.array([[row.count(word) for word in "abc"] for row in text], dtype=float)
    share = table.sum(axis=0) / table.sum()
    within = (table * (table - 1)).sum(axis=1) / (4 * 3)
    expected = (within.mean() - (share**2).sum()) / (1 - (share**2).sum())
    assert fleiss(text).value == pytest.approx(expected, abs=1e-12)


def test_cohen_is_scikit_learns():
    from sklearn.metrics import cohen_kappa_score

    random.seed(5)
    for words in ("yn", "abc", "abcd"):
        one = [random.choice(words) for _ in range(80)]
        other = [word if random.random() < 0.6 else random.choice(words) for word in one]
        expected = cohen_kappa_score(one, other)
        assert cohen(list(zip(one, other, strict=True))).value == pytest.approx(expected, abs=1e-12)


def test_cohens_interval_is_as_wide_as_its_large_sample_error():
    # Altman (1991), p. 404: 0.84 +- 1.96 * 0.04 and the like; here by Fleiss, Cohen and Everitt (1969).
    kappa = cohen(pairs_of(80, 10, 15, 95))
    observed, chance = 175 / 200, (90 * 95 + 110 * 105) / 200**2
    plain = math.sqrt(observed * (1 - observed) / (200 * (1 - chance) ** 2))
    assert kappa.value == pytest.approx((observed - chance) / (1 - chance))
    assert (kappa.high - kappa.low) / 2 == pytest.approx(1.96 * plain, rel=0.15)


def test_more_images_make_the_interval_narrower():
    few, many = cohen(pairs_of(8, 1, 1, 10)), cohen(pairs_of(80, 10, 10, 100))
    assert few.value == pytest.approx(many.value)
    assert many.high - many.low < few.high - few.low


def test_the_same_images_give_the_same_interval():
    assert cohen(pairs_of(8, 1, 1, 10)) == cohen(pairs_of(8, 1, 1, 10))


def test_agreement_no_better_than_chance_is_about_nought():
    assert cohen(pairs_of(25, 25, 25, 25)).value == pytest.approx(0)


def test_where_everybody_stated_the_same_of_everything_there_is_no_kappa():
    for kappa in (cohen([("y", "y")] * 9), fleiss([["y", "y", "y"]] * 9)):
        assert (kappa.value, kappa.low, kappa.high) == (None, None, None)
        assert (kappa.observed, kappa.images) == (1.0, 9)


def test_a_few_images_have_a_kappa_and_no_interval():
    few, enough = cohen(pairs_of(4, 1, 1, 3)), cohen(pairs_of(4, 1, 1, 4))
    assert (few.value, few.low, few.high) == (pytest.approx(0.55), None, None)
    assert enough.low < enough.value < enough.high


def test_without_images_nothing_is_reported():
    assert cohen([]).value is None
    assert fleiss([]).images == 0


@pytest.mark.parametrize("text", [[["y"]], [["y", "n"], ["y", "n", "n"]]])
def test_fleiss_wants_equally_many_readers(text):
    with pytest.raises(ValueError, match="same number of readers"):
        fleiss(text)
