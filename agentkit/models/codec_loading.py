"""The codec of a model folder: from tables that were kept, or from `tokenizer.json`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import ModelRefused
from agentkit.models.tokenizer_file import MarkupCodec, load_codec, text_description
from agentkit.models.tokenizer_table import read_table, table_path, write_table

if TYPE_CHECKING:
    from agentkit.models.tokenizer_table import TokenizerTable


class TableCodec(MarkupCodec):
    """The codec of a tokenizer whose tables are known; the ids are those of `TokenizerCodec`.

    Args:
        table: The tables.
        size: Rows of the model's embedding where that is more than the vocabulary; 0 if unknown.
    """

    def __init__(self, table: TokenizerTable, *, size: int = 0) -> None:
        known = len(table.token_bytes)
        size = max(size, known)
        super().__init__(
            [*table.token_bytes, *([b""] * (size - known))],
            dict(table.control),
            table.unused | frozenset(range(known, size)),
            markup=table.markup,
            size=size,
        )
        self._splitter = table.splitter()
        self._pairs = table.byte_pairs()

    def _plain_ids(self, text: str) -> list[int]:
        ids = self._pairs.ids
        return [token for piece in self._splitter.pieces(text) for token in ids(piece.encode())]


def load_codec_file(path: Path, *, size: int = 0) -> MarkupCodec:
    """The codec of a `tokenizer.json`; of most models it is quick from the second time on.

    Args:
        path: The file.
        size: Rows of the model's embedding.

    Raises:
        ModelRefused: The file is missing, or no tokenizer that the `tokenizers` library reads.
    """
    try:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        kept = table_path(sha256)
        table = read_table(kept, sha256)
        if table is not None:
            return TableCodec(table, size=size)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelRefused(
            f"{path} cannot be read: {error}",
            hint="The folder needs config.json, tokenizer.json and safetensors; fetch the model again.",
        ) from error
    from agentkit.models.table_making import make_table

    codec = load_codec(text, where=str(path))
    table = make_table(text_description(text), codec)
    if table is None:
        return codec if codec.size >= size else load_codec(text, where=str(path), size=size)
    write_table(table, kept, sha256)
    return TableCodec(table, size=size)
