"""A generator that writes at random whatever the request's constraint allows; it needs no weights and no
torch."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from typing import Final

import numpy

from agentkit.errors import ConstraintUnmet
from agentkit.messages import Message, ToolSpec, assistant
from agentkit.models.constraints import ConstraintCompiler
from agentkit.models.dialects import Dialect, HermesDialect, encode
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Delta,
    Finished,
    FinishReason,
    FreeText,
    GenerationRequest,
    TextChunk,
    Usage,
)
from agentkit.models.tokens import Detokenizer, TokenCodec
from agentkit.testing.byte_tokenizer import ByteTokenizer

_CLOSING: Final = frozenset(b'"}],')
_PRINTABLE: Final = frozenset(range(0x20, 0x7F))


class RandomGenerator:
    """Generator that obeys any constraint and otherwise writes noise, the same for the same seed.

    Use it to show that code holds up against whatever a model might write within its constraint.

    Args:
        seed: Start of the random numbers.
        dialect: How it writes conversations.
        codec: Its tokens.
    """

    def __init__(
        self, seed: int = 0, *, dialect: Dialect | None = None, codec: TokenCodec | None = None
    ) -> None:
        self.name = f"random-{seed}"
        self.context_length = 1_000_000
        self._random = random.Random(seed)
        self._codec = codec or ByteTokenizer()
        self._dialect = dialect or HermesDialect()
        ends = [self._codec.control_id(name) for name in self._dialect.end_tokens]
        self._end_ids = [token for token in ends if token is not None]
        self._constraints = ConstraintCompiler(self._codec, self._dialect, self._end_ids)

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`."""
        return len(encode(self._dialect.render(messages, tools), self._codec))

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`."""
        matcher = self._constraints.matcher(request.constraint, request.tools)
        detokenizer = Detokenizer(self._codec)
        text = ""
        ids: list[int] = []
        finish: FinishReason | None = None
        while finish is None:
            new = matcher.forced()
            if not new and not matcher.finished and len(ids) < request.max_tokens:
                token = self._pick(matcher.mask())
                if token in self._end_ids:
                    finish = "stop"
                else:
                    matcher.accept(token)
                    new = [token]
            ids += new
            if chunk := detokenizer.push(new):
                text += chunk
                yield TextChunk(chunk)
            finish = finish or self._reason(request, finished=matcher.finished, written=len(ids))
        if chunk := detokenizer.flush():
            text += chunk
            yield TextChunk(chunk)
        complete = matcher.complete or isinstance(request.constraint, FreeText)
        if finish == "length" and not complete:
            raise ConstraintUnmet(
                f"{len(ids)} random tokens did not satisfy the constraint",
                hint="Allow more tokens.",
                cut=True,
            )
        calls = isinstance(request.constraint, CallTools) and complete
        reply = self._dialect.parse(text) if calls else assistant(text if complete else "")
        usage = Usage(
            generated_tokens=len(ids), prompt_tokens=self.count_tokens(request.messages, request.tools)
        )
        yield Finished(reply, text, finish, usage)

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`."""
        weights = [self._random.random() + 1e-9 for _ in request.options]
        return tuple(math.log(weight / (sum(weights) + 1)) for weight in weights)

    def close(self) -> None:
        """See `Generator`."""

    def _pick(self, allowed: numpy.typing.NDArray[numpy.bool_]) -> int:
        """A random allowed token; ends and closing marks are likelier, so that replies do end."""
        tokens = numpy.flatnonzero(allowed).tolist()
        weights = [
            12.0 if t in self._end_ids else 8.0 if t in _CLOSING else 1.0 if t in _PRINTABLE else 0.1
            for t in tokens
        ]
        return int(self._random.choices(tokens, weights)[0])

    def _reason(self, request: GenerationRequest, *, finished: bool, written: int) -> FinishReason | None:
        if finished:
            return "stop"
        if request.cancel is not None and request.cancel.is_set():
            return "cancelled"
        if request.deadline is not None and time.monotonic() >= request.deadline:
            return "deadline"
        return "length" if written >= request.max_tokens else None
