"""Training and predicting: intents are told apart, and what is none of them is noticed."""

from __future__ import annotations

import numpy
import pytest

from agentkit.errors import ConfigurationError
from agentkit.intents import IntentExample, IntentModel, Prediction, train
from agentkit.testing.encoder import HashingEncoder
from tests.intents.phrases import BAKERY, STRANGERS, bakery

ENCODER = HashingEncoder(dimension=256)


def trained(examples: list[IntentExample]) -> IntentModel:
    return train(examples, ENCODER.encode([example.text for example in examples]), ENCODER.id)


def predicted(model: IntentModel, text: str) -> Prediction:
    return model.predict(text, ENCODER.encode([text])[0])


def intent_of(model: IntentModel, text: str) -> str | None:
    return predicted(model, text).intent


@pytest.mark.parametrize("strangers", [0, 3, 6])
def test_new_wordings_find_their_intent(strangers: int) -> None:
    model = trained(bakery(strangers=strangers))
    assert intent_of(model, "please tell me your opening hours on sunday") == "opening_hours"
    assert intent_of(model, "I want to order a cake with chocolate") == "order_cake"
    assert intent_of(model, "are there nuts or egg in the bread") == "allergens"
    assert intent_of(model, "do you deliver to the office on weekends") == "delivery"


@pytest.mark.parametrize("strangers", [0, 3, 6])
def test_a_message_unlike_all_examples_is_out_of_scope(strangers: int) -> None:
    model = trained(bakery(strangers=strangers))
    for text in ("zebra quantum xylophone", "recommend three novels by russian authors", "🥨🥨🥨", ""):
        prediction = predicted(model, text)
        assert prediction.intent is None, text
        assert prediction.in_scope < model.threshold
        assert len(prediction.ranking) == 4


def test_the_examples_themselves_keep_their_intent() -> None:
    model = trained(bakery(strangers=6))
    texts = [example.text for example in bakery()]
    predictions = model.predict_all(texts, ENCODER.encode(texts))
    wanted = [example.intent for example in bakery()]
    assert [prediction.intent for prediction in predictions] == wanted
    assert all(intent_of(model, text) is None for text in STRANGERS)


def test_the_ranking_is_ordered_and_leaves_room_for_out_of_scope() -> None:
    model = trained(bakery(strangers=6))
    sure = predicted(model, "what are your opening hours on sunday")
    assert sure.ranking[0] == ("opening_hours", sure.probability)
    probabilities = [probability for _, probability in sure.ranking]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(sure.in_scope, abs=1e-5)
    unsure = predicted(model, "zebra quantum")
    assert unsure.probability < 0.5 < sure.probability


def test_the_ranking_names_the_five_best_of_many() -> None:
    examples = [IntentExample(f"word{i} thing{j} text{i}", f"intent{i}") for i in range(12) for j in range(4)]
    prediction = predicted(trained(examples), "word7 text7")
    assert prediction.intent == "intent7"
    assert len(prediction.ranking) == 5


def test_the_same_examples_give_the_same_model() -> None:
    one, two = trained(bakery(strangers=3)), trained(bakery(strangers=3))
    assert numpy.array_equal(one.head.weight, two.head.weight)
    assert (one.temperature, one.threshold, one.gate) == (two.temperature, two.threshold, two.gate)


def test_training_reports_what_it_measured_on_held_out_examples() -> None:
    figures = trained(bakery(strangers=6)).figures
    assert (figures.examples, figures.out_of_scope) == (32, 6)
    assert figures.accuracy is not None
    assert figures.accuracy > 0.8
    assert figures.accepted_and_right is not None
    assert figures.out_of_scope_declined is not None
    assert figures.left_out_declined is not None


