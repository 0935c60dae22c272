"""Faithfulness of heatmaps: ROAD (Rong et al. 2022, arXiv:2202.00449), by the grad-cam package.

The cells ranked highest by a map are removed from the image and filled smoothly, then those ranked lowest.
With a faithful map, the probability of the finding falls more in the first case; the score is half the
difference, 0 for an uninformative map. A random map of the same resolution is measured for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from classifier.contract import CLOSED_FORM, ModelSpec
from classifier.evaluation import bootstrap
from classifier.inference.explain import ExplainerMissing, relative_grids
from classifier.networks.cam import cam_of
from classifier.networks.preprocess import to_input
from classifier.networks.registry import probabilities_of

if TYPE_CHECKING:
    from classifier.data.manifest import Row

PERCENTILES = (20, 40, 60, 80)
METHODS = (CLOSED_FORM, "gradcam++", "layercam", "eigencam")  # scorecam takes a thousand times as long
RANDOM = "random"


def road(
    network: nn.Module,
    spec: ModelSpec,
    rows: Sequence[Row],
    count: int,
    *,
    working: Callable[[Row], np.ndarray],
    methods: Sequence[str] = METHODS,
    draws: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Mean score of each method and of a random map, and the lead of each over it, on `count` images.

    `working` returns the input part of a row. The most probable finding of each image is explained; scores
    are in units of its probability. Raises ExplainerMissing if the grad-cam package is not installed.
    """
    rng = np.random.default_rng(seed)
    chosen = [rows[i] for i in sorted(rng.choice(len(rows), min(count, len(rows)), replace=False))]
    names = [*methods, RANDOM]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for the noise in the filling
        bar = tqdm(chosen, desc="ROAD", unit="img", disable=None if progress else True)
        scores = np.array([_scores(network, spec, working(row), names, rng) for row in bar])
    patients = [row.patient for row in chosen]
    mean_of = partial(bootstrap.mean_interval, patients=patients, draws=draws, seed=seed)
    lead = scores - scores[:, [-1]]
    return {
        "images": len(chosen),
        "score": {name: mean_of(scores[:, k]) for k, name in enumerate(names)},
        "lead_over_random": {name: mean_of(lead[:, k]) for k, name in enumerate(methods)},
    }


def _scores(
    network: nn.Module, spec: ModelSpec, working: np.ndarray, names: Sequence[str], rng: np.random.Generator
) -> list[float]:
    try:
        from pytorch_grad_cam.metrics.road import ROADCombined
    except ImportError as error:
        raise ExplainerMissing("ROAD needs the grad-cam package: pip install grad-cam") from error
    batch = to_input(working, spec)[None].to(next(network.parameters()).device)
    with torch.inference_mode():
        features = network.forward_features(batch).float()
        finding = int(network.forward_head(features).argmax())
        grid = cam_of(features, network, spec)[0, finding]
    measure = ROADCombined(percentiles=list(PERCENTILES))
    target = [lambda logits: probabilities_of(logits[None], spec)[0, finding]]
    found = []
    for name in names:
        if name == CLOSED_FORM:
            drawn = upsample(grid, spec.size)
        elif name == RANDOM:
            drawn = upsample(torch.from_numpy(rng.random(tuple(grid.shape), dtype=np.float32)), spec.size)
        else:
            (relative,) = relative_grids(name, network, batch, spec, [finding])
            drawn = upsample(torch.from_numpy(relative), spec.size)
        found.append(float(measure(batch, drawn[None], target, network)[0]))
    return found


def upsample(grid: Tensor, size: int) -> np.ndarray:
    """A map (h, w) at input size, from 0 to 1; ROAD uses only the order of its values."""
    full = functional.interpolate(grid[None, None].cpu(), size=(size, size), mode="bilinear")[0, 0]
    return ((full - full.min()) / (full.max() - full.min()).clamp(min=1e-9)).numpy()
