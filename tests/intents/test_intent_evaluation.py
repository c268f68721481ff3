"""Figures of an evaluation, examples that are checked, and the letters of a message."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

from agentkit.errors import ConfigurationError
from agentkit.intents import Evaluated, IntentExample, Prediction, evaluate, score, train
from agentkit.intents.checking import check_examples
from agentkit.intents.evaluation import matthews
from agentkit.intents.lexical import fit_lexicon
from agentkit.intents.pictures import draw
from agentkit.intents.scope import auroc, threshold_for_risk
from agentkit.testing.encoder import HashingEncoder
from tests.intents.phrases import bakery

ENCODER = HashingEncoder(dimension=256)


def vectors(examples: list[IntentExample]) -> numpy.ndarray:
    return ENCODER.encode([example.text for example in examples])


def said(expected: str | None, intent: str | None, probability: float, first: str = "a") -> Evaluated:
    ranking = ((intent or first, probability), ("z", 0.0))
    return Evaluated("text", expected, Prediction(intent, probability, ranking, probability))


def test_the_figures_are_those_of_a_count_by_hand() -> None:
    found = [
        said("a", "a", 0.9),
        said("a", "b", 0.8),
        said("b", "b", 0.7),
        said("b", None, 0.3, first="b"),
        said(None, None, 0.1),
        said(None, "a", 0.6),
    ]
    scores = score(found)
    assert (scores.in_scope, scores.out_of_scope) == (4, 2)
    assert (scores.accuracy, scores.accuracy_of_ranking) == (0.5, 0.75)
    assert (scores.out_of_scope_recall, scores.out_of_scope_precision) == (0.5, 0.5)
    assert scores.auroc == pytest.approx(7 / 8)
    assert scores.calibration_error == pytest.approx((0.1 + 0.8 + 0.3 + 0.7 + 0.1 + 0.6) / 6)
    assert [(each.intent, each.recall, each.precision) for each in scores.intents] == [
        ("a", 0.5, 0.5),
        ("b", 0.5, 0.5),
    ]
    assert json.loads(scores.to_json())["confusions"][0]["count"] == 1


def test_matthews_correlation_is_one_for_no_error_and_none_for_a_constant() -> None:
    assert matthews(["a", "b", None], ["a", "b", None]) == pytest.approx(1)
    assert matthews(["a", "b"], ["a", "a"]) == 0


def test_auroc_counts_pairs() -> None:
    assert auroc(numpy.array([0.9, 0.5, 0.5, 0.1]), numpy.array([True, True, False, False])) == pytest.approx(
        0.875
    )


def test_the_threshold_for_a_risk_accepts_as_much_as_it_may() -> None:
    probability = numpy.array([0.9, 0.8, 0.7, 0.6])
    right = numpy.array([True, True, False, True])
    weight = numpy.full(4, 0.25)
    assert threshold_for_risk(probability, right, weight, 0.1) == pytest.approx(0.75)
    assert threshold_for_risk(probability, right, weight, 0.3) == pytest.approx(0.3)


def test_a_prediction_line_has_what_others_read(tmp_path: Path) -> None:
    examples = bakery(strangers=6)
    model = train(examples, vectors(examples), ENCODER.id)
    found = evaluate(model, ENCODER, examples)
    line = json.loads(found[-1].to_json())
    assert set(line) == {"text", "intent", "probability", "ranking"}
    assert line["intent"] is None
    assert len(line["ranking"]) == 4
    assert found[0].milliseconds is not None


def test_close_runners_up_are_ambiguous_and_out_of_scope_never_is() -> None:
    close = (("a", 0.5), ("b", 0.4), ("c", 0.0))
    assert Prediction("a", 0.5, close, 0.9).ambiguous == ("a", "b")
    assert Prediction(None, 0.5, close, 0.1).ambiguous == ()
    assert Prediction("a", 0.8, (("a", 0.8), ("b", 0.1)), 0.9).ambiguous == ()
    assert Prediction("a", 0.2, (("a", 0.2), ("b", 0.2)), 0.9).ambiguous == ()


def test_validation_messages_take_the_place_of_folds() -> None:
    examples, held = bakery(each=5), bakery(strangers=6)[5::8]
    model = train(examples, vectors(examples), ENCODER.id, validation=(held, vectors(held)))
    assert model.figures.accuracy is not None
    unknown = [IntentExample("a", "opening_hours"), IntentExample("b", "surprise")]
    with pytest.raises(ConfigurationError, match="`surprise`"):
        train(examples, vectors(examples), ENCODER.id, validation=(unknown, vectors(unknown)))


def test_misspelt_words_stay_near_their_own() -> None:
    lexicon = fit_lexicon(["what is my balance", "freeze my account", "book a flight"])
    right, wrong, other, nothing = lexicon.encode(["balance", "blance", "flight", "🥨"])
    assert right @ wrong > right @ other + 0.2
    assert not nothing.any()


def test_a_wrong_label_a_repetition_and_a_poor_intent_are_found() -> None:
    wrong = IntentExample("what are your opening hours on sunday", "delivery")
    contradiction = IntentExample("Opening  hours please", "allergens")
    poor = [IntentExample("I lost my umbrella in your shop", "lost_property")]
    examples = [*bakery(), wrong, contradiction, *poor]
    checks = check_examples(examples, vectors(examples))
    assert wrong.text in [each.text for each in checks.mislabelled]
    assert contradiction.text in [each.text for each in checks.contradicting]
    assert ("lost_property", 9) in [(each.intent, each.add) for each in checks.wanting]
    assert json.loads(checks.to_json())["examples"] == 35
    assert any("mislabelled" in title for title, _ in checks.sections())


def test_pictures_are_drawn(tmp_path: Path) -> None:
    examples = bakery(strangers=6)
    model = train(examples, vectors(examples), ENCODER.id)
    paths = draw(tmp_path / "pictures", evaluate(model, ENCODER, examples), vectors(examples))
    assert [path.name for path in paths] == [
        "confusions.png",
        "reliability.png",
        "risk_coverage.png",
        "map.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_without_matplotlib_pictures_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match="matplotlib") as caught:
        draw(tmp_path, [said("a", "a", 0.9)], vectors([IntentExample("a", "a")]))
    assert "agentkit-local[eval]" in caught.value.hint
