"""The shipped phantom model finds opacities that it has never seen, and its map points to where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from classifier.artifact.weights import Artifact, load_artifact, verify_golden
from classifier.contract import Cam, Slot
from classifier.inference.predictor import Input, Predictor, Result
from classifier.phantom.opacities import Opacity
from classifier.phantom.render import FINDINGS, acquire, prepare

ARTIFACT = Path(__file__).parents[3] / "artifacts" / "phantom.safetensors"
UNSEEN = range(9_000_001, 9_000_011)
SIZE = 256


@dataclass(frozen=True)
class Trial:
    """One unseen person, clear and with one opacity, as the model returns."""

    opacity: Opacity
    clear: Result
    result: Result


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(ARTIFACT)


@pytest.fixture(scope="module")
def trials(artifact: Artifact) -> list[Trial]:
    predictor = Predictor(artifact)
    found = []
    for seed in UNSEEN:
        subject = prepare(seed, size=SIZE)
        films = [acquire(subject), acquire(subject, opacities=1, shot=1)]
        inputs = [Input(film.pixels * np.uint16(16), film.pixels.shape) for film in films]
        clear, result = predictor.predict(inputs)
        assert isinstance(clear, Result)
        assert isinstance(result, Result)
        found.append(Trial(films[1].opacities[0], clear, result))
    return found


def peak(cam: Cam) -> tuple[float, float]:
    """Where the map for `opacity` is strongest (x, y): its best cell weighed with its neighbours."""
    grid = np.clip(cam.grids["opacity"], 0, None)
    row, column = np.unravel_index(np.argmax(grid), grid.shape)
    rows, columns = np.indices(grid.shape)
    near = grid * ((np.abs(rows - row) <= 1) & (np.abs(columns - column) <= 1))
    y, x = (near * rows).sum() / near.sum(), (near * columns).sum() / near.sum()
    a, b, c, d, e, f = cam.affine
    return a * x + b * y + c, d * x + e * y + f


def points_at(cam: Cam, opacity: Opacity) -> bool:
    """The peak lies in the opacity or within half a cell of it."""
    x, y = peak(cam)
    return np.hypot(x - opacity.x, y - opacity.y) <= opacity.radius + 0.5 * max(cam.affine[0], cam.affine[4])


def test_it_serves_phantoms_only_and_states_so(artifact: Artifact) -> None:
    assert artifact.spec.slot is Slot.PHANTOM
    assert artifact.spec.findings == FINDINGS
    assert any("People" in use for use in artifact.card["about"]["not_for"])
    assert {kind["source"] for kind in artifact.card["images"]} == {"phantom"}
    assert ARTIFACT.stat().st_size < 4 << 20
    verify_golden(artifact)


def test_it_reports_clear_phantoms_from_those_with_an_opacity(trials: list[Trial]) -> None:
    clear = [trial.clear.prediction.probabilities["opacity"] for trial in trials]
    with_one = [trial.result.prediction.probabilities["opacity"] for trial in trials]
    ordered = np.mean([[high > low for low in clear] for high in with_one])
    assert ordered >= 0.9, "the share of pairs in the right order is the area under the ROC curve"


def test_its_map_points_to_the_opacity_and_not_merely_where_opacities_often_are(trials: list[Trial]) -> None:
    hits = [points_at(trial.result.cam, trial.opacity) for trial in trials]
    elsewhere = [
        points_at(trial.result.cam, other.opacity)
        for trial in trials
        for other in trials
        if other is not trial
    ]
    assert np.mean(hits) >= 0.9
    assert np.mean(elsewhere) < 0.5


def test_an_opacity_lights_the_map_up_more_than_clear_lungs_do(trials: list[Trial]) -> None:
    brighter = [
        np.max(trial.result.cam.grids["opacity"]) > np.max(trial.clear.cam.grids["opacity"])
        for trial in trials
    ]
    assert np.mean(brighter) >= 0.9
