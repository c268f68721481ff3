from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import ConstraintUnmet, ContextOverflow
from agentkit.messages import Message, ToolSpec, assistant, text_of, user
from agentkit.models.dialects import encode
from agentkit.models.engine.reply import token_of_a_loop
from agentkit.models.engine.sampling import Chooser
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Constraint,
    Finished,
    FreeText,
    GenerationRequest,
    Generator,
    JsonSchema,
    Regex,
    ReplyStart,
    Sampling,
    TextChunk,
)
from tests.models.tiny_model import CODEC, tiny_generator, tiny_model

TOOL = ToolSpec(
    name="find_order",
    description="Find an order.",
    parameters={
        "type": "object",
        "properties": {"order_id": {"type": "string", "pattern": "^[0-9]{4}$"}},
        "required": ["order_id"],
    },
)


def ask(generator: Generator, text: str = "Hello", **settings: Any) -> Finished:
    request = GenerationRequest(messages=[user(text)], **{"max_tokens": 40, **settings})
    *chunks, last = generator.generate(request)
    assert isinstance(last, Finished)
    assert "".join(c.text for c in chunks if isinstance(c, TextChunk)) == last.text
    return last


def logits_of(prompt: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return tiny_model()(input_ids=torch.tensor([prompt])).logits[0].float()  # type: ignore[no-any-return]


def prompt_of(generator: LocalGenerator, messages: list[Message]) -> list[int]:
    return encode(generator.dialect.render(messages, []), CODEC)


def test_it_is_a_generator() -> None:
    assert isinstance(tiny_generator(), Generator)


def test_greedy_writing_takes_the_most_probable_allowed_token_each_time() -> None:
    generator = tiny_generator()
    sequence = prompt_of(generator, [user("Hello")])
    expected: list[int] = []
    for _ in range(12):
        logits = logits_of(sequence + expected)[-1]
        barred = [t for t in CODEC.control_ids if t != CODEC.control_id("<|im_end|>")]
        logits[barred] = -torch.inf
        token = int(logits.argmax())
        if token == CODEC.control_id("<|im_end|>"):
            break
        expected.append(token)
    finished = ask(generator, max_tokens=12)
    assert finished.text == CODEC.decode(expected)
    assert finished.usage.generated_tokens == len(expected)
    assert finished.usage.prompt_tokens == len(sequence) == generator.count_tokens([user("Hello")])


@settings(max_examples=15)
@given(texts=st.lists(st.text(max_size=12), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_a_reused_prefix_changes_nothing(texts: list[str], seed: int) -> None:
    warm = tiny_generator()
    history: list[Message] = []
    for number, text in enumerate(texts):
        history.append(user(text))
        sampling = Sampling(temperature=0.7 * (number % 2), seed=seed)
        constraint: Constraint = JsonSchema({"enum": ["yes", "no"]}) if number % 3 == 2 else FreeText()
        request = GenerationRequest(
            messages=tuple(history), constraint=constraint, sampling=sampling, max_tokens=8
        )
        *_, first = warm.generate(request)
        *_, second = tiny_generator().generate(request)
        assert isinstance(first, Finished)
        assert isinstance(second, Finished)
        assert first.text == second.text
        assert second.usage.cached_tokens == 0
        history.append(first.reply)


def test_the_next_turn_computes_only_what_is_new() -> None:
    generator = tiny_generator()
    first = ask(generator, "Where is my order?", constraint=Regex(r"It has been shipped\."))
    assert first.usage.forced_tokens == len("It has been shipped.")
    assert first.usage.forward_passes == 0  # nothing was left to choose
    second = ask(generator, "Where is my order?", constraint=Regex("[ab]"))
    turns: list[Message] = [user("Where is my order?"), second.reply, user("Thanks")]
    *_, third = generator.generate(GenerationRequest(messages=turns, constraint=Regex("[ab]")))
    assert isinstance(third, Finished)
    assert third.usage.cached_tokens == second.usage.prompt_tokens
    assert third.usage.forward_passes == 1


def test_a_sliding_window_is_not_cropped_but_computed_again() -> None:
    generator = tiny_generator(sliding_window=8)
    first, again = ask(generator, "one two three"), ask(generator, "one two three")
    assert again.text == first.text
    assert again.usage.cached_tokens == 0


def test_forced_tokens_share_the_forward_pass_of_the_next_free_one() -> None:
    finished = ask(tiny_generator(), tools=[TOOL], constraint=CallTools(allow_text=False), max_tokens=100)
    call = finished.reply.calls[0]
    assert call.name == "find_order"
    assert str(call.arguments["order_id"]).isdigit()
    assert finished.usage.forward_passes == 2 + 4  # the prompt takes three, then a digit each
    assert finished.usage.generated_tokens - finished.usage.forced_tokens == 4


def test_two_replies_can_be_written_in_turns() -> None:
    generator = tiny_generator()
    requests = [GenerationRequest(messages=[user(text)], max_tokens=10) for text in ("one", "two")]
    alone = [list(tiny_generator().generate(request)) for request in requests]
    streams = [generator.generate(request) for request in requests]
    mixed: list[list[Any]] = [[], []]
    live = [0, 1]
    while live:
        for index in list(live):
            try:
                mixed[index].append(next(streams[index]))
            except StopIteration:
                live.remove(index)
    assert [items[-1].text for items in mixed] == [items[-1].text for items in alone]


def test_threads_do_not_disturb_each_other() -> None:
    generator = tiny_generator()
    texts = ["one", "two", "three", "four"]
    alone = {text: ask(tiny_generator(), text).text for text in texts}
    together: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda t=text: together.update({t: ask(generator, t).text})) for text in texts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_reply_ends_at_the_token_limit() -> None:
    finished = ask(tiny_generator(), max_tokens=3)
    assert finished.finish == "length"
    assert finished.usage.generated_tokens == 3
    assert text_of(finished.reply) == finished.text


@pytest.mark.parametrize(
    "constraint",
    [JsonSchema({"type": "string", "minLength": 50}), Regex("[a-z]{50}"), CallTools(allow_text=False)],
    ids=lambda c: type(c).__name__,
)
def test_a_constraint_that_the_token_limit_cuts_is_an_error(constraint: Constraint) -> None:
    with pytest.raises(ConstraintUnmet):
        ask(tiny_generator(), constraint=constraint, tools=[TOOL], max_tokens=20)


def test_a_limit_among_forced_tokens_does_not_count_as_complete() -> None:
    with pytest.raises(ConstraintUnmet):
        ask(tiny_generator(), constraint=Regex(r"It has been shipped\."), max_tokens=5)


def test_a_set_event_stops_it_within_one_step() -> None:
    cancel = threading.Event()
    stream = tiny_generator().generate(GenerationRequest(messages=[user("x")], max_tokens=500, cancel=cancel))
    first = next(stream)
    cancel.set()
    rest = list(stream)
    assert isinstance(first, TextChunk)
    assert isinstance(rest[-1], Finished)
    assert rest[-1].finish == "cancelled"
    assert len(rest) <= 2


def test_a_past_deadline_stops_it_before_the_prompt_is_read() -> None:
    finished = ask(tiny_generator(), deadline=time.monotonic() - 1)
    assert finished.finish == "deadline"
    assert finished.usage.forward_passes == 0


def test_a_cancelled_call_is_no_call() -> None:
    cancel = threading.Event()
    cancel.set()
    finished = ask(tiny_generator(), tools=[TOOL], constraint=CallTools(allow_text=False), cancel=cancel)
    assert finished.reply == assistant()
    assert finished.text == ""


def test_a_closed_stream_leaves_the_generator_usable() -> None:
    generator = tiny_generator()
    stream = generator.generate(GenerationRequest(messages=[user("x")], max_tokens=50))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert ask(generator, "y").text == ask(tiny_generator(), "y").text


def test_a_further_call_has_to_be_wanted() -> None:
    asked: list[int] = []

    def further(calls: Any) -> bool:
        asked.append(len(calls))
        return len(calls) <= 2

    wide = CallTools(allow_text=False, max_calls=6, further=further)
    finished = ask(tiny_generator(), tools=[TOOL], constraint=wide, max_tokens=700)
    assert len(finished.reply.calls) <= 2
    assert finished.finish == "stop"
    assert finished.text.count("<tool_call>") == len(finished.reply.calls)
    assert asked == list(range(2, 2 + len(asked)))


def test_a_prompt_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ContextOverflow, match="window of tiny"):
        ask(tiny_generator(context_length=10), "a long question")
    with pytest.raises(ContextOverflow):
        tiny_generator(context_length=10).choose(ChoiceRequest(messages=[user("a long one")], options=("a",)))


def test_a_closed_generator_says_so() -> None:
    generator = tiny_generator()
    generator.close()
    with pytest.raises(RuntimeError, match="closed"):
        ask(generator)


def test_a_seed_repeats_a_reply_and_no_seed_varies_it() -> None:
    hot = Sampling(temperature=2.0, seed=3)
    assert ask(tiny_generator(), sampling=hot).text == ask(tiny_generator(), sampling=hot).text
    drawn = {ask(tiny_generator(), sampling=Sampling(temperature=2.0)).text for _ in range(5)}
    assert len(drawn) > 1


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    everything = torch.ones(4, dtype=torch.bool)
    for top_p, kept in ((0.4, {0}), (0.6, {0, 1}), (0.9, {0, 1, 2}), (1.0, {0, 1, 2, 3})):
        choose = Chooser(Sampling(temperature=1.0, top_p=top_p, seed=1))
        assert {choose(logits, everything, []) for _ in range(300)} == kept


def test_a_penalty_makes_what_was_written_less_likely() -> None:
    choose = Chooser(Sampling(repetition_penalty=2.0))
    everything = torch.ones(3, dtype=torch.bool)
    assert choose(torch.tensor([3.0, 2.0, -1.0]), everything, [0]) == 1
    assert choose(torch.tensor([-1.0, -1.5, -9.0]), everything, [0]) == 1
    assert choose(torch.tensor([3.0, 2.0, -1.0]), everything, []) == 0


@pytest.mark.parametrize(
    ("written", "token"),
    [
        ([], None),
        ([5] * 23, None),
        ([1, 5] + [5] * 23, 5),
        ([7, 8, 9] * 7, None),
        ([7, 8, 9] * 8, 7),
        ([7, 8, 9] * 8 + [7], 8),
        (list(range(20)) * 3, None),
        (list(range(20)) * 4, 0),
        (list(range(100)), None),
    ],
)
def test_a_loop_is_a_run_of_tokens_many_times_in_a_row(written: list[int], token: int | None) -> None:
    assert token_of_a_loop(written) == token


def test_a_loop_is_left() -> None:
    finished = ask(tiny_generator(), constraint=Regex("(ab)+c"), max_tokens=200)
    assert finished.text == "ab" * ((len(finished.text) - 1) // 2) + "c"
    assert len(finished.text) < 40


def test_what_is_not_allowed_is_never_chosen() -> None:
    allowed = torch.tensor([False, True])
    assert Chooser(Sampling())(torch.tensor([9.0, 1.0, 8.0]), allowed, []) == 1


def test_choices_have_the_probabilities_of_the_model() -> None:
    generator = tiny_generator()
    question: list[Message] = [user("Is it?")]
    options = ("Yes", "No", "Nobody knows")
    found = generator.choose(ChoiceRequest(messages=question, options=options))
    prompt = prompt_of(generator, question)
    for option, log_probability in zip(options, found, strict=True):
        ids = list(CODEC.encode_text(option))
        rows = torch.log_softmax(logits_of(prompt + ids), dim=-1)
        plain = sum(float(rows[len(prompt) - 1 + n, token]) for n, token in enumerate(ids))
        assert log_probability == pytest.approx(plain, abs=1e-4)


def test_the_probability_of_a_call_is_that_of_any_way_to_begin_one() -> None:
    generator = tiny_generator()
    question: list[Message] = [user("Is it?")]
    found = generator.choose(ChoiceRequest(messages=question, options=("Yes", ReplyStart.TOOL_CALL)))
    row = torch.softmax(logits_of(prompt_of(generator, question))[-1], dim=-1)
    beginnings = {CODEC.control_id("<tool_call>"), *map(ord, "<`{[")}
    assert math.exp(found[1]) == pytest.approx(sum(float(row[t]) for t in beginnings if t), abs=1e-5)


def test_a_choice_after_a_prefix_and_the_reply_after_a_prefix_continue_it() -> None:
    generator = tiny_generator()
    with_prefix = generator.choose(ChoiceRequest(messages=[user("x")], options=("b",), prefix="a"))
    both = generator.choose(ChoiceRequest(messages=[user("x")], options=("ab", "a")))
    assert with_prefix[0] == pytest.approx(both[0] - both[1], abs=1e-4)
    finished = ask(generator, prefix="It ", max_tokens=2)
    assert finished.usage.prompt_tokens == generator.count_tokens([user("Hello")]) + 3


def test_an_empty_option_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        tiny_generator().choose(ChoiceRequest(messages=[user("x")], options=("",)))


def test_a_long_prompt_is_fed_in_blocks_and_gives_the_same_probabilities() -> None:
    long = "x" * 1300
    generator = tiny_generator()
    finished = ask(generator, long, max_tokens=1)
    assert finished.usage.forward_passes == 6
    prompt = prompt_of(generator, [user(long)])
    (found,) = generator.choose(ChoiceRequest(messages=[user(long)], options=("Y",)))
    assert found == pytest.approx(float(logits_of(prompt)[-1].log_softmax(-1)[ord("Y")]), abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [({"top_k": 2}, {0, 1}), ({"min_p": 0.5}, {0, 1}), ({"top_k": 3, "top_p": 0.5}, {0}), ({}, {0, 1, 2, 3})],
)
def test_sampling_draws_only_what_is_kept(settings: dict[str, float], drawn: set[int]) -> None:
    logits = torch.tensor([0.55, 0.29, 0.1, 0.06]).log()
    allowed = torch.ones(4, dtype=torch.bool)
    choose = Chooser(Sampling(temperature=1.0, seed=3, **settings))  # type: ignore[arg-type]
    assert {choose(logits, allowed, []) for _ in range(300)} == drawn


def test_a_reply_ends_before_a_stop_text_however_it_arrives() -> None:
    whole = ask(tiny_generator(), max_tokens=30).text
    for start in range(1, len(whole) - 2):
        stop = whole[start : start + 3]
        finished = ask(tiny_generator(), max_tokens=30, stop=["never said", stop])
        assert finished.text == whole[: whole.index(stop)]
        assert finished.finish == "stop"


def test_a_stop_text_in_forced_text_ends_the_reply_too() -> None:
    finished = ask(tiny_generator(), constraint=Regex("forced words[a-z]{3}"), stop=["ed wor"])
    assert finished.text == "forc"


def test_log_probabilities_are_those_of_the_model() -> None:
    generator = tiny_generator()
    finished = ask(generator, constraint=Regex("[a-z]{8}"), log_probabilities=True)
    prompt = prompt_of(generator, [user("Hello")])
    ids = list(CODEC.encode_text(finished.text))
    rows = logits_of(prompt + ids).log_softmax(-1)
    plain = [float(rows[len(prompt) - 1 + n, token]) for n, token in enumerate(ids)]
    assert list(finished.log_probabilities) == pytest.approx(plain, abs=1e-3)
    assert ask(generator, max_tokens=8).log_probabilities == ()
