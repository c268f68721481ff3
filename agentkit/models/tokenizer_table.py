"""What text and tokens need of a `tokenizer.json`, as tables in one file that is read in some tens of milliseconds.

Reading a `tokenizer.json` of 11 MB and building the tokenizer takes more than a second, at every start of a process.
The tables are made once, from a tokenizer that was built, and kept in the cache folder under the SHA-256 of the
`tokenizer.json`. They exist for byte-level BPE with a known way of cutting text; other tokenizers are built each time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy

from agentkit.models.byte_pairs import BytePairs, PieceSplitter
from agentkit.models.paths import cache_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT: Final = "agentkit tokenizer table 1"
"""Changed whenever files of before would be read wrongly."""

_logger: Final = logging.getLogger("agentkit.models")


@dataclass(frozen=True)
class TokenizerTable:
    """The tables of one byte-level BPE tokenizer.

    Args:
        pattern: How text is cut, a name in `byte_pairs.PATTERNS`.
        kinds: The stand-in of every character, by code point.
        token_bytes: Bytes of each id.
        control: Names and ids of the control tokens.
        markup: Regular expression that finds control tokens in markup.
        unused: Ids that stand for nothing.
        indirect: Ids of text that merging never makes, although they have bytes.
        merges: Left id, right id and what they make, first merge first: int32 [merges, 3].
    """

    pattern: str
    kinds: bytes
    token_bytes: list[bytes]
    control: Mapping[str, int]
    markup: str
    unused: frozenset[int]
    indirect: frozenset[int]
    merges: NDArray[numpy.int32]

    def splitter(self) -> PieceSplitter:
        """Cuts text as the tokenizer does."""
        return PieceSplitter(self.pattern, self.kinds)

    def byte_pairs(self) -> BytePairs:
        """Encodes pieces as the tokenizer does."""
        size = len(self.token_bytes)
        whole = dict(zip(self.token_bytes, range(size), strict=True))
        left_out = self.unused | self.indirect | frozenset(self.control.values())
        for token in left_out:
            if whole.get(self.token_bytes[token]) == token:
                del whole[self.token_bytes[token]]
        return BytePairs(
            whole=whole,
            byte_ids=[whole.get(bytes([byte])) for byte in range(256)],
            merges=self.merges,
            size=size,
        )


def table_path(sha256: str) -> Path:
    """Where the table of the `tokenizer.json` with this hash is, or will be."""
    return cache_folder() / "tokenizers" / f"{sha256[:32]}.safetensors"


def write_table(table: TokenizerTable, path: Path, source_sha256: str) -> None:
    """Keep a table. Where the folder cannot be written the next process makes it again; that is only slower.

    Args:
        table: What to keep.
        path: The file; it is there whole or not at all.
        source_sha256: Hash of the `tokenizer.json`.
    """
    from safetensors.numpy import save

    arrays = _arrays(table)
    about = {
        "format": FORMAT,
        "source_sha256": source_sha256,
        "pattern": table.pattern,
        "markup": table.markup,
        "control": json.dumps(dict(table.control), ensure_ascii=False),
        "unused": json.dumps(sorted(table.unused)),
        "indirect": json.dumps(sorted(table.indirect)),
    }
    data = save(arrays, metadata={**about, "content_sha256": _digest(about, arrays)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        _logger.info("the tables of the tokenizer are not kept in %s: %s", path.parent, error)


def read_table(path: Path, source_sha256: str) -> TokenizerTable | None:
    """The table in a file; None where there is none that can be used, with a line in the log if it is damaged or of
    another version.

    Args:
        path: The file.
        source_sha256: Hash of the `tokenizer.json` that it must have been made from.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about: dict[str, str] = file.metadata() or {}
            if about.get("format") != FORMAT or about.get("source_sha256") != source_sha256:
                raise ValueError("it belongs to another version or another tokenizer")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        if about.pop("content_sha256", "") != _digest(about, arrays):
            raise ValueError("its content has changed")
        return _table(about, arrays)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        _logger.warning("the tables of the tokenizer in %s are made again: %s", path, error)
        return None


def _arrays(table: TokenizerTable) -> dict[str, NDArray[Any]]:
    kinds = numpy.frombuffer(table.kinds, dtype=numpy.uint8)
    changes = numpy.flatnonzero(numpy.diff(kinds, prepend=kinds[:1] ^ 1)).astype(numpy.int32)
    return {
        "bytes": numpy.frombuffer(b"".join(table.token_bytes), dtype=numpy.uint8),
        "lengths": numpy.array([len(one) for one in table.token_bytes], dtype=numpy.int32),
        "merges": numpy.ascontiguousarray(table.merges, dtype=numpy.int32),
        "kind_starts": changes,
        "kind_values": kinds[changes],
    }


def _table(about: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> TokenizerTable:
    joined = arrays["bytes"].tobytes()
    ends = numpy.cumsum(arrays["lengths"]).tolist()
    runs = numpy.diff(arrays["kind_starts"], append=0x110000)
    return TokenizerTable(
        pattern=about["pattern"],
        kinds=numpy.repeat(arrays["kind_values"], runs).tobytes(),
        token_bytes=[joined[start:end] for start, end in pairwise(chain([0], ends))],
        control=json.loads(about["control"]),
        markup=about["markup"],
        unused=frozenset(json.loads(about["unused"])),
        indirect=frozenset(json.loads(about["indirect"])),
        merges=arrays["merges"],
    )


def _digest(about: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(numpy.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
