"""Searching raw bytes for pieces of what was erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import StoreError
from agentkit.store.raw_search import RawSearch, pieces_of


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=200), st.binary(max_size=200))
def test_a_value_is_found_wherever_it_lies(value: bytes, before: bytes, behind: bytes) -> None:
    pieces = pieces_of(value)
    assert bool(pieces) == (len(value) >= 8 and len(set(value)) > 1)
    assert RawSearch(pieces).in_bytes(before + value + behind) == pieces


@settings(max_examples=200, deadline=None)
@given(st.sets(st.binary(min_size=16, max_size=16), max_size=30), st.binary(max_size=500))
def test_what_is_found_is_there(pieces: set[bytes], data: bytes) -> None:
    assert RawSearch(pieces).in_bytes(data) == {piece for piece in pieces if piece in data}


def test_a_value_across_two_blocks_of_a_large_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "large"
    for offset in range(-20, 5):
        file.write_bytes(b"\x01" * ((1 << 22) + offset) + b"sixteen bytes !!" + b"\x01" * 50)
        assert RawSearch({b"sixteen bytes !!"}).in_files([file]) == {file: {b"sixteen bytes !!"}}


def test_many_files_are_searched_one_after_another(tmp_path: Path) -> None:
    files = [tmp_path / f"file {number}" for number in range(4)]
    files[0].write_bytes(b"a value of sixteen bytes")
    files[1].write_bytes(b"")
    files[3].write_bytes(b"only eight")
    search = RawSearch(pieces_of(b"of sixteen bytes") | pieces_of(b"only eight"))
    found = {file.name: sorted(pieces) for file, pieces in search.in_files(files).items()}
    assert found == {
        "file 0": [b"of sixteen bytes"],
        "file 1": [],
        "file 2": [],
        "file 3": [b"ly eight", b"only eig"],
    }


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"some bytes")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="folder cannot be read"):
        RawSearch({b"sixteen bytes !!"}).in_files([tmp_path / "good", tmp_path / "folder"])
