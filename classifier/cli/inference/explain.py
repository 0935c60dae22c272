"""`gradcam` is the closed-form map of the model, drawn on its fixed scale. The other methods come from the
grad-cam package and are relative: each map is scaled to its own maximum. The exit status is 0 if the image
was written, 1 if there is no prediction for the file, and 2 if a named file, model, device or package cannot
be used.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from classifier.cli.arguments import add_model_options
from classifier.contract import CLOSED_FORM, EXPLAINERS, finding_name
from classifier.reasons import ADVICE, NO_MODEL_FOR_MODALITY

if TYPE_CHECKING:
    import numpy as np

    from classifier.cli.inputs import LoadedImage
    from classifier.inference.predictor import Predictor, Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="DICOM, PNG or JPEG file")
    add("--out", metavar="PNG", required=True, help="image to write")
    add("--method", choices=EXPLAINERS, default=CLOSED_FORM, help=f"default: {CLOSED_FORM}")
    add("--finding", help="finding to explain (default: the reported or most probable finding)")
    add("--opacity", type=float, default=0.6, help="opacity at full strength, 0 to 1 (default: 0.6)")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    from classifier.cli.inputs import LoadedImage, load_single
    from classifier.cli.models import Models
    from classifier.inference.explain import ExplainerMissing

    try:
        models = Models(args.model, device=args.device, precision="fp32")
        image = load_single(args.file, models.stated_slot(args.modality))
        if not isinstance(image, LoadedImage):
            return _no_result(args.file, getattr(image, "reason", str(image)))
        predictor = models.for_slot(image.facts.slot)
        if predictor is None:
            return _no_result(args.file, NO_MODEL_FOR_MODALITY)
        return _explain(args, image, predictor)
    except (ExplainerMissing, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _explain(args: argparse.Namespace, image: LoadedImage, predictor: Predictor) -> int:
    from classifier.inference import explain
    from classifier.inference.predictor import Failure

    (result,) = predictor.predict([image.as_input()])
    if isinstance(result, Failure):
        return _no_result(args.file, result.message)
    probabilities = result.prediction.probabilities
    finding = args.finding or result.prediction.finding or max(probabilities, key=probabilities.get)
    if finding not in probabilities:
        print(f"Unknown finding {finding!r}; choose one of {', '.join(probabilities)}", file=sys.stderr)
        return 2
    drawing, legend = _draw(args, finding, image, result, predictor)
    reason = result.prediction.abstention
    withheld = f" (withheld: {ADVICE[reason].problem})" if reason else ""
    lines = [
        f"{finding_name(finding)} {probabilities[finding]:.2f}{withheld}",
        f"{args.method}: {legend}; model {predictor.spec.name}",
    ]
    sheet, info = explain.add_caption(drawing, lines)
    sheet.save(args.out, format="PNG", pnginfo=info)
    print("\n".join(lines))
    return 0


def _draw(
    args: argparse.Namespace, finding: str, image: LoadedImage, result: Result, predictor: Predictor
) -> tuple[np.ndarray, str]:
    """The preview with the heatmap, and the meaning of full strength."""
    import numpy as np

    from classifier.images import heatmap
    from classifier.inference.explain import relative_grids
    from classifier.networks.preprocess import grid_to_original, to_input

    original, spec = (image.facts.rows, image.facts.columns), predictor.spec
    if args.method == CLOSED_FORM:
        grid, affine = np.array(result.cam.grids[finding]) / result.cam.scale, result.cam.affine
        legend = f"full strength at {result.cam.scale:.3g} logits"
    else:
        batch = to_input(image.working, spec, result.box)[None].to(predictor.device)
        (grid,) = relative_grids(args.method, predictor.network, batch, spec, [spec.findings.index(finding)])
        affine = grid_to_original(grid.shape, original, result.box)
        legend = "relative to its own maximum"
    return heatmap.draw_heatmap(image.preview, grid, affine, original, opacity=args.opacity), legend


def _no_result(file: str, reason: str) -> int:
    advice = ADVICE.get(reason)
    print(f"{file}: {f'{advice.problem} {advice.remedy}' if advice else reason}", file=sys.stderr)
    return 1
