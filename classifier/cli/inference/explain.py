"""`gradcam` is the model's own closed-form map on its fixed scale; the other methods come from the grad-cam
package and are relative: each is drawn to its own maximum. The exit status is 0 when the image was drawn, 1
when the file got no prediction, 2 when a file, model, device or package that is needed cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from classifier.cli.arguments import add_model_options
from classifier.contract import ADVICE, CLOSED_FORM, EXPLAINERS, NO_MODEL_FOR_MODALITY

if TYPE_CHECKING:
    import numpy as np

    from classifier.cli.inputs import Read
    from classifier.inference.predictor import Answer, Predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a DICOM, PNG or JPEG file")
    parser.add_argument("--out", metavar="PNG", required=True, help="where the image is written")
    parser.add_argument("--method", choices=EXPLAINERS, default=CLOSED_FORM)
    parser.add_argument(
        "--finding", help="the finding to explain (default: the reported or most probable one)"
    )
    parser.add_argument("--opacity", type=float, default=0.6, help="of the map at full strength, 0 to 1")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    from classifier.cli.inputs import Read, read_alone
    from classifier.cli.models import Models
    from classifier.inference.explain import ExplainerMissing

    try:
        models = Models(args.model, device=args.device, precision="fp32")
        found = read_alone(args.file, models.stated_slot(args.modality))
        if not isinstance(found, Read):
            return _no_answer(args.file, getattr(found, "reason", str(found)))
        predictor = models.for_slot(found.facts.slot)
        if predictor is None:
            return _no_answer(args.file, NO_MODEL_FOR_MODALITY)
        return _explain(args, found, predictor)
    except (ExplainerMissing, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _explain(args: argparse.Namespace, read: Read, predictor: Predictor) -> int:
    from classifier.inference import explain
    from classifier.inference.predictor import Failure, Input

    (answer,) = predictor.predict([Input(read.working, (read.facts.rows, read.facts.columns), read.age)])
    if isinstance(answer, Failure):
        return _no_answer(args.file, answer.message)
    probabilities = answer.prediction.probabilities
    finding = args.finding or answer.prediction.finding or max(probabilities, key=probabilities.get)
    if finding not in probabilities:
        print(f"the model knows {', '.join(probabilities)}, not {finding!r}", file=sys.stderr)
        return 2
    image, legend = _drawn(args, finding, read, answer, predictor)
    reason = answer.prediction.abstention
    lines = [
        f"{finding} {probabilities[finding]:.2f}" + (f" (withheld: {ADVICE[reason].seen})" if reason else ""),
        f"{args.method}: {legend}; model {predictor.spec.name}",
    ]
    sheet, info = explain.with_caption(image, lines)
    sheet.save(args.out, format="PNG", pnginfo=info)
    print("\n".join(lines))
    return 0


def _drawn(
    args: argparse.Namespace, finding: str, read: Read, answer: Answer, predictor: Predictor
) -> tuple[np.ndarray, str]:
    """The preview under the map, and what full strength means."""
    import numpy as np

    from classifier.images import heatmap
    from classifier.inference.explain import relative_grids
    from classifier.networks.preprocess import grid_to_original, to_input

    original, spec = (read.facts.rows, read.facts.columns), predictor.spec
    if args.method == CLOSED_FORM:
        grid, affine = np.array(answer.cam.grids[finding]) / answer.cam.scale, answer.cam.affine
        legend = f"full strength at {answer.cam.scale:.3g} logits"
    else:
        batch = to_input(read.working, spec, answer.box)[None].to(predictor.device)
        (grid,) = relative_grids(args.method, predictor.network, batch, spec, [spec.findings.index(finding)])
        affine = grid_to_original(grid.shape, original, answer.box)
        legend = "relative, drawn to its own maximum"
    return heatmap.draw_heatmap(read.preview, grid, affine, original, opacity=args.opacity), legend


def _no_answer(file: str, reason: str) -> int:
    advice = ADVICE.get(reason)
    print(f"{file}: {f'{advice.seen} {advice.remedy}' if advice else reason}", file=sys.stderr)
    return 1
