"""A BERT model that turns texts into unit vectors, as sentence-transformers do (Reimers and Gurevych, 2019).

Tokenise, run the model, take the mean of the token vectors (or the first one, where the folder says so), scale to
length 1. BERT itself runs in `bert_network`, other families in transformers. The weights are kept in float32: in
bfloat16 a vector moves by .003, and by .002 with the other texts of its batch (float32: 2e-7), so that what is stored
for a text would depend on its neighbours.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from agentkit.errors import ModelError, ModelRefused
from agentkit.models.folder import ModelFolder, read_config

if TYPE_CHECKING:
    import numpy
    import torch
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

    from agentkit.models.protocols import Vectors

    Row: TypeAlias = NDArray[numpy.float32]

Pooling: TypeAlias = Literal["mean", "first"]
"""How the vectors of the tokens become one: their mean, or that of the first token."""

_BATCH_TOKENS: Final = 4096
"""Most tokens of a batch, padding included; larger ones are no faster on a processor."""
_REMEMBERED: Final = 2048
"""Vectors kept by text: 3 MB at 384 dimensions."""
_MODULES: Final = ("Transformer", "Pooling", "Normalize")
_KEPT_STATES: Final = 16
"""Texts whose inner states are kept for a tuned encoder; those of a batch of more texts are not."""


class TransformersEncoder:
    """An encoder on this machine; implements `Encoder`. Threads may share it.

    Args:
        model: Called with token ids, mask and a number of layers, as `BertNetwork` is.
        dimension: Length of its vectors.
        tokenizer: Its tokenizer; truncation and padding are set here.
        identity: Identity of the weights.
        pooling: How token vectors become one.
        max_tokens: Longer texts are cut after so many tokens.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        dimension: int,
        identity: str,
        pooling: Pooling,
        max_tokens: int,
    ) -> None:
        self.id = identity
        self.dimension = dimension
        self.pooling = pooling
        self._model = model
        self._tokenizer = tokenizer
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        tokenizer.encode_special_tokens = True  # `[SEP]` in a user's text is text
        self._max_tokens = max_tokens
        self._recent: OrderedDict[bytes, Row] = OrderedDict()
        self._kept_layer: int | None = None  # after which layer a tuned encoder goes on, if there is one
        self._states: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        # One batch at a time: a second thread with the same text then finds its vector.
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: ModelFolder) -> TransformersEncoder:
        """Load the encoder of a checked folder.

        Raises:
            ModelRefused: No `tokenizer.json`, missing weights, or a way of pooling that is not known.
        """
        from agentkit.models.encoder_loading import load_network

        pooling = _pooling(folder.path)
        tokenizer = _tokenizer(folder.path)
        max_tokens = _max_tokens(folder.path)
        model, dimension = load_network(folder)
        return cls(
            model,
            tokenizer,
            dimension=dimension,
            identity=folder.id,
            pooling=pooling,
            max_tokens=max_tokens,
        )

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder`. The last vectors are remembered, so that a message is embedded once."""
        import numpy

        if self._model is None:
            raise ModelError(f"The encoder {self.id} was closed.", hint="Load it again.")
        keys = [_key(text) for text in texts]
        found: dict[bytes, Row] = {}
        with self._lock:
            self._recall(keys, found)
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        encodings = {key: self._encoding(_without_surrogates(text)) for key, text in wanted.items()}
        for batch in _batches(encodings):
            with self._lock:
                # Another thread may have embedded some of them in the meantime.
                self._recall(batch, found)
                missing = [key for key in batch if key not in found]
                if missing:
                    rows = self._embed(missing, [encodings[key] for key in missing])
                    found.update(zip(missing, rows, strict=True))
                    self._remember(missing, found)
        result = numpy.empty((len(texts), self.dimension), numpy.float32)
        for index, key in enumerate(keys):
            result[index] = found[key]
        return result

    def keep_states(self, layer: int) -> None:
        """From now on, remember the token vectors of the last few texts after so many layers."""
        with self._lock:
            self._kept_layer = layer
            self._states.clear()

    def states(self, texts: Sequence[str], layer: int) -> list[torch.Tensor]:
        """Token vectors of texts after some of the layers: where a tuned encoder goes on.

        Args:
            texts: Any texts; what `encode` just computed for them is not computed again.
            layer: After how many layers; 0: before the first one.

        Returns:
            float32 [tokens, dimension] for each text.
        """
        keys = [_key(text) for text in texts]
        found: dict[bytes, torch.Tensor] = {}
        with self._lock:
            if layer == self._kept_layer:
                found = {key: self._states[key] for key in keys if key in self._states}
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        encodings = {key: self._encoding(_without_surrogates(text)) for key, text in wanted.items()}
        for batch in _batches(encodings):
            with self._lock:
                chosen = [encodings[key] for key in batch]
                _, kept, _ = self._run(chosen, layer, stop=True)
                for row, key in enumerate(batch):
                    found[key] = kept[row, : len(chosen[row].ids)].clone()
        return [found[key] for key in keys]

    def upper_layers(self, layer: int) -> Any:
        """Copies of the layers above `layer`, to be tuned: a `torch.nn.ModuleList`.

        Raises:
            ModelRefused: The model is none whose layers are known here.
        """
        from agentkit.models.packed_layer import plain

        layers = getattr(self._model, "layers", None)
        if layers is None:
            raise ModelRefused(
                f"The encoder {self.id} cannot be tuned: its layers are not those of BERT.",
                hint="Tune `minilm-l6`, or train without --tune.",
            )
        return plain(layers[layer:])

    @property
    def layers(self) -> int:
        """How many layers can be tuned; 0 where they are not known here."""
        return len(getattr(self._model, "layers", ()))

    def close(self) -> None:
        """See `Encoder`."""
        with self._lock:
            self._model = None
            self._recent.clear()
            self._states.clear()

    def _recall(self, keys: Sequence[bytes], found: dict[bytes, Row]) -> None:
        for key in keys:
            if key in self._recent:
                self._recent.move_to_end(key)
                found[key] = self._recent[key]

    def _remember(self, keys: Sequence[bytes], found: dict[bytes, Row]) -> None:
        for key in keys:
            self._recent[key] = found[key]
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    def _encoding(self, text: str) -> Encoding:
        """The tokens of a text, cut at the limit. Of a very long text only as much is read as fills it."""
        length = 64 * self._max_tokens  # characters; English has about five to a token
        while True:
            encoding = self._tokenizer.encode(text[:length])
            # With twice the tokens that are kept, the word that the cut went through is not among them.
            if length >= len(text) or len(encoding.overflowing) > 1:
                return encoding
            length *= 4

    def _embed(self, keys: Sequence[bytes], encodings: Sequence[Encoding]) -> list[Row]:
        import torch

        from agentkit.models.bert_network import pooled

        with torch.inference_mode():
            hidden, kept, mask = self._run(encodings, self._kept_layer)
            unit = pooled(hidden, mask, first=self.pooling == "first")
        if self._kept_layer is not None and len(keys) <= _KEPT_STATES:
            for row, key in enumerate(keys):
                self._states[key] = kept[row, : len(encodings[row].ids)].clone()
            while len(self._states) > _KEPT_STATES:
                self._states.popitem(last=False)
        return list(unit.numpy())

    def _run(
        self, encodings: Sequence[Encoding], keep: int | None, *, stop: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The last states, those after `keep` layers, and the mask of one batch."""
        import torch

        if self._model is None:
            raise ModelError(f"The encoder {self.id} was closed.", hint="Load it again.")
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = torch.zeros((len(encodings), longest), dtype=torch.long)  # [texts, tokens]
        mask = torch.zeros_like(ids)  # 1 for a token, 0 for padding
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = torch.tensor(encoding.ids)
            mask[row, : len(encoding.ids)] = 1
        with torch.inference_mode():
            hidden, kept = self._model(ids, mask, keep, stop=stop)
        return hidden, hidden if kept is None else kept, mask


def _batches(encodings: dict[bytes, Encoding]) -> Iterator[list[bytes]]:
    """Keys in batches of texts of similar length, so that little is computed on padding."""
    batch: list[bytes] = []
    for key in sorted(encodings, key=lambda key: len(encodings[key].ids)):
        if batch and (len(batch) + 1) * len(encodings[key].ids) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(key)
    if batch:
        yield batch


def _key(text: str) -> bytes:
    """A text as a short key: a remembered megabyte would stay in memory."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _without_surrogates(text: str) -> str:
    """Half of a surrogate pair is no character and has no UTF-8; it becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder, as its file describes it."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelRefused(f"{path} is missing.", hint="Save the model's fast tokenizer into the folder.")
    try:
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except BaseException as error:
        if type(error) is Exception:  # what the library raises for a text that it cannot read
            raise ModelRefused(f"{path} cannot be read: {error}", hint="Fetch the model again.") from error
        raise
    return tokenizer


def _max_tokens(folder: Path) -> int:
    """The shortest limit that the folder states."""
    config = read_config(folder)
    limits = [_number(folder / "sentence_bert_config.json", "max_seq_length")]
    limits.append(_number(folder / "tokenizer_config.json", "model_max_length"))
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int):
        # RoBERTa counts positions from the padding id plus one, so two of them are never used.
        offset = 2 if str(config.get("model_type")) in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
        limits.append(positions - offset)
    known = [limit for limit in limits if limit is not None and limit > 2]
    return min(known, default=512)


def _pooling(folder: Path) -> Pooling:
    """How the folder says that token vectors become one; the mean where it says nothing.

    Raises:
        ModelRefused: Another way, or a layer after the pooling: leaving it out would give other vectors.
    """
    modules = _json(folder / "modules.json") or []
    names = [str(one.get("type", "")).rpartition(".")[2] for one in modules if isinstance(one, dict)]
    unknown = [name for name in names if name not in _MODULES]
    settings = _json(folder / "1_Pooling" / "config.json") or {"pooling_mode_mean_tokens": True}
    modes = sorted(key for key, on in settings.items() if key.startswith("pooling_mode_") and on is True)
    if unknown or modes not in (["pooling_mode_mean_tokens"], ["pooling_mode_cls_token"]):
        raise ModelRefused(
            f"{folder}: this encoder pools with {', '.join(unknown or modes) or 'no method'}, which is not "
            "known here.",
            hint="Use an encoder that takes the mean of its tokens or the first one.",
        )
    return "mean" if modes == ["pooling_mode_mean_tokens"] else "first"


def _number(path: Path, field: str) -> int | None:
    value = (_json(path) or {}).get(field)
    return value if isinstance(value, int) else None


def _json(path: Path) -> Any:
    """The content of a settings file, None where there is none."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelRefused(
            f"{path} cannot be read as JSON: {error}", hint="Fetch the model again."
        ) from error
