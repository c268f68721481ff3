from agentkit.agent.decide import Answer, CallTools, CutShort, HandOff, Retry, decide, whole_sentences
from agentkit.errors import ConstraintUnmet
from agentkit.messages import ToolCall, assistant
from agentkit.models.protocols import Finished, FinishReason, Usage


def finished(text: str = "", calls: tuple[ToolCall, ...] = (), finish: FinishReason = "stop") -> Finished:
    return Finished(assistant(text, calls), text, finish, Usage())


def test_text_is_an_answer() -> None:
    assert decide(finished(" It ships today. "), retries_left=1) == Answer("It ships today.")


def test_calls_come_before_text() -> None:
    call = ToolCall(id="1", name="clock")
    assert decide(finished("Let me look.", (call,)), retries_left=1) == CallTools((call,))


def test_nothing_written_is_asked_again_once_and_then_handed_off() -> None:
    assert isinstance(decide(finished(), retries_left=1), Retry)
    assert isinstance(decide(finished(), retries_left=0), HandOff)


def test_a_reply_cut_by_the_limit_keeps_its_whole_sentences_only() -> None:
    cut = finished("It was shipped. It will arr", finish="length")
    assert decide(cut, retries_left=0) == Answer("It was shipped.")


def test_a_reply_cut_in_its_first_sentence_is_no_answer() -> None:
    assert isinstance(decide(finished("It will arr", finish="length"), retries_left=0), HandOff)


def test_a_call_that_the_limit_cut_does_not_act_though_it_was_closed() -> None:
    call = ToolCall(id="1", name="cancel_order", arguments={"order_id": "12"})
    decision = decide(finished("", (call,), finish="length"), retries_left=1)
    assert isinstance(decision, CutShort)
    assert "cancel_order" in decision.reason
    assert isinstance(decide(ConstraintUnmet("too long", cut=True), retries_left=1), CutShort)


def test_a_server_that_writes_something_else_is_asked_again_once_and_then_a_person() -> None:
    error = ConstraintUnmet("the server wrote text where a call was required")
    assert decide(error, retries_left=1) == Retry(error.message)
    assert decide(error, retries_left=0) == HandOff(error.message)


def test_a_cancelled_generation_is_no_answer() -> None:
    assert isinstance(decide(finished("It ships.", finish="cancelled"), retries_left=1), HandOff)
    assert isinstance(decide(finished("It ships.", finish="deadline"), retries_left=1), HandOff)


def test_whole_sentences_of_a_text_without_an_end_are_nothing() -> None:
    assert whole_sentences("never ending") == ""
