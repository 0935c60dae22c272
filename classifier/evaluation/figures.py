"""Draws the ROC, precision-recall and reliability curves and the confusion matrix as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.contract import DISCLAIMER, finding_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The hues of the light theme of the web application (Okabe-Ito).
HUES = {"pneumonia": "#b37b00", "covid19": "#b05a88", "normal": "#008a64", "opacity": "#d55e00"}
OTHERS = ("#2a86bd", "#d55e00", "#0072b2", "#8f8700")
GREY, INK = "#8a8a8a", "#1a1a1a"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "hilum",
    "svg.fonttype": "path",
}
DASHES = ("-", "--", "-.", ":")


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the curves of a report into `folder`, each as .png and .svg; returns the paths.

    The same report gives the same bytes.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with rc_context(STYLE):
        for name, paint in _figures(found):
            figure = Figure(figsize=(5.6, 5.2), layout="constrained")
            FigureCanvasAgg(figure)
            paint(figure.add_subplot(), found)
            figure.supxlabel(DISCLAIMER, fontsize=7, color=INK)
            for end in ("png", "svg"):
                paths.append(folder / f"{name}.{end}")
                metadata = {"Software": None} if end == "png" else {"Date": None}
                figure.savefig(paths[-1], dpi=160, metadata=metadata, facecolor="white")
    return paths


def _figures(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if found["curves"]["roc"]:
        yield "roc", roc
        yield "precision-recall", precision_recall
    yield "reliability", reliability
    if found["confusion"]:
        yield "confusion", confusion


def roc(axes: Axes, found: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    for finding, points, look in _lines(found, "roc"):
        axes.plot(*zip(*points, strict=True), label=_with(finding, found, "auc", "AUC"), **look)
    _square(axes, "1 - specificity", "Sensitivity", "Receiver operating characteristic", "lower right")


def precision_recall(axes: Axes, found: Mapping[str, Any]) -> None:
    for finding, points, look in _lines(found, "precision_recall"):
        label = _with(finding, found, "average_precision", "AP")
        axes.step(*zip(*points, strict=True), where="post", label=label, **look)
        share = found["findings"][finding]["present"] / found["cases"]
        axes.axhline(share, color=look["color"], linewidth=0.6, linestyle=":")
    _square(axes, "Recall (sensitivity)", "Precision (PPV)", "Precision and recall", "best")
    axes.annotate("Dotted: prevalence", (0.01, 0.01), fontsize=7, color=INK)


def reliability(axes: Axes, found: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    for finding, bins, look in _lines(found, "reliability"):
        points = [(b["mean"], b["observed"]) for b in bins]
        sizes = [8 + 72 * b["cases"] / found["cases"] for b in bins]
        label = finding_name(finding)
        if finding in found["findings"]:
            label = _with(finding, found, "calibration_error", "ECE")
        axes.plot(*zip(*points, strict=True), label=label, **look)
        axes.scatter(*zip(*points, strict=True), s=sizes, color=look["color"], linewidths=0)
    _square(axes, "Predicted probability", "Observed frequency", "Reliability, ten bins", "upper left")


def confusion(axes: Axes, found: Mapping[str, Any]) -> None:
    counts = found["confusion"]["counts"]
    names = [finding_name(name) for name in found["confusion"]["findings"]]
    shares = [[n / max(sum(line), 1) for n in line] for line in counts]
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for row, line in enumerate(counts):
        for column, number in enumerate(line):
            share = shares[row][column]
            ink = "white" if share < 0.5 else "black"
            text = f"{number}\n{share:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=ink)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="Most probable finding", ylabel="True finding", title="Confusion matrix")


def _lines(found: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    spare = count()
    for number, (finding, points) in enumerate(found["curves"][kind].items()):
        colour = INK if finding == "most probable" else HUES.get(finding)
        colour = colour or OTHERS[next(spare) % len(OTHERS)]
        yield finding, points, {"color": colour, "linewidth": 1.8, "linestyle": DASHES[number % len(DASHES)]}


def _with(finding: str, found: Mapping[str, Any], measure: str, short: str) -> str:
    value = found["findings"][finding][measure]["value"]
    name = finding_name(finding)
    return name if value is None else f"{name} ({short} {value:.2f})"


def _square(axes: Axes, x: str, y: str, title: str, legend: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y, title=title, aspect="equal")
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc=legend, frameon=False, fontsize=9)
