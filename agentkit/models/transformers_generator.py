"""A generator that runs a transformers causal language model in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentkit.errors import ConstraintUnmet, ContextOverflow
from agentkit.messages import Message, ToolSpec, assistant
from agentkit.models.call_rules import CALL_THRESHOLD
from agentkit.models.codec_loading import load_codec_file
from agentkit.models.constraints import ConstraintCompiler
from agentkit.models.decode import Step
from agentkit.models.dialects import Dialect, choose_dialect, encode, text, written
from agentkit.models.model_settings import ModelSettings, number_format
from agentkit.models.pretrained import load_pretrained
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Constraint,
    Delta,
    Finished,
    FreeText,
    GenerationRequest,
    ReplyStart,
    TextChunk,
    Usage,
)
from agentkit.models.tokens import Detokenizer, TokenCodec

if TYPE_CHECKING:
    from agentkit.models.decode import Work
    from agentkit.models.folder import ModelFolder
    from agentkit.models.prefix_pool import PrefixPool


class TransformersGenerator:
    """Generator protocol on a transformers model; one forward pass at a time, others wait.

    Args:
        model: Causal language model in evaluation mode.
        codec: Its tokens.
        dialect: How it writes conversations.
        end_ids: Tokens that end its replies.
        name: The reference it was loaded from.
        context_length: Most tokens of prompt and reply together.
    """

    def __init__(
        self,
        model: Any,
        *,
        codec: TokenCodec,
        dialect: Dialect,
        end_ids: Sequence[int],
        name: str,
        context_length: int,
    ) -> None:
        from agentkit.models.prefix_pool import PrefixPool

        self.name = name
        self.context_length = context_length
        self.dialect = dialect
        self.codec = codec
        self._end_ids = tuple(end_ids)
        self._constraints = ConstraintCompiler(codec, dialect, self._end_ids)
        beginnings = [codec.encode_text(beginning)[0] for beginning in dialect.calls.beginnings]
        self._call_beginnings = {*beginnings, *encode(dialect.calls.opening, codec)[:1]}
        self._pool: PrefixPool | None = PrefixPool(model)

    @classmethod
    def load(cls, folder: ModelFolder, *, dtype: str = "auto") -> TransformersGenerator:
        """Load a resolved model folder.

        Args:
            folder: Where it is and what is known of it.
            dtype: `bfloat16`, `float32`, or `auto`: bfloat16 where the processor computes with it.

        Raises:
            ModelRefused: Files that are missing, damaged or not loaded on principle.
        """
        settings = ModelSettings(folder.path)
        model = load_pretrained(folder, "AutoModelForCausalLM", number_format(dtype))
        codec = load_codec_file(
            folder.path / "tokenizer.json", size=model.config.get_text_config().vocab_size
        )
        dialect = choose_dialect(
            folder.dialect,
            codec=codec,
            chat_template=settings.chat_template,
            variables=settings.special_tokens,
            model=folder.name,
        )
        return cls(
            model,
            codec=codec,
            dialect=dialect,
            end_ids=settings.end_ids(codec, dialect),
            name=folder.name,
            context_length=folder.context_length or settings.longest_context,
        )

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`."""
        return len(self._prompt(messages, tools, ""))

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`."""
        from agentkit.models.decode import Limits, Work, decode

        started = time.monotonic()
        prompt = self._prompt(request.messages, request.tools, request.prefix)
        room = self.context_length - len(prompt)
        if room < 1:
            raise ContextOverflow(
                f"the prompt has {len(prompt)} tokens, the window of {self.name} {self.context_length}",
                hint="Shorten the system prompt, the history or the tool descriptions.",
            )
        work = Work()
        constraint = self._text_or_calls(request, prompt, work)
        matcher = self._constraints.matcher(constraint, request.tools)
        limits = Limits(min(request.max_tokens, room), request.deadline, request.cancel)
        reply = _Reply(self.codec)
        steps = decode(
            self._open_pool().for_prompt(prompt),
            prompt,
            matcher,
            end_ids=self._end_ids,
            sampling=request.sampling,
            limits=limits,
            work=work,
        )
        for step in steps:
            reply.add(step)
            if calls := isinstance(constraint, CallTools):
                _drop_unwanted_call(constraint, reply, self.dialect)
            if chunk := reply.release(only_complete=calls):
                yield TextChunk(chunk)
            if reply.last.finish:
                break
        usage = Usage(
            prompt_tokens=len(prompt),
            cached_tokens=work.cached_tokens or 0,
            generated_tokens=len(reply.ids),
            forced_tokens=reply.forced,
            forward_passes=work.forward_passes,
            seconds=time.monotonic() - started,
        )
        yield self._finished(request, reply, usage)

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`."""
        from agentkit.models.decode import Work, score_first_tokens, score_options

        prompt = self._prompt(request.messages, request.tools, request.prefix)
        options = [() if isinstance(o, ReplyStart) else self.codec.encode_text(o) for o in request.options]
        if any(not ids and isinstance(o, str) for ids, o in zip(options, request.options, strict=True)):
            raise ValueError("an option must not be empty")
        if len(prompt) + max(map(len, options), default=0) > self.context_length:
            raise ContextOverflow(
                f"the question has {len(prompt)} tokens, the window of {self.name} {self.context_length}",
                hint="Shorten what is asked about.",
            )
        cache, work = self._open_pool().for_prompt(prompt), Work()
        call = -math.inf
        if () in options:
            call = score_first_tokens(cache, prompt, self._call_beginnings, work=work)
        scores = iter(score_options(cache, prompt, [ids for ids in options if ids], work=work))
        return tuple(next(scores) if ids else call for ids in options)

    def close(self) -> None:
        """See `Generator`."""
        self._pool = None

    def _open_pool(self) -> PrefixPool:
        if self._pool is None:
            raise RuntimeError(f"the generator {self.name} has been closed")
        return self._pool

    def _prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec], prefix: str) -> list[int]:
        segments = self.dialect.render(messages, tools)
        return encode([*segments, text(prefix)] if prefix else segments, self.codec)

    def _text_or_calls(self, request: GenerationRequest, prompt: Sequence[int], work: Work) -> Constraint:
        """Where the model may do either, what it does, by the probability that its reply begins as a call.

        Left to the grammar, a model that means to call but was trained on another form would be driven into
        text.
        """
        from agentkit.models.decode import score_first_tokens

        constraint = request.constraint
        if not isinstance(constraint, CallTools) or not constraint.allow_text or request.prefix:
            return constraint
        tools = request.tools if constraint.tools is None else constraint.tools
        if not tools or constraint.max_calls < 1:
            return constraint
        self._constraints.matcher(replace(constraint, allow_text=False), tools)  # refuse first, compute later
        call = score_first_tokens(
            self._open_pool().for_prompt(prompt), prompt, self._call_beginnings, work=work
        )
        if call >= math.log(CALL_THRESHOLD):
            return replace(constraint, allow_text=False)
        return replace(constraint, max_calls=0)

    def _finished(self, request: GenerationRequest, reply: _Reply, usage: Usage) -> Finished:
        finish, calls = reply.last.finish, isinstance(request.constraint, CallTools)
        assert finish is not None
        satisfied = reply.last.complete or (calls and reply.released)
        if finish == "length" and not satisfied and not isinstance(request.constraint, FreeText):
            raise ConstraintUnmet(
                f"the reply did not satisfy its constraint within {usage.generated_tokens} tokens",
                hint="Allow more tokens, or bound the lengths of strings and lists in the schema.",
            )
        if finish == "stop":
            self.codec.remember_reply(reply.ids)
        message = self.dialect.parse(reply.released) if calls else assistant(reply.released)
        return Finished(message, reply.released, finish, usage)


class _Reply:
    """The reply as it grows: what was written, and how much of it has been released to the caller."""

    def __init__(self, codec: TokenCodec) -> None:
        self.ids: list[int] = []
        self.forced = 0
        self.text = ""
        self.released = ""
        self.last = Step()
        self._detokenizer = Detokenizer(codec)

    def add(self, step: Step) -> None:
        """Append what a step wrote."""
        self.ids += step.tokens
        self.forced += step.forced
        self.last = step
        self.text += self._detokenizer.push(step.tokens)
        if step.finish:
            self.text += self._detokenizer.flush()

    def end_with(self, text: str) -> None:
        """Take back what comes after `text` and end."""
        self.text = text
        self.last = Step(finish="stop", complete=True)

    def release(self, *, only_complete: bool) -> str:
        """What the caller has not got yet; calls are held back until they are complete."""
        if only_complete and not self.last.complete:
            return ""
        chunk = self.text[len(self.released) :]
        self.released += chunk
        return chunk


def _drop_unwanted_call(constraint: CallTools, reply: _Reply, dialect: Dialect) -> None:
    """End the reply before a call that `constraint.further` does not want."""
    if constraint.further is None or not reply.last.complete:
        return
    calls = dialect.parse(reply.text).calls
    for count in range(2, len(calls) + 1):
        if not constraint.further(calls[:count]):
            # Where each call is complete by itself, those before this one have been released already.
            kept = dialect.render_reply(assistant(calls=calls[: count - 1]))
            reply.end_with(reply.released or written(kept))
            return
