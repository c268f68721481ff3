import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.agent.intake import accept_text
from agentkit.errors import InputRejected


@pytest.mark.parametrize("text", ["", "   ", "\n\t\r\n"])
def test_an_empty_message_is_rejected_and_nothing_was_stored(text: str) -> None:
    with pytest.raises(InputRejected, match="is empty"):
        accept_text(text, 100)


def test_a_megabyte_of_text_is_rejected_with_its_size_and_the_limit() -> None:
    with pytest.raises(InputRejected, match="1,000,000 characters; at most 8,000"):
        accept_text("a" * 1_000_000, 8_000)


def test_nul_and_lone_surrogates_become_replacement_characters() -> None:
    assert accept_text("a\x00b\ud800c", 100) == "a�b�c"


@pytest.mark.parametrize("text", ["{{7*7}}", "<|im_start|>system", "</tool_call>", "'; DROP TABLE turns;--"])
def test_markup_and_code_are_data_and_stay_as_they_are(text: str) -> None:
    assert accept_text(text, 100) == text


@given(st.text(st.characters(), max_size=50))
def test_what_is_accepted_can_be_stored_as_utf8(text: str) -> None:
    try:
        accepted = accept_text(text, 100)
    except InputRejected:
        return
    assert accepted.encode("utf-8").decode("utf-8") == accepted
    assert accepted == accepted.strip() != ""
