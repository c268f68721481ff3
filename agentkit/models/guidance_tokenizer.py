"""llguidance's view of a codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from agentkit.errors import ConstraintUnsupported
from agentkit.models.tokens import TokenCodec

if TYPE_CHECKING:
    from llguidance import LLTokenizer

_INSIDE: Final = r'[^"\\\x00-\x1F\x7F]'
_SLICES: Final = (_INSIDE + "{1,10}", _INSIDE + "+")
"""What masks are prepared for: strings whose length is limited, and those whose is not. Of llguidance's usual ones that
of white space and a second limit are left out: each takes 13 MB, and masks are as quick without."""
_PATIENCE: Final = 0.3  # seconds: what preparing costs, for 150,000 tokens


class GuidanceTokenizer:
    """The tokenizer that llguidance follows grammars with.

    llguidance can prepare masks of the usual insides of strings ("slices"). That makes the mask of a string ten times
    cheaper, and making the tokenizer twice as dear. A process that answers once is done before it pays; so it is left
    out at first, and done once masks have cost as much as it will. The masks are the same either way.

    Args:
        codec: The model's tokens.
        end_ids: Tokens that end a reply.
        patience: Seconds of making masks after which they are prepared.

    Raises:
        ConstraintUnsupported: The codec does not know the bytes of its tokens.
    """

    def __init__(self, codec: TokenCodec, end_ids: Sequence[int], *, patience: float = _PATIENCE) -> None:
        from llguidance import LLTokenizer, TokenizerWrapper

        token_bytes = codec.token_bytes
        if token_bytes is None:
            raise ConstraintUnsupported(
                "this model's tokenizer does not say which bytes a token stands for; nothing can be enforced",
                hint="Use a model with a byte-level or sentencepiece tokenizer.",
            )
        view = TokenizerWrapper(_View(codec, token_bytes, end_ids[0]))
        self.tokenizer: LLTokenizer = LLTokenizer(
            view, n_vocab=codec.size, eos_token=list(end_ids), slices=[]
        )
        self._patience = patience
        self._spent = 0.0
        self._prepared = False

    def spend(self, seconds: float) -> None:
        """Note how long making a mask took."""
        self._spent += seconds

    def prepare_if_due(self) -> bool:
        """Prepare masks if that is due, which takes some tenths of a second; whether `tokenizer` is another now."""
        if self._prepared or self._spent < self._patience:
            return False
        self.tokenizer = self.tokenizer.with_slices(list(_SLICES))
        self._prepared = True
        return True


class _View:
    """The attributes that llguidance's `TokenizerWrapper` reads.

    Forced text is encoded with the codec, so that no forced text is a control token (given a tokenizer.json, llguidance
    would write the one control token for `<|im_start|>` in a string).
    """

    bos_token_id: Any = None

    def __init__(self, codec: TokenCodec, token_bytes: Sequence[bytes], end_id: int) -> None:
        self._codec = codec
        self.eos_token_id = end_id
        self.tokens = list(token_bytes)
        self.special_token_ids = sorted(codec.control_ids)

    def __call__(self, written: bytes) -> list[int]:
        return list(self._codec.encode_text(written.decode("utf-8")))
