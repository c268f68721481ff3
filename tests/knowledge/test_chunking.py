"""Passages: one idea each, headings kept, no sentence cut, offsets that point into the document."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentkit.knowledge import chunk_markdown
from agentkit.knowledge.chunking import LONGEST

SENTENCE = "The delivery team carries every piece of furniture to the room that you choose. "


def test_headings_become_a_path_and_paragraphs_stay_under_them() -> None:
    text = "# Delivery\n\nWe deliver.\n\n## Cost\n\nIt is free.\n\n"
    text += "### Islands\n\nIt costs 9 €.\n\n## Time\n\nTwo days.\n"
    chunks = chunk_markdown(text)
    assert [(chunk.heading, chunk.text) for chunk in chunks] == [
        ("Delivery", "We deliver."),
        ("Delivery › Cost", "It is free."),
        ("Delivery › Cost › Islands", "It costs 9 €."),
        ("Delivery › Time", "Two days."),
    ]
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)


def test_short_paragraphs_of_one_section_are_joined() -> None:
    (chunk,) = chunk_markdown("# A\n\nFirst.\n\nSecond.\n\n- one\n- two\n")
    assert chunk.text == "First.\n\nSecond.\n\n- one\n- two"


def test_how_else_people_ask_stands_below_the_heading_and_is_no_part_of_the_text() -> None:
    text = "# Returns\n\n## How long?\nAlso asked: by when must it be back?\n\nalso asked:  until when  \nAlso asked:\n"
    text += "You have 30 days.\nAlso asked: this is text.\n\nAnd a week more.\n\n## Where?\nAt any shop.\n"
    first, second = chunk_markdown(text)
    assert first.text == "You have 30 days.\nAlso asked: this is text.\n\nAnd a week more."
    assert first.asked == ("by when must it be back?", "until when")
    assert (second.text, second.asked) == ("At any shop.", ())
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in (first, second))


def test_without_a_heading_nothing_is_asked_for_and_code_is_code() -> None:
    (chunk,) = chunk_markdown("Also asked: what?\nThat.\n")
    assert (chunk.text, chunk.asked) == ("Also asked: what?\nThat.", ())
    (chunk,) = chunk_markdown("# A\n```\nAlso asked: what?\n```\n")
    assert (chunk.text, chunk.asked) == ("```\nAlso asked: what?\n```", ())


def test_all_pieces_of_a_long_section_answer_what_is_asked() -> None:
    chunks = chunk_markdown("# A\nAlso asked: why?\n\n" + SENTENCE * 40)
    assert len(chunks) > 3
    assert all(chunk.asked == ("why?",) for chunk in chunks)


def test_a_short_last_paragraph_joins_the_one_before() -> None:
    (chunk,) = chunk_markdown("# A\n\n" + SENTENCE * 4 + "\n\nThat is all.\n")
    assert chunk.text.endswith("That is all.")


def test_a_long_section_is_cut_between_sentences() -> None:
    chunks = chunk_markdown("# A\n\n" + SENTENCE * 40)
    assert len(chunks) > 3
    for chunk in chunks:
        assert chunk.heading == "A"
        assert len(chunk.text.split()) <= LONGEST
        assert chunk.text.startswith("The delivery team")
        assert chunk.text.endswith("choose.")


def test_a_wrapped_paragraph_is_not_cut_at_its_line_breaks() -> None:
    wrapped = (SENTENCE * 20).replace("piece of ", "piece of\n").strip()
    for chunk in chunk_markdown(wrapped):
        assert chunk.text.startswith("The delivery team")
        assert chunk.text.endswith("choose.")


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    sentence = "Ask Dr. Brown or e.g. Mrs. White for approx. 20 minutes about No. 7 in the list of rooms. "
    for chunk in chunk_markdown(sentence * 20):
        assert chunk.text.startswith("Ask Dr.")


def test_a_list_and_a_table_that_fit_are_kept_whole() -> None:
    items = "\n".join(f"- item {i} costs {i} euros. Ask us." for i in range(10))
    table = "| piece | price |\n|---|---|\n" + "\n".join(f"| chair {i} | {i} |" for i in range(12))
    chunks = chunk_markdown(f"# Prices\n\n{items}\n\n# Table\n\n{table}\n")
    assert [chunk.text for chunk in chunks] == [items, table]


def test_a_long_list_is_cut_between_its_items() -> None:
    items = "\n".join(f"{i}. step number {i} takes one minute without a full stop" for i in range(100))
    chunks = chunk_markdown(items)
    assert len(chunks) > 3
    for chunk in chunks:
        assert chunk.text.split(". ", 1)[1].startswith("step number")
        assert chunk.text.endswith("full stop")


def test_only_a_sentence_over_the_limit_is_cut_inside() -> None:
    chunks = chunk_markdown("word " * 1000)
    assert all(len(chunk.text.split()) <= LONGEST for chunk in chunks)
    assert sum(len(chunk.text.split()) for chunk in chunks) == 1000


def test_a_hash_in_code_is_no_heading() -> None:
    (chunk,) = chunk_markdown("# Setup\n\n```sh\n# a comment\n\nmake setup\n```\n")
    assert chunk.heading == "Setup"
    assert "# a comment" in chunk.text


def test_text_without_markup_is_one_section() -> None:
    (chunk,) = chunk_markdown("Just a text.")
    assert (chunk.heading, chunk.start, chunk.end) == ("", 0, 12)


def test_nothing_gives_no_chunk() -> None:
    assert chunk_markdown("") == []
    assert chunk_markdown("\n \n# Only a heading\n\n## And another\n") == []


@given(text=st.text(alphabet="ab. \n#-|`\té€!?\r0", max_size=400))
def test_no_word_is_lost_or_doubled(text: str) -> None:
    chunks = chunk_markdown(text)
    position = 0
    for chunk in chunks:
        assert chunk.start >= position
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        assert len(chunk.text.split()) <= LONGEST
        between = text[position : chunk.start]
        assert all(not line.strip() or line.lstrip().startswith("#") for line in between.splitlines())
        position = chunk.end
