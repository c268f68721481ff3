"""The two seams of the model layer: a generator that writes and an encoder that embeds.

Everything above this layer talks to these protocols only. A request holds messages and tools; how they
become token ids is the business of the generator and its dialect. Neither torch nor transformers is imported.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from agentkit.messages import Assistant, Message, ToolCall, ToolSpec

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[numpy.float32]

FinishReason: TypeAlias = Literal["stop", "length", "cancelled", "deadline"]
"""Why a generation ended: it was complete, the token limit, `cancel` was set, or `deadline` passed."""


@dataclass(frozen=True)
class FreeText:
    """Text only: the generator can write anything except a tool call."""


@dataclass(frozen=True)
class CallTools:
    """Tool calls that fit the schemas of the request's tools.

    Args:
        allow_text: The generator may answer with text instead of calling.
        max_calls: At most this many calls in one reply.
        tools: What may be called, where that is narrower than the tools in the prompt: fewer tools, or the
            same with narrower schemas. None: the tools of the request as they are. The prompt stays the same
            either way, so that its key-value cache is reused.
        further: Asked after every call but the first, with all calls so far; False drops the last one and ends
            the reply. Small models go on calling as long as they may; `models.call_rules` has a rule that
            holds them to what the user said. None: the model decides.
    """

    allow_text: bool = True
    max_calls: int = 1
    tools: Sequence[ToolSpec] | None = None
    further: Callable[[Sequence[ToolCall]], bool] | None = None


@dataclass(frozen=True)
class JsonSchema:
    """Text that is one JSON value valid under `schema`."""

    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Regex:
    """Text that matches `pattern` as a whole (Rust regex syntax, no look-around)."""

    pattern: str


@dataclass(frozen=True)
class Grammar:
    """Text that the grammar accepts (llguidance's Lark dialect)."""

    lark: str


Constraint: TypeAlias = FreeText | CallTools | JsonSchema | Regex | Grammar


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen where the constraint leaves a choice.

    Args:
        temperature: 0 takes the most probable token; above 0 samples.
        top_p: Keep the smallest set of tokens whose probability reaches this share (nucleus sampling).
        top_k: Keep so many of the most probable tokens; 0 keeps all.
        min_p: Keep tokens that are at least this share as probable as the most probable one; 0 keeps all.
        seed: Makes sampling repeatable; None draws a fresh one.
        repetition_penalty: Above 1 makes tokens already written less likely (CTRL, arXiv 1909.05858).
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    repetition_penalty: float = 1.0


@dataclass(frozen=True)
class GenerationRequest:
    """What to write.

    Args:
        messages: The transcript, system message first; every call in it has a result.
        tools: What may be called; goes into the prompt, and into the constraint if that is `CallTools`.
        constraint: What may be written.
        sampling: How tokens are chosen.
        max_tokens: Most tokens to write.
        deadline: `time.monotonic()` value after which writing stops with finish reason `deadline`.
        cancel: Set by another thread to stop within one step with finish reason `cancelled`.
        prefix: Text that the reply must begin with; it is part of the prompt and not of the deltas.
        stop: Texts that end the reply where they would begin; none of them is part of it. Not for `CallTools`.
        log_probabilities: Whether `Finished.log_probabilities` is wanted.
        static: So many of the first messages, and the tools, are what a developer wrote, the same in every
            conversation: the generator may keep what it computed for them on disk. Nothing a user said may be among
            them.
    """

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    constraint: Constraint = field(default_factory=FreeText)
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 256
    deadline: float | None = None
    cancel: threading.Event | None = None
    prefix: str = ""
    stop: Sequence[str] = ()
    log_probabilities: bool = False
    static: int = 0


@dataclass(frozen=True)
class Usage:
    """What a generation cost.

    Args:
        prompt_tokens: Length of the prompt in tokens.
        cached_tokens: Prompt tokens whose key-value states were reused.
        generated_tokens: Tokens written, forced ones included, without the end marker.
        forced_tokens: Written tokens that the constraint forced, so that no choice was computed.
        forward_passes: Model forward passes, prompt included.
        seconds: Wall time.
        computed_tokens: Tokens that the passes saw: of the prompt what was not reused, what was written, wrong guesses.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    forced_tokens: int = 0
    forward_passes: int = 0
    seconds: float = 0.0
    computed_tokens: int = 0


@dataclass(frozen=True)
class TextChunk:
    """A piece of raw text as it is written: always whole characters, never half a UTF-8 sequence."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The last item of every stream.

    Args:
        reply: The text parsed by the dialect: parts, calls or both. Call ids are `call_1`, `call_2`, … within
            the reply; the agent replaces them by ids of the conversation.
        text: The raw text (all chunks joined).
        finish: Why it ended. A reply cut by `length`, `cancelled` or `deadline` never holds half a call. With
            `length` a reply under a constraint may have been closed by force: it satisfies the constraint, but its
            last values are not what the model meant to write, so a call in it must not act.
        usage: What it cost.
        log_probabilities: If asked for, the natural log of the model's own probability (before constraint and
            temperature) of each token that was chosen. Forced tokens were not chosen.
    """

    reply: Assistant
    text: str
    finish: FinishReason
    usage: Usage
    log_probabilities: tuple[float, ...] = ()


Delta: TypeAlias = TextChunk | Finished


class ReplyStart(Enum):
    """How a reply can begin that is no text of its own, for `ChoiceRequest.options`."""

    TOOL_CALL = "tool_call"
    """The reply begins with a tool call, in any of the ways in which models of this dialect begin one. Its
    log-probability is that of the first token alone, summed over those ways."""


@dataclass(frozen=True)
class ChoiceRequest:
    """A question to the model that is read from its probabilities instead of its prose.

    Args:
        messages: The transcript, ending with the question.
        options: Named alternatives as the reply would begin, for example `("Yes", "No")`, or a `ReplyStart`.
            No option may be a prefix of another in tokens.
        tools: Tools that are described in the prompt.
        prefix: Text of the reply before the alternatives.
        static: See `GenerationRequest`.
    """

    messages: Sequence[Message]
    options: Sequence[str | ReplyStart]
    tools: Sequence[ToolSpec] = ()
    prefix: str = ""
    static: int = 0


@runtime_checkable
class Generator(Protocol):
    """A causal language model that writes replies."""

    @property
    def name(self) -> str:
        """The reference it was loaded from, for traces."""
        ...

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and reply together."""
        ...

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """Length in tokens of the prompt that `generate` would make of these messages and tools."""
        ...

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """Write a reply: any number of `TextChunk`, then exactly one `Finished`.

        Closing the iterator early stops the work and frees what it held.

        Raises:
            ContextOverflow: The prompt and one token do not fit the context window.
            ConstraintUnsupported: The constraint cannot be enforced; raised before any chunk.
            ConstraintUnmet: No text within the token limit satisfies the constraint (not for `FreeText`), or a model
                server did not keep to it.
        """
        ...

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """Natural log-probability of each option as the continuation of the prompt, in the order given.

        They are the model's own probabilities, not normalised over the options.
        """
        ...

    def close(self) -> None:
        """Free the weights; later calls fail."""
        ...


