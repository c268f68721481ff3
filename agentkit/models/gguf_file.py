"""Reading a GGUF file: its metadata, and its tensors unpacked to float32 one at a time.

The layout is that of llama.cpp's specification (ggml, `docs/gguf.md`, versions 2 and 3): a header, key-value
metadata, a table of tensors, then the tensor data. The `gguf` package unpacks the quantised blocks; its own
reader is not used because it builds an array view for each vocabulary string, which takes 15 s for Qwen's
300,000 strings where this one takes half a second.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agentkit.errors import ModelRefused

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Tensor: TypeAlias = NDArray[numpy.float32]

_SCALARS: Final = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
"""Metadata value type -> struct format; the two types of variable size follow."""
_STRING: Final = 8
_ARRAY: Final = 9


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in the file.

    Args:
        name: llama.cpp's name, such as `blk.0.attn_q.weight`.
        shape: Sizes in torch's order, slowest dimension first.
        quantization: Number of the ggml type.
        start: First byte, counted from the start of the file.
    """

    name: str
    shape: tuple[int, ...]
    quantization: int
    start: int


class GgufFile:
    """An open GGUF file.

    Args:
        path: The file. It is mapped into memory, not read as a whole.

    Raises:
        ModelRefused: The file is no GGUF file of version 2 or 3, or it ends too early.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if path.stat().st_size < 24:
                raise _damaged(path, "it is shorter than a header")
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self.metadata, self.tensors = self._read_head()
        except (struct.error, KeyError, UnicodeDecodeError) as error:
            raise _damaged(path, f"its head cannot be read ({error!r})") from error

    def _read_head(self) -> tuple[dict[str, Any], dict[str, TensorPlace]]:
        if self._bytes[:4] != b"GGUF":
            raise _damaged(self.path, "it does not begin with the bytes GGUF")
        version, tensor_count, metadata_count = struct.unpack_from("<IQQ", self._bytes, 4)
        if version not in (2, 3):
            raise _damaged(self.path, f"it has version {version}, and only 2 and 3 are known")
        self._position = 24
        metadata = {}
        for _ in range(metadata_count):
            key = self._string()
            metadata[key] = self._value(self._unpack("<I"))
        table = [self._table_row() for _ in range(tensor_count)]
        alignment = int(metadata.get("general.alignment", 32))
        data_start = -(-self._position // alignment) * alignment
        tensors = {
            name: TensorPlace(name, shape, quantization, data_start + offset)
            for name, shape, quantization, offset in table
        }
        return metadata, tensors

    def _table_row(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        sizes = tuple(self._unpack("<Q") for _ in range(self._unpack("<I")))
        return name, sizes[::-1], self._unpack("<I"), self._unpack("<Q")

    def _unpack(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._bytes, self._position)
        self._position += struct.calcsize(form)
        return value

    def _string(self) -> str:
        length = self._unpack("<Q")
        start = self._position
        if start + length > len(self._bytes):
            raise struct.error("a string runs past the end of the file")
        self._position = start + length
        return self._bytes[start : start + length].decode()

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            element, count = self._unpack("<I"), self._unpack("<Q")
            return [self._value(element) for _ in range(count)]
        return self._unpack(_SCALARS[kind])

    def read(self, name: str, first: int = 0, count: int | None = None) -> Tensor:
        """One tensor, or some of its rows, as float32 in torch's shape.

        Args:
            name: llama.cpp's name of the tensor.
            first: Index of the first row to read, along the slowest dimension.
            count: How many rows; None for all from `first`. A tensor of one dimension is read whole.

        Raises:
            ModelRefused: The tensor's bytes are not all there, or its quantisation is unknown to `gguf`.
        """
        import numpy
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

        place = self.tensors[name]
        try:
            kind = GGMLQuantizationType(place.quantization)
            block_elements, block_bytes = GGML_QUANT_SIZES[kind]
            row_bytes = place.shape[-1] // block_elements * block_bytes
            total = prod(place.shape[:-1])
            rows = min(total - first, total if count is None else count)
            stored = numpy.frombuffer(
                self._bytes, numpy.uint8, rows * row_bytes, place.start + first * row_bytes
            )
            values = dequantize(stored.reshape(rows, row_bytes), kind)
        except (ValueError, NotImplementedError) as error:
            raise _damaged(self.path, f"the tensor {name} cannot be unpacked ({error})") from error
        shape = (rows, *place.shape[1:]) if len(place.shape) > 1 else place.shape
        unpacked: Tensor = numpy.asarray(values, numpy.float32).reshape(shape)
        return unpacked


def _damaged(path: Path, why: str) -> ModelRefused:
    return ModelRefused(f"{path} is not a GGUF file that can be used: {why}.", hint="Fetch the file again.")
