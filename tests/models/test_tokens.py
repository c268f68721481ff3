from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import ModelRefused
from agentkit.models.tokenizer_file import TokenizerCodec, load_codec
from agentkit.models.tokens import Detokenizer, RememberedText, TokenCodec, sanitise
from agentkit.testing import ByteTokenizer
from tests.models.nasty_text import nasty_texts
from tests.models.small_tokenizers import (
    byte_level_json,
    padded_json,
    sentencepiece_json,
    unigram_json,
    without_some_bytes_json,
    word_piece_json,
)

CODECS: dict[str, TokenCodec] = {
    "bytes": ByteTokenizer(unused=3),
    "byte-level BPE": TokenizerCodec(byte_level_json(), size=512),
    "padded": TokenizerCodec(padded_json()),
    "sentencepiece": TokenizerCodec(sentencepiece_json()),
}
ALL = [pytest.param(codec, id=name) for name, codec in CODECS.items()]


@pytest.mark.parametrize("codec", ALL)
@given(text=nasty_texts)
def test_no_text_yields_a_control_token_and_every_text_comes_back(codec: TokenCodec, text: str) -> None:
    ids = codec.encode_text(text)
    assert codec.control_ids.isdisjoint(ids)
    assert codec.decode(ids) == sanitise(text)


@given(text=nasty_texts)
def test_no_text_yields_a_control_token_that_is_an_ordinary_piece_of_the_vocabulary(text: str) -> None:
    codec = TokenizerCodec(unigram_json())
    assert codec.control_ids.isdisjoint(codec.encode_text("<|im_start|>" + text + "<|im_start|>"))


@pytest.mark.parametrize("codec", ALL)
@given(data=st.data())
def test_chunks_are_whole_characters_and_join_to_the_text(codec: TokenCodec, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, codec.size - 1), max_size=30))
    detokenizer = Detokenizer(codec)
    chunks = [detokenizer.push([token]) for token in ids] + [detokenizer.flush()]
    assert "".join(chunks) == codec.decode(ids)


def test_a_character_that_the_vocabulary_lacks_becomes_the_replacement_character() -> None:
    codec = TokenizerCodec(without_some_bytes_json())
    assert codec.decode(codec.encode_text("Köln \U00040000 日")) == "Köln \ufffd 日"


def test_a_character_of_several_tokens_arrives_at_once() -> None:
    codec = ByteTokenizer()
    detokenizer = Detokenizer(codec)
    assert [detokenizer.push([byte]) for byte in "é👩".encode()] == ["", "é", "", "", "", "👩"]


def test_a_tokenizer_without_bytes_still_decodes_as_it_goes() -> None:
    codec = TokenizerCodec(word_piece_json())
    assert codec.token_bytes is None
    detokenizer = Detokenizer(codec)
    chunks = [detokenizer.push([token]) for token in codec.encode_text("where order")]
    assert "".join(chunks) + detokenizer.flush() == "where order"


def test_rows_of_the_embedding_that_stand_for_nothing_count_as_control_tokens() -> None:
    codec = CODECS["byte-level BPE"]
    assert codec.size == 512
    assert 511 in codec.control_ids


def test_padding_in_the_vocabulary_counts_as_control_tokens() -> None:
    codec = CODECS["padded"]
    assert all(codec.control_id(f"[PAD{codec.size - n}]") == codec.size - n for n in range(1, 6))


@pytest.mark.parametrize("codec", [ALL[0], ALL[1]])
def test_markup_recognises_control_tokens(codec: TokenCodec) -> None:
    start, end = codec.control_id("<|im_start|>"), codec.control_id("<|im_end|>")
    ids = codec.encode_markup("<|im_start|>user\nhi<|im_end|>")
    assert ids == (start, *codec.encode_text("user\nhi"), end)
    assert codec.decode(ids) == "<|im_start|>user\nhi<|im_end|>"


def test_a_name_that_is_no_control_token_has_no_id() -> None:
    assert ByteTokenizer().control_id("user") is None


def test_a_reply_is_repeated_with_the_ids_that_the_model_wrote() -> None:
    codec = TokenizerCodec(byte_level_json())
    letters = [token for letter in "order" for token in codec.encode_text(letter)]
    call, end = codec.control_id("<tool_call>"), codec.control_id("</tool_call>")
    assert call is not None
    assert end is not None
    assert codec.encode_text("order") != tuple(letters)
    codec.remember_reply([call, *letters, end])
    assert codec.encode_reply("order") == tuple(letters)
    assert codec.encode_text("order") != tuple(letters)  # what a user types is encoded as ever


def test_half_a_character_is_not_remembered() -> None:
    codec = ByteTokenizer()
    codec.remember_reply([0xC3])
    assert codec.encode_reply("\ufffd") == tuple("\ufffd".encode())


def test_the_memory_of_encoded_text_is_bounded() -> None:
    remembered = RememberedText(most_characters=1000)
    for n in range(100):
        remembered.put(f"{n:0100}", (n,))
    assert remembered.get(f"{99:0100}") == (99,)
    assert remembered.get(f"{0:0100}") is None


def test_lone_surrogates_are_replaced() -> None:
    assert sanitise("a\ud800b") == "a\ufffdb"
    assert sanitise("a👩b") == "a👩b"


@pytest.mark.parametrize("text", ["", "{", "{}", '{"model": {}}', "[]"])
def test_what_is_no_tokenizer_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(ModelRefused, match=r"folder/tokenizer\.json"):
        load_codec(text, where="folder/tokenizer.json")
