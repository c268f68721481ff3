"""A generator that runs a causal language model in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agentkit.errors import ConstraintUnmet, ContextOverflow
from agentkit.messages import Message, ToolSpec, assistant
from agentkit.models.call_rules import CALL_THRESHOLD
from agentkit.models.codec_loading import load_codec_file
from agentkit.models.constraints import ConstraintCompiler
from agentkit.models.dialects import Dialect, choose_dialect, encode, text, written
from agentkit.models.folder import read_config
from agentkit.models.heap import one_heap
from agentkit.models.machine_code import compile_early
from agentkit.models.model_settings import ModelSettings, number_format
from agentkit.models.pretrained import load_pretrained
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Delta,
    Finished,
    FinishReason,
    FreeText,
    GenerationRequest,
    ReplyStart,
    TextChunk,
    Usage,
)
from agentkit.models.state_reading import StateReading
from agentkit.models.tokens import Detokenizer, TokenCodec

if TYPE_CHECKING:
    import torch

    from agentkit.models.constraints import TokenMatcher
    from agentkit.models.engine import Engine, Network, Step
    from agentkit.models.engine.prefix_files import PrefixFiles
    from agentkit.models.folder import ModelFolder
    from agentkit.models.progress import Progress


_KEPT_TOKENS: Final = 6_000
"""States kept between requests: the instructions of a bot and the whole windows of some five conversations; 170 MB with
1.5 billion weights, 74 MB with half a billion."""


class LocalGenerator(StateReading):
    """Implements `Generator` with an engine of its own; threads that use it at the same time share its passes.

    Args:
        network: The model.
        codec: Its tokens.
        dialect: How it writes conversations.
        end_ids: Tokens that end its replies.
        name: The reference it was loaded from.
        context_length: Most tokens of prompt and reply together.
        files: Where the states of static prompts are kept between processes; None: nowhere.
    """

    def __init__(
        self,
        network: Network,
        *,
        codec: TokenCodec,
        dialect: Dialect,
        end_ids: Sequence[int],
        name: str,
        context_length: int,
        files: PrefixFiles | None = None,
    ) -> None:
        from agentkit.models.engine import EarlierReplies, Engine

        super().__init__(network, files, lambda messages: self._prompt(messages, (), ""), context_length)
        self.name = name
        self.context_length = context_length
        self.dialect = dialect
        self.codec = codec
        self._end_ids = tuple(end_ids)
        self._constraints = ConstraintCompiler(codec, dialect, self._end_ids)
        beginnings = [codec.encode_text(beginning)[0] for beginning in dialect.calls.beginnings]
        self._call_beginnings = sorted({*beginnings, *encode(dialect.calls.opening, codec)[:1]})
        self._engine: Engine | None = Engine(network, _KEPT_TOKENS * network.bytes_per_token, files)
        self._earlier = EarlierReplies()

    @classmethod
    def load(
        cls, folder: ModelFolder, *, dtype: str = "auto", progress: Progress | None = None
    ) -> LocalGenerator:
        """Load a resolved model folder.

        Args:
            folder: Where it is and what is known of it.
            dtype: `int8`, `bfloat16`, `float32`, or `auto`: the best one on this machine, measured the first time.
            progress: Told about what takes seconds, the first time.

        Raises:
            ConfigurationError: There is no such number format.
            ModelRefused: Files that are missing, damaged or not loaded on principle.
        """
        if dtype in ("auto", "int8"):
            compile_early()  # beside the import of torch
        settings = ModelSettings(folder.path)
        codec = load_codec_file(folder.path / "tokenizer.json", size=settings.vocabulary)
        network, files = _network(folder, codec, dtype, progress)
        dialect = choose_dialect(
            folder.dialect,
            codec=codec,
            chat_template=settings.chat_template,
            variables=settings.special_tokens,
            model=folder.name,
        )
        return cls(
            network,
            codec=codec,
            dialect=dialect,
            end_ids=settings.end_ids(codec, dialect),
            name=folder.name,
            context_length=folder.context_length or settings.longest_context,
            files=files,
        )

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`."""
        return len(self._prompt(messages, tools, ""))

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`."""
        from agentkit.models.engine import Chooser, Limits, Reply, Work, shared_length

        started = time.monotonic()
        prompt = self._prompt(request.messages, request.tools, request.prefix)
        room = self.context_length - len(prompt)
        if room < 1:
            raise ContextOverflow(
                f"the prompt has {len(prompt)} tokens, the window of {self.name} {self.context_length}",
                hint="Shorten the system prompt, the history or the tool descriptions.",
            )
        engine, work = self._open_engine(), Work()
        limits = Limits(min(request.max_tokens, room), request.deadline, request.cancel)
        job = Reply(
            prompt,
            self._matcher(request),
            end_ids=self._end_ids,
            chooser=Chooser(request.sampling),
            limits=limits,
            work=work,
            earlier=self._earlier,
        )
        job.static = shared_length(prompt, self._static(request))
        reply = _Reply(self.codec, () if isinstance(request.constraint, CallTools) else request.stop)
        steps = engine.submit(job)
        with closing(steps):
            for step in steps:
                reply.add(step)
                if calls := isinstance(request.constraint, CallTools):
                    if step.closed:
                        reply.keep_whole_calls()
                    _drop_unwanted_call(request.constraint, reply, self.dialect)
                if chunk := reply.release(only_complete=calls):
                    yield TextChunk(chunk)
                if reply.finish:
                    break
        usage = Usage(
            prompt_tokens=len(prompt),
            cached_tokens=work.cached_tokens or 0,
            generated_tokens=len(reply.ids),
            forced_tokens=reply.forced,
            forward_passes=work.forward_passes,
            seconds=time.monotonic() - started,
            computed_tokens=work.computed_tokens,
        )
        yield self._finished(request, reply, usage, limits.max_tokens)

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`."""
        from agentkit.models.engine import Scoring, Work, shared_length

        prompt = self._prompt(request.messages, request.tools, request.prefix)
        options = [() if isinstance(o, ReplyStart) else self.codec.encode_text(o) for o in request.options]
        if any(not ids and isinstance(o, str) for ids, o in zip(options, request.options, strict=True)):
            raise ValueError("an option must not be empty")
        if len(prompt) + max(map(len, options), default=0) > self.context_length:
            raise ContextOverflow(
                f"the question has {len(prompt)} tokens, the window of {self.name} {self.context_length}",
                hint="Shorten what is asked about.",
            )
        given = [ids for ids in options if ids]
        job = Scoring(prompt, given, first_of=[self._call_beginnings], work=Work())
        job.static = shared_length(prompt, self._static(request))
        (scores,) = self._open_engine().submit(job)
        *of_texts, call = scores
        texts = iter(of_texts)
        return tuple(next(texts) if ids else call for ids in options)

    def pass_over(self, text: str) -> None:
        """One pass over a text by itself, nothing reused, nothing kept: its time is the speed of this moment."""
        self._open_engine().pass_over(self.codec.encode_text(text))

    def close(self) -> None:
        """See `Generator`."""
        self._engine = None
        super().close()

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError(f"the generator {self.name} has been closed")
        return self._engine

    def _prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec], prefix: str) -> list[int]:
        segments = self.dialect.render(messages, tools)
        return encode([*segments, text(prefix)] if prefix else segments, self.codec)

    def _static(self, request: GenerationRequest | ChoiceRequest) -> list[int]:
        """What is static in a request, as a prompt; it may end in what begins a reply."""
        return self._prompt(request.messages[: request.static], request.tools, "") if request.static else []

    def _matcher(self, request: GenerationRequest) -> TokenMatcher | Callable[[torch.Tensor], TokenMatcher]:
        """What enforces the constraint of a request.

        Where the model may write text or call, the probability that its reply begins as a call decides. Left to the
        grammar, a model that means to call but was trained on another form would be driven into text.
        """
        constraint = request.constraint
        if not isinstance(constraint, CallTools) or not constraint.allow_text or request.prefix:
            return self._constraints.matcher(constraint, request.tools)
        tools = request.tools if constraint.tools is None else constraint.tools
        if not tools or constraint.max_calls < 1:
            return self._constraints.matcher(constraint, request.tools)
        calls = self._constraints.matcher(replace(constraint, allow_text=False), request.tools)
        text = self._constraints.matcher(replace(constraint, max_calls=0), request.tools)

        def decide(logits: torch.Tensor) -> TokenMatcher:
            call = logits.log_softmax(-1)[self._call_beginnings].logsumexp(-1)
            return calls if float(call) >= math.log(CALL_THRESHOLD) else text

        return decide

    def _finished(self, request: GenerationRequest, reply: _Reply, usage: Usage, limit: int) -> Finished:
        finish, calls = reply.finish, isinstance(request.constraint, CallTools)
        assert finish is not None
        _check_satisfied(request, reply, limit)
        if finish == "stop":
            self.codec.remember_reply(reply.ids)
        message = self.dialect.parse(reply.released) if calls else assistant(reply.released)
        measured = tuple(reply.log_probabilities) if request.log_probabilities else ()
        return Finished(message, reply.released, finish, usage, measured)


def _check_satisfied(request: GenerationRequest, reply: _Reply, limit: int) -> None:
    """Refuse a reply that a limit cut before it satisfied its constraint; whole calls before the cut are enough."""
    satisfied = reply.complete or (isinstance(request.constraint, CallTools) and reply.released)
    if reply.finish == "length" and not satisfied and not isinstance(request.constraint, FreeText):
        raise ConstraintUnmet(
            f"the reply cannot satisfy its constraint within {limit} tokens",
            hint="Allow more tokens, or bound the lengths of strings and lists in the schema.",
            cut=True,
        )


def _network(
    folder: ModelFolder, codec: TokenCodec, dtype: str, progress: Progress | None
) -> tuple[Network, PrefixFiles | None]:
    """The model of a folder: on our own network if it is of that family, else on transformers."""
    from agentkit.models.engine.precision import TEXT, network_of, prefix_files
    from agentkit.models.engine.weights import shape_of

    one_heap()
    shape = shape_of(read_config(folder.path))
    if shape is not None:
        network = network_of(folder, shape, dtype, codec.encode_text(TEXT), progress)
        return network, prefix_files(folder, network)
    from agentkit.models.engine.foreign_network import ForeignNetwork

    return ForeignNetwork(load_pretrained(folder, "AutoModelForCausalLM", number_format(dtype))), None


class _Reply:
    """The reply as it grows: what was written, and how much of it has been released to the caller."""

    def __init__(self, codec: TokenCodec, stop: Sequence[str]) -> None:
        self.ids: list[int] = []
        self.forced = 0
        self.text = ""
        self.released = ""
        self.finish: FinishReason | None = None
        self.complete = False
        """The text so far satisfies the constraint."""
        self.log_probabilities: list[float] = []
        self._stop = [text for text in stop if text]
        self._detokenizer = Detokenizer(codec)

    def add(self, step: Step) -> None:
        """Append what a step wrote."""
        self.ids += step.tokens
        self.forced += step.forced
        self.finish, self.complete = step.finish, step.complete
        if step.log_probability is not None:
            self.log_probabilities.append(step.log_probability)
        self.text += self._detokenizer.push(step.tokens)
        if step.finish:
            self.text += self._detokenizer.flush()
        places = [self.text.find(each) for each in self._stop]
        if found := [place for place in places if place >= 0]:
            self.end_with(self.text[: min(found)])

    def keep_whole_calls(self) -> None:
        """Take back a call that was closed by force where calls before it were complete."""
        if self.released:
            self.text = self.released

    def end_with(self, text: str) -> None:
        """Take back what comes after `text` and end."""
        self.text = text
        self.finish, self.complete = "stop", True

    def release(self, *, only_complete: bool) -> str:
        """What the caller has not got yet; calls are held back until they are complete."""
        if only_complete and not self.complete:
            return ""
        end = len(self.text) if self.finish else len(self.text) - self._begun()
        chunk = self.text[len(self.released) : end]
        self.released += chunk
        return chunk

    def _begun(self) -> int:
        """How many characters at the end may be the beginning of a text that ends the reply."""
        lengths = (
            n for each in self._stop for n in range(len(each) - 1, 0, -1) if self.text.endswith(each[:n])
        )
        return max(lengths, default=0)


def _drop_unwanted_call(constraint: CallTools, reply: _Reply, dialect: Dialect) -> None:
    """End the reply before a call that `constraint.further` does not want."""
    if constraint.further is None or not reply.complete:
        return
    calls = dialect.parse(reply.text).calls
    for count in range(2, len(calls) + 1):
        if not constraint.further(calls[:count]):
            # Where each call is complete by itself, those before this one have been released already.
            kept = dialect.render_reply(assistant(calls=calls[: count - 1]))
            reply.end_with(reply.released or written(kept))
            return
