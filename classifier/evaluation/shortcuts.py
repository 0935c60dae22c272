"""Shortcut tests: AUC with the lungs hidden and with only the lungs visible, the share of the heatmaps inside
the lungs, and how well the features predict the source of an image (Maguolo and Nanni 2021).

Hidden areas are filled with the blurred surroundings, since black areas would be out of distribution; their
outline remains visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from tqdm import tqdm

from classifier.contract import ModelSpec, predict_from
from classifier.evaluation import bootstrap, metrics
from classifier.evaluation.predictions import Case
from classifier.evaluation.report import FEWEST, Table, pairs
from classifier.networks.cam import cam_of
from classifier.networks.lung_segmenter import (
    box_around,
    load_segmenter,
    lung_mask,
    lungs_of,
    share_inside,
)
from classifier.networks.preprocess import WHOLE, cut, normalise, on_pixels, to_unit_square
from classifier.networks.registry import probabilities_of

if TYPE_CHECKING:
    from classifier.artifact.weights import Artifact
    from classifier.data.manifest import Row

Lungs = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]  # working images to bool (h, w), lungs True
CASES = 500
BATCH = 16
MARGIN, BLUR = 0.02, 0.10  # of the image side: margin around the lungs, and blur of the filling
FOLDS, FEWEST_IN_SOURCE = 3, 15
VIEWS = ("whole", "lungs_hidden", "lungs_only")


@dataclass(frozen=True)
class Outputs:
    """The outputs for one image: probabilities (findings,) by view, maps, pooled features; and its lungs."""

    row: Row
    probabilities: dict[str, np.ndarray]
    grids: np.ndarray
    features: np.ndarray
    lungs: np.ndarray


def shortcut_test(
    network: nn.Module,
    spec: ModelSpec,
    rows: Sequence[Row],
    lungs: Lungs,
    *,
    working: Callable[[Row], np.ndarray] | None = None,
    cases: int = CASES,
    draws: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """AUC by view, share of the heatmaps inside the lungs, and accuracy of the source probe.

    Uses at most `cases` rows with a known finding, drawn by the seed; images without lungs are counted and
    left out. `working` reads the working image of a row.
    """
    known = [row for row in rows if row.findings]
    if len(known) > cases:
        known = [known[i] for i in sorted(np.random.default_rng(seed).choice(len(known), cases, False))]
    outputs = outputs_of(network, spec, known, lungs, working or _read)
    quiet = None if progress else True
    seen = list(tqdm(outputs, desc="hiding lungs", total=len(known), unit="img", disable=quiet))
    with_lungs = [one for one in seen if one.lungs.any()]
    found: dict[str, Any] = {"cases": len(with_lungs), "without_lungs": len(seen) - len(with_lungs)}
    if not with_lungs:
        return found
    found |= {view: _ranked(spec, with_lungs, view, draws, seed) for view in VIEWS}
    found["maps_inside_lungs"] = _maps(spec, with_lungs, draws, seed)
    found["lungs_share_of_image"] = float(np.mean([one.lungs.mean() for one in with_lungs]))
    found["source_probe"] = source_probe(with_lungs, draws=draws, seed=seed)
    return found


def of_artifact(artifact: Artifact, rows: Sequence[Row], device: str = "cpu", **how: Any) -> dict[str, Any]:
    """The test with the lung segmenter of the artifact; empty if it has none."""
    if not artifact.segmenter:
        return {}
    segmenter = load_segmenter(artifact.segmenter, device)
    masks = lambda working: [lungs_of(mask).any(axis=0) for mask in lung_mask(segmenter, working)]  # noqa: E731
    return shortcut_test(artifact.network.to(device), artifact.spec, rows, masks, **how)


def outputs_of(
    network: nn.Module, spec: ModelSpec, rows: Sequence[Row], lungs: Lungs, working: Callable
) -> Iterator[Outputs]:
    """The outputs for each image: whole, with the lungs hidden, and with only the lungs visible."""
    for start in range(0, len(rows), BATCH):
        chunk = rows[start : start + BATCH]
        decoded_images = [working(row) for row in chunk]
        found = (np.asarray(mask, dtype=bool) for mask in lungs(decoded_images))
        parts = [visible_part(*pair, spec) for pair in zip(decoded_images, found, strict=True)]
        decoded_images, masks = [image for image, _ in parts], [mask for _, mask in parts]
        inputs = [to_unit_square(image, spec)[0].numpy() for image in decoded_images]
        fitted = [fitted_mask(mask, spec.size) for mask in masks]
        hidden = [without(s, grown(m)) for s, m in zip(inputs, fitted, strict=True)]
        only = [without(s, ~grown(m)) for s, m in zip(inputs, fitted, strict=True)]
        whole, grids, features = _forward(network, spec, inputs)
        hidden, only = (_forward(network, spec, masked)[0] for masked in (hidden, only))
        by_view = dict(zip(VIEWS, (whole, hidden, only), strict=True))
        for i, row in enumerate(chunk):
            yield Outputs(
                row, {view: values[i] for view, values in by_view.items()}, grids[i], features[i], masks[i]
            )


def visible_part(image: np.ndarray, mask: np.ndarray, spec: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
    """The input part of an image (H, W), and the lung mask (h, w) of that part."""
    box = box_around(mask, spec.crop_margin) if spec.crop == "lungs" else None
    box = on_pixels(box, image.shape) if box else WHOLE
    return cut(image, box), cut(mask, box)


@torch.inference_mode()
def _forward(
    network: nn.Module, spec: ModelSpec, inputs: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (N, findings), maps (N, findings, h, w) and pooled features (N, C)."""
    device = next(network.parameters()).device
    unit: Tensor = torch.from_numpy(np.stack(inputs).astype(np.float32))[:, None]
    features = network.forward_features(normalise(unit, spec).to(device)).float()
    probabilities = probabilities_of(network.forward_head(features), spec)
    return tuple(
        tensor.cpu().numpy()
        for tensor in (probabilities, cam_of(features, network, spec), features.mean(dim=(2, 3)))
    )