@dataclass(frozen=True)
class StateRequest:
    """What the model makes of a text, read from its hidden vectors instead of its probabilities.

    Args:
        messages: The transcript.
        layer: After so many layers; the layers above are not computed.
        unread: How the last message begins. The vectors of what follows are averaged, the last 64 tokens at most, up to
            where a reply would begin.
        static: See `GenerationRequest`.
        adapter: A safetensors file of low-rank additions to the products of the layers (`layers.INDEX.PRODUCT.down`
            [rank, in] and `.up` [out, rank]), which apply to what is read and to nothing before it; None: the
            model as it is.
    """

    messages: Sequence[Message]
    layer: int
    unread: str
    static: int = 0
    adapter: Path | None = None


@runtime_checkable
class StateReader(Protocol):
    """A generator in this process whose hidden vectors can be read."""

    def state(self, request: StateRequest) -> Vectors:
        """Two vectors of a prompt, float32 [2, d]: at its end, and the mean over what is read.

        Raises:
            ContextOverflow: The prompt does not fit the context window.
        """
        ...


@runtime_checkable
class Encoder(Protocol):
    """A model that turns texts into unit vectors."""

    @property
    def id(self) -> str:
        """Identity of the weights: stored beside every vector, as those of two encoders do not compare."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts.

        Args:
            texts: Any number of strings, any length (long ones are cut at the encoder's limit).

        Returns:
            float32 array [len(texts), dimension]; every row has length 1. The row of a text does not depend
            on the other texts of the batch beyond float32 rounding.
        """
        ...

    def close(self) -> None:
        """Free the weights; later calls fail."""
        ...
