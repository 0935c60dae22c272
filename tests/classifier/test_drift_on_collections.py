"""Drift on real pictures: adults' normal ones are the reference and the stream, then children come in."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest

from classifier import drift
from classifier.traits import PIXEL_NAMES, pixel_statistics, project

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(1200)]

ARTIFACT = Path(__file__).resolve().parents[2] / "artifacts" / "cxr.safetensors"
REFERENCE, STREAM, LATER, CHILDREN, ORDERS = 1500, 1000, 100, 200, 20
KINDS = ("pixels", "features", "predictions")


@pytest.fixture(scope="module")
def collection(shared_data, request) -> dict[str, dict[str, np.ndarray]]:
    """Numbers of every kind for normals of radiography-db and for kermany, kept in pytest's cache."""
    rows = list(csv.DictReader((shared_data / "cxr" / "manifest.csv").open()))
    normal = [r["image"] for r in rows if (r["source"], r["finding"]) == ("radiography-db", "normal")]
    children = [r["image"] for r in rows if r["source"] == "kermany"]
    for images in (normal, children):
        random.Random(0).shuffle(images)
    wanted = {"normal": normal[: REFERENCE + STREAM + LATER], "children": children[:CHILDREN]}
    kept = Path(request.config.cache.mkdir("drift")) / "numbers.npz"
    numbers = dict(np.load(kept)) if kept.exists() else {}
    if numbers.get("images", np.empty(0)).tolist() != [*wanted["normal"], *wanted["children"]]:
        numbers = measured(shared_data / "cxr", [*wanted["normal"], *wanted["children"]])
        np.savez(kept, **numbers)
    split = len(wanted["normal"])
    return {
        "normal": {kind: numbers[kind][:split] for kind in KINDS},
        "children": {kind: numbers[kind][split:] for kind in KINDS},
    }


def measured(folder: Path, images: list[str]) -> dict[str, np.ndarray]:
    import torch

    from classifier.images import reading
    from classifier.predictor import Predictor
    from classifier.preprocess import to_input
    from classifier.weights import load_artifact

    predictor = Predictor(load_artifact(ARTIFACT))
    pixels, features, predictions = [], [], []
    for start in range(0, len(images), 16):
        working = [reading.read(folder / image).working for image in images[start : start + 16]]
        inputs = torch.stack([to_input(picture, predictor.spec) for picture in working])
        said, _, pooled = predictor.forward(inputs)
        sure = np.clip(said.astype(float), 1e-6, 1 - 1e-6)
        pixels += [pixel_statistics(picture) for picture in working]
        features.append(project(pooled))
        predictions.append(np.log(sure / (1 - sure)))
    numbers = (np.array(pixels), np.concatenate(features), np.concatenate(predictions))
    return {"images": np.array(images), **dict(zip(KINDS, numbers, strict=True))}


def courses(collection, kind: str, share: float) -> list[drift.Course]:
    """Of several random orders: the reference, a stream of the same, then children in a share of 100."""
    normal, children = collection["normal"][kind], collection["children"][kind]
    names = PIXEL_NAMES if kind == "pixels" else [f"number {k}" for k in range(normal.shape[1])]
    found = []
    for seed in range(ORDERS):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(normal))
        reference, stream, rest = np.split(normal[order], [REFERENCE, REFERENCE + STREAM])
        later = np.where(rng.random((LATER, 1)) < share, rng.permutation(children)[:LATER], rest[:LATER])
        draws = rng.random(STREAM + LATER)
        held = drift.fit(reference, names, seed=seed)
        found.append(drift.watch(held, np.concatenate([stream, later]), draws))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_alarms_on_more_of_the_same_are_no_more_frequent_than_stated(collection, kind):
    """At most 1 in 100 rounds; the orders share pictures, so that their alarms would come together."""
    alarms = [course.alarm for course in courses(collection, kind, 0.0)]
    assert sum(alarm is not None for alarm in alarms) <= ORDERS * drift.FALSE_ALARMS


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_children_mixed_in_raise_the_alarm_within_a_hundred(collection, kind, share):
    delays = [c.alarm - STREAM + 1 if c.alarm is not None else None for c in courses(collection, kind, share)]
    assert all(delay is not None and 0 < delay <= LATER for delay in delays), delays