def test_vectors_that_fall_into_clear_groups_are_told_apart_without_error() -> None:
    random = numpy.random.default_rng(1)
    centres = random.normal(size=(12, 384))
    vectors = (centres.repeat(15, axis=0) + random.normal(size=(180, 384)) * 0.8).astype(numpy.float32)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    examples = [IntentExample(str(i), f"intent{i // 15}") for i in range(180)]
    model = train(examples, vectors, "random")
    assert model.figures.accuracy == 1.0
    assert model.figures.left_out_declined == pytest.approx(1.0, abs=0.02)


def test_intents_with_one_example_each_are_told_apart() -> None:
    model = trained(bakery(each=1))
    assert intent_of(model, BAKERY["delivery"][0]) == "delivery"
    assert intent_of(model, BAKERY["allergens"][0]) == "allergens"
    assert intent_of(model, "zebra quantum xylophone") is None


def test_one_intent_with_a_single_example_does_not_hinder_the_others() -> None:
    model = trained([*bakery(), IntentExample("I lost my umbrella in your shop", "lost_property")])
    assert intent_of(model, "are you open on saturday") == "opening_hours"
    assert intent_of(model, "I lost my umbrella in your shop") == "lost_property"


def test_two_intents_without_strangers_suffice() -> None:
    model = trained([example for example in bakery() if example.intent in ("delivery", "order_cake")])
    assert intent_of(model, "is delivery to my street free of charge") == "delivery"
    assert intent_of(model, "I want to order a wedding cake") == "order_cake"
    assert intent_of(model, "zebra quantum xylophone") is None


@pytest.mark.parametrize("strangers", [1, 6])
def test_a_single_intent_is_told_from_what_is_out_of_scope(strangers: int) -> None:
    model = trained(
        [example for example in bakery(strangers=strangers) if example.intent in ("delivery", None)]
    )
    assert intent_of(model, "how much does the delivery cost") == "delivery"
    assert intent_of(model, "zebra quantum xylophone") is None


def test_unequal_numbers_of_examples_are_fine() -> None:
    few = [example for example in bakery() if example.intent != "delivery"]
    few += [
        IntentExample(f"{text} {extra}", "delivery") for text in BAKERY["delivery"] for extra in "abcdefghij"
    ]
    model = trained(few)
    assert intent_of(model, "do you open early on sunday") == "opening_hours"
    assert intent_of(model, "when will the delivery arrive") == "delivery"


def test_a_single_intent_without_strangers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="`delivery` is the only intent") as caught:
        trained([IntentExample("a", "delivery"), IntentExample("b", "delivery")])
    assert "out of scope" in caught.value.hint


@pytest.mark.parametrize("examples", [[], [IntentExample("a", None)]])
def test_nothing_to_learn_from_is_refused(examples: list[IntentExample]) -> None:
    with pytest.raises(ConfigurationError, match="no examples of an intent"):
        trained(examples)


def test_labels_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="`greet` and `Greet`"):
        trained([IntentExample("a", "greet"), IntentExample("b", "Greet")])


def test_a_blank_label_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="blank name"):
        trained([IntentExample("a", "greet"), IntentExample("b", " ")])


def test_a_vector_that_is_not_a_number_is_refused_with_its_example() -> None:
    vectors = ENCODER.encode([example.text for example in bakery()])
    vectors[3, 5] = numpy.nan
    with pytest.raises(ConfigurationError, match=r"not finite.*until when are you open today"):
        train(bakery(), vectors, ENCODER.id)


def test_vectors_that_do_not_match_the_examples_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="32 examples need as many vectors"):
        train(bakery(), ENCODER.encode(["one"]), ENCODER.id)


def test_a_vector_of_another_encoder_is_refused() -> None:
    model = trained(bakery())
    with pytest.raises(ConfigurationError, match="dimension 256"):
        model.predict("cake", numpy.zeros(384, dtype=numpy.float32))
    with pytest.raises(ConfigurationError, match="not finite"):
        model.predict("cake", numpy.full(256, numpy.inf, dtype=numpy.float32))