def fitted_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask (h, w) at the input size of the network."""
    rows, columns = ((np.arange(size) + 0.5) * side // size for side in mask.shape)
    return mask[rows.astype(int)[:, None], columns.astype(int)[None, :]]


def grown(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, iterations=max(1, round(MARGIN * len(mask))))


def without(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The image (size, size) with the hidden part filled by the blurred rest."""
    kept, sigma = (~hidden).astype(np.float64), BLUR * len(image)
    weight = ndimage.gaussian_filter(kept, sigma, mode="nearest")
    blurred = ndimage.gaussian_filter(image * kept, sigma, mode="nearest")
    mean = image[~hidden].mean() if kept.any() else 0.5
    near = np.divide(blurred, weight, out=np.full(image.shape, mean), where=weight > 1e-3)
    return np.where(hidden, near, image)


def _ranked(spec: ModelSpec, seen: Sequence[Outputs], view: str, draws: int, seed: int) -> dict[str, Any]:
    cases = [
        Case(
            one.row,
            predict_from(spec, dict(zip(spec.findings, one.probabilities[view].tolist(), strict=True))),
        )
        for one in seen
    ]
    table = Table.of(spec, cases, draws=draws, seed=seed)
    sides = table.t.sum(axis=0)
    enough = [k for k in range(len(spec.findings)) if min(sides[k], len(cases) - sides[k]) >= FEWEST]

    def measures(w: np.ndarray) -> dict[str, Any]:
        found = {spec.findings[k]: metrics.auc(table.p[:, k], table.t[:, k] == 1, w) for k in enough}
        return {**found, "macro_auc": metrics.macro_auc(table.p, table.t, w, enough)}

    of_source = {
        s: pairs(table.subset(table.groups["source"] == s)) for s in sorted(set(table.groups["source"]))
    }
    within = {
        f"{s}: {pair}": value["auc"] for s, ranked in of_source.items() for pair, value in ranked.items()
    }
    return {"auc": table.intervals(measures), "within_source": within}


def _maps(spec: ModelSpec, seen: Sequence[Outputs], draws: int, seed: int) -> dict[str, Any]:
    """Mean share of the positive map of each finding inside the lungs, over the images that have it."""
    found = {}
    for k, finding in enumerate(spec.findings):
        with_finding = [one for one in seen if finding in one.row.findings]
        shares = [(share_inside(one.grids[k], one.lungs), one.row.patient) for one in with_finding]
        shares = [(share, patient) for share, patient in shares if share is not None]
        if len(shares) >= FEWEST:
            values, patients = np.array([share for share, _ in shares]), [patient for _, patient in shares]
            found[finding] = bootstrap.mean_interval(values, patients, draws=draws, seed=seed)
    return found


def source_probe(seen: Sequence[Outputs], *, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Balanced accuracy with which a linear probe predicts the source from the features, for each finding.

    Cross-validated by patient; `chance` is one over the number of sources.
    """
    found = {}
    for finding in sorted({name for one in seen for name in one.row.findings}):
        ours = [one for one in seen if one.row.findings == (finding,)]
        counts = Counter(one.row.source for one in ours)
        sources = sorted(s for s, n in counts.items() if s and n >= FEWEST_IN_SOURCE)
        ours = [one for one in ours if one.row.source in sources]
        if len(sources) > 1:
            found[finding] = {"sources": sources, "cases": len(ours), "chance": 1 / len(sources)}
            found[finding] |= {"balanced_accuracy": _probe(ours, sources, draws, seed)}
    return found


def _probe(seen: Sequence[Outputs], sources: Sequence[str], draws: int, seed: int) -> bootstrap.Interval:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500))
    features = np.stack([one.features for one in seen])
    labels = np.array([sources.index(one.row.source) for one in seen])
    patients = np.array([one.row.patient for one in seen])
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    predicted = cross_val_predict(probe, features, labels, groups=patients, cv=folds)
    p, t = np.eye(len(sources))[predicted], np.eye(len(sources))[labels]
    measure = lambda w: {"accuracy": metrics.balanced_accuracy(p, t, w)}  # noqa: E731
    return bootstrap.intervals(measure, patients, draws=draws, seed=seed)["accuracy"]


def _read(row: Row) -> np.ndarray:
    from classifier.images.read import read_image

    return read_image(row.path).working
