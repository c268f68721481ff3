"""Pictures of an evaluation: where intents are confused, how honest the probabilities are, what a threshold costs, and
how the messages lie in the space of the encoder. matplotlib is the extra `eval`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy

from agentkit.errors import ConfigurationError
from agentkit.intents.evaluation import Evaluated, calibration_error, reliability
from agentkit.intents.scope import OUT_OF_SCOPE_SHARE, risk_coverage

if TYPE_CHECKING:
    from agentkit.intents.head import Floats

OUT_OF_SCOPE: Final = "out of scope"
"""How messages without an intent are called in pictures."""

_MOST_SHOWN: Final = 30  # intents of the heat map: the most confused ones
_MOST_COLOURED: Final = 18  # intents of the map that have a colour and a name
_MOST_POINTS: Final = 4000
_LEFT_OUT: Final = "#d0d0d0"


def draw(folder: Path, found: Sequence[Evaluated], space: Floats) -> list[Path]:
    """Draw all pictures as PNG files.

    Args:
        folder: Where to; made when needed.
        found: What `evaluate` found.
        space: float32 [n, d], unit vectors of its messages.

    Returns:
        The files.

    Raises:
        ConfigurationError: matplotlib is missing, or the folder cannot be written.
    """
    figure_class = _figure_class()
    pictures: dict[str, Callable[[Any], None]] = {
        "confusions": lambda figure: _confusions(figure, found),
        "reliability": lambda figure: _reliability(figure, found),
        "risk_coverage": lambda figure: _risk_coverage(figure, found),
        "map": lambda figure: _map(figure, found, space),
    }
    paths: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            figure = figure_class(figsize=(11, 9) if name in ("confusions", "map") else (7, 5.5), dpi=110)
            picture(figure)
            figure.savefig(folder / f"{name}.png", bbox_inches="tight", facecolor="white")
            paths.append(folder / f"{name}.png")
    except OSError as error:
        raise ConfigurationError(
            f"the pictures cannot be written to {folder}: {error.strerror or error}",
            hint="Name another folder.",
        ) from error
    return paths


def plane(vectors: Floats, groups: Sequence[str]) -> Floats:
    """Points [n, 2] that show how groups of unit vectors [n, d] lie to each other.

    The two directions in which the means of the groups differ most (principal components of the means), so that groups
    that overlap on the picture are near each other in the space.
    """
    names = sorted(set(groups))
    number = {name: index for index, name in enumerate(names)}
    index = numpy.array([number[group] for group in groups])
    means = numpy.stack([vectors[index == at].mean(axis=0) for at in range(len(names))])
    centre = means.mean(axis=0)
    _, _, directions = numpy.linalg.svd(means - centre, full_matrices=True)
    return numpy.asarray((vectors - centre) @ directions[:2].T, dtype=numpy.float32)


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError(
            "Pictures need matplotlib, which is not installed.", hint="pip install 'agentkit-local[eval]'"
        ) from error
    return Figure


def _name(intent: str | None) -> str:
    return OUT_OF_SCOPE if intent is None else intent


def _confusions(figure: Any, found: Sequence[Evaluated]) -> None:
    pairs = Counter((_name(each.expected), _name(each.prediction.intent)) for each in found)
    wrong: Counter[str] = Counter()
    for (expected, predicted), count in pairs.items():
        if expected != predicted:
            wrong[expected] += count
            wrong[predicted] += count
    names = [name for name, _ in wrong.most_common(_MOST_SHOWN)] or sorted({_name(e.expected) for e in found})
    names = sorted(names[:_MOST_SHOWN], key=lambda name: (name == OUT_OF_SCOPE, name))
    totals = Counter(_name(each.expected) for each in found)
    shares = numpy.array([[pairs[one, other] / max(totals[one], 1) for other in names] for one in names])
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="magma_r", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for row, one in enumerate(names):
        for column, other in enumerate(names):
            if count := pairs[one, other]:
                shade = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=shade)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    all_names = len(set(totals))
    shown = "all intents" if len(names) >= all_names else f"the {len(names)} most confused of {all_names}"
    axes.set_title(f"Confusions: {shown}; numbers are messages")
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.8)


def _reliability(figure: Any, found: Sequence[Evaluated]) -> None:
    bins = reliability(found)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    upper.plot([said for said, _, _ in bins], [right for _, right, _ in bins], marker="o", label="measured")
    upper.set_ylabel("share that is right")
    upper.set_title(f"Reliability: expected calibration error {calibration_error(found):.3f}")
    upper.legend(loc="upper left")
    lower.bar([said for said, _, _ in bins], [count for _, _, count in bins], width=0.04, color="C0")
    lower.set_yscale("log")
    lower.set_ylabel("messages")
    lower.set_xlabel("probability")
    lower.set_xlim(0, 1)


def _risk_coverage(figure: Any, found: Sequence[Evaluated]) -> None:
    scope = numpy.array([each.prediction.in_scope for each in found])
    right = numpy.array([each.first_is_right for each in found])
    inside = numpy.array([each.expected is not None for each in found])
    weight = numpy.where(inside, 1 - OUT_OF_SCOPE_SHARE, OUT_OF_SCOPE_SHARE)
    weight = weight / numpy.where(inside, max(inside.sum(), 1), max((~inside).sum(), 1))
    curve = risk_coverage(scope, right, weight, points=400)
    accepted = numpy.array([each.prediction.intent is not None for each in found])
    axes = figure.add_subplot()
    axes.plot([100 * coverage for _, coverage, _ in curve], [100 * risk for _, _, risk in curve])
    if accepted.any():
        coverage = 100 * float(weight[accepted].sum() / weight.sum())
        risk = 100 * float((weight * ~right)[accepted].sum() / weight[accepted].sum())
        axes.plot([coverage], [risk], marker="o", color="C3", linestyle="none")
        axes.annotate(
            f"the threshold: {coverage:.0f} % accepted, {risk:.1f} % of them wrong",
            (coverage, risk),
            xytext=(-12, 14),
            textcoords="offset points",
            ha="right",
        )
    axes.set_xlabel("messages accepted, %")
    axes.set_ylabel("wrong among them, %")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_title(f"Risk and coverage, if {100 * OUT_OF_SCOPE_SHARE:.0f} % of the messages are out of scope")


def _map(figure: Any, found: Sequence[Evaluated], space: Floats) -> None:
    from matplotlib.patheffects import withStroke

    random = numpy.random.default_rng(0)
    rows = numpy.sort(random.permutation(len(found))[:_MOST_POINTS])
    groups = [_name(found[row].expected) for row in rows]
    points = plane(space[rows], groups)
    errors = Counter(_name(each.expected) for each in found if each.prediction.intent != each.expected)
    errors.update(_name(each.prediction.intent) for each in found if each.prediction.intent != each.expected)
    coloured = [name for name, _ in errors.most_common() if name != OUT_OF_SCOPE][:_MOST_COLOURED]
    coloured = coloured or sorted(set(groups))[:_MOST_COLOURED]
    axes = figure.add_subplot()
    labels = numpy.array(groups)
    rest = ~numpy.isin(labels, [*coloured, OUT_OF_SCOPE])
    axes.scatter(points[rest, 0], points[rest, 1], s=6, color=_LEFT_OUT, label="other intents", zorder=1)
    strange = labels == OUT_OF_SCOPE
    axes.scatter(
        *points[strange].T, s=9, color="dimgray", marker="x", linewidths=0.7, label=OUT_OF_SCOPE, zorder=2
    )
    # A white edge, so that names can be read on the points that they stand among.
    edge = [withStroke(linewidth=3, foreground="white")]
    colours = _colours(len(coloured))
    for name, colour in zip(coloured, colours, strict=True):
        of_it = labels == name
        axes.scatter(points[of_it, 0], points[of_it, 1], s=18, color=colour, label=name, zorder=3)
        if of_it.any():
            x, y = numpy.median(points[of_it], axis=0)
            axes.text(x, y, name, fontsize=8, weight="bold", ha="center", zorder=4, path_effects=edge)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    axes.set_title(
        "Messages in the encoder's space: the intents that are confused most; what overlaps is near"
    )
    axes.set_xticks([])
    axes.set_yticks([])


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["hsv"](index / max(count, 1)) for index in range(count)]
