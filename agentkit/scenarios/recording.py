"""What models said while a scenario was played, so that it can be played again without them.

A recording is two files in `recordings/` beside the scenarios: `NAME.json` holds requests and answers of the generator,
`NAME.safetensors` every vector, of the encoder and of the generator's hidden states, in full precision. What a request
asks for is its *key*: everything that decides the answer, without call ids, deadlines and what else differs from run to
run. Nothing here loads a model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy
from pydantic import Field, ValidationError

from agentkit.errors import BotFileError
from agentkit.messages import Assistant, Message, ToolCall, ToolResult, ToolSpec, Value
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Constraint,
    Delta,
    Encoder,
    Finished,
    FinishReason,
    GenerationRequest,
    Generator,
    ReplyStart,
    StateReader,
    StateRequest,
)

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

FOLDER: Final = "recordings"
VERSION: Final = 1

Request = GenerationRequest | ChoiceRequest | StateRequest


class Answer(Value):
    """What the generator said to one request.

    Args:
        asked: The request as lines of text, for people: a miss shows how it differs from the nearest one.
        reply: The reply, of a generation.
        text: Its raw text.
        finish: Why it ended.
        tokens: Tokens of prompt, reused, written, forced, and forward passes.
        log_probabilities: Of the written tokens of a generation, or of the options of a choice.
    """

    kind: Literal["generate", "choose", "state"]
    asked: tuple[str, ...]
    reply: Assistant | None = None
    text: str = ""
    finish: FinishReason = "stop"
    tokens: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    log_probabilities: tuple[float, ...] = ()


class Recording(Value):
    """Everything that models said in one scenario; vectors are beside it.

    Args:
        version: Of this format.
        generator: The name of the generator.
        context_length: Its context window in tokens.
        encoder: The identity of the encoder.
        dimension: Length of its vectors.
        started: What the clock showed first.
        answers: What the generator said, by the key of the request, in order.
        counts: Lengths of prompts in tokens, by key.
        texts: What was embedded, by the name of its vector.
    """

    version: int = VERSION
    generator: str
    context_length: int
    encoder: str
    dimension: int
    started: datetime
    answers: dict[str, tuple[Answer, ...]] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    texts: dict[str, str] = Field(default_factory=dict)


class Tape:
    """A recording that is being made: wrap the models with it, play, then `save`.

    Args:
        generator: The real generator.
        encoder: The real encoder.
    """

    def __init__(self, generator: Generator, encoder: Encoder) -> None:
        self.vectors: dict[str, Vectors] = {}
        self.answers: dict[str, list[Answer]] = {}
        self.counts: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.generator: Generator = _RecordedGenerator(generator, self)
        self.encoder: Encoder = _RecordedEncoder(encoder, self)

    def recording(self, started: datetime) -> Recording:
        """What was recorded so far."""
        # A conversation that needed no generator does not load one to ask for its window.
        used = bool(self.answers or self.counts)
        return Recording(
            generator=self.generator.name,
            context_length=self.generator.context_length if used else 0,
            encoder=self.encoder.id,
            dimension=self.encoder.dimension,
            started=started,
            answers={key: tuple(answers) for key, answers in self.answers.items()},
            counts=self.counts,
            texts=self.texts,
        )


def recording_path(scenario: Path) -> Path:
    """Where the recording of a scenario is: its JSON file; the vectors are beside it."""
    return scenario.parent / FOLDER / f"{scenario.stem}.json"


def save(path: Path, recording: Recording, vectors: dict[str, Vectors]) -> None:
    """Write both files of a recording."""
    from safetensors.numpy import save as to_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".safetensors").write_bytes(to_bytes(dict(sorted(vectors.items()))))
    path.write_text(recording.model_dump_json(indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[Recording, dict[str, Vectors]]:
    """Read both files of a recording.

    Raises:
        BotFileError: There is none, or it is damaged or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    again = "Make it anew: agentkit record BOT NAME --from NAME --live"
    try:
        recording = Recording.model_validate_json(path.read_bytes())
        vectors = load_file(path.with_suffix(".safetensors"))
    except FileNotFoundError as problem:
        raise BotFileError(
            "the scenario has no recording", path=problem.filename or path, hint=again
        ) from problem
    except (ValidationError, SafetensorError, OSError) as problem:
        raise BotFileError(f"the recording cannot be read: {problem}", path=path, hint=again) from problem
    if recording.version != VERSION:
        raise BotFileError(
            f"the recording has version {recording.version}, not {VERSION}", path=path, hint=again
        )
    return recording, vectors


class _RecordedGenerator:
    """Implements `Generator` and `StateReader` over a real one, and writes down what it says."""

    def __init__(self, generator: Generator, tape: Tape) -> None:
        self._generator = generator
        self._tape = tape

    @property
    def name(self) -> str:
        return self._generator.name

    @property
    def context_length(self) -> int:
        return self._generator.context_length

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        count = self._generator.count_tokens(messages, tools)
        self._tape.counts[count_key(messages, tools)] = count
        return count

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        for delta in self._generator.generate(request):
            if isinstance(delta, Finished):
                usage = delta.usage
                tokens = (
                    usage.prompt_tokens,
                    usage.cached_tokens,
                    usage.generated_tokens,
                    usage.forced_tokens,
                    usage.forward_passes,
                )
                answer = Answer(
                    kind="generate",
                    asked=asked_lines(request),
                    reply=delta.reply,
                    text=delta.text,
                    finish=delta.finish,
                    tokens=tokens,
                    log_probabilities=delta.log_probabilities,
                )
                self._tape.answers.setdefault(key_of(request), []).append(answer)
            yield delta

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        found = self._generator.choose(request)
        answer = Answer(kind="choose", asked=asked_lines(request), log_probabilities=found)
        self._tape.answers.setdefault(key_of(request), []).append(answer)
        return found

    def state(self, request: StateRequest) -> Vectors:
        assert isinstance(self._generator, StateReader)  # only such are asked
        key = key_of(request)
        if key not in self._tape.answers:
            self._tape.vectors[f"state-{key}"] = self._generator.state(request)
            self._tape.answers[key] = [Answer(kind="state", asked=asked_lines(request))]
        return self._tape.vectors[f"state-{key}"]

    def close(self) -> None:
        self._generator.close()


class _RecordedEncoder:
    """Implements `Encoder` over a real one; a text has one vector, whatever batch it comes in."""

    def __init__(self, encoder: Encoder, tape: Tape) -> None:
        self._encoder = encoder
        self._tape = tape
        self.id = encoder.id
        self.dimension = encoder.dimension

    def encode(self, texts: Sequence[str]) -> Vectors:
        names = [vector_name(text) for text in texts]
        fresh = {
            name: text for name, text in zip(names, texts, strict=True) if name not in self._tape.vectors
        }
        if fresh:
            for name, vector in zip(fresh, self._encoder.encode(list(fresh.values())), strict=True):
                self._tape.vectors[name] = vector
            self._tape.texts.update(fresh)
        rows = [self._tape.vectors[name] for name in names]
        return numpy.stack(rows) if rows else numpy.zeros((0, self.dimension), numpy.float32)

    def close(self) -> None:
        self._encoder.close()


def vector_name(text: str) -> str:
    """The name of a text's vector in a recording."""
    return f"text-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def count_key(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
    """The key of a prompt whose length was asked for."""
    return _digest([_plain_messages(messages), [tool.model_dump() for tool in tools]])


def key_of(request: Request) -> str:
    """The key of a request: equal where the same is asked for."""
    return _digest(_plain(request))


def asked_lines(request: Request) -> tuple[str, ...]:
    """A request as lines: what decides it first, then its messages, the last one at the end."""
    plain = _plain(request)
    head = [f"{name}: {_json(value)}" for name, value in plain.items() if name not in ("messages", "tools")]
    tools = ", ".join(tool["name"] for tool in plain.get("tools", ()))
    lines = [*head, f"tools: {tools}"]
    for message in plain["messages"]:
        text = "\n".join(part["text"] for part in message["parts"])
        calls = [f"{call['name']}({_json(call['arguments'])})" for call in message.get("calls", ())]
        lines += [f"{message['role']}: {line}" for line in [*text.splitlines(), *calls]]
    return tuple(lines)


def _plain(request: Request) -> dict[str, Any]:
    plain: dict[str, Any] = {"messages": _plain_messages(request.messages)}
    if isinstance(request, GenerationRequest):
        plain["constraint"] = _plain_constraint(request.constraint)
        plain["sampling"] = dataclasses.asdict(request.sampling)
        plain["max_tokens"] = request.max_tokens
        plain["prefix"] = request.prefix
        plain["stop"] = list(request.stop)
        plain["log_probabilities"] = request.log_probabilities
    elif isinstance(request, ChoiceRequest):
        plain["options"] = [o.value if isinstance(o, ReplyStart) else [o] for o in request.options]
        plain["prefix"] = request.prefix
    else:
        plain["layer"], plain["unread"] = request.layer, request.unread
        if request.adapter is not None:
            plain["adapter"] = hashlib.sha256(request.adapter.read_bytes()).hexdigest()
    if not isinstance(request, StateRequest):
        plain["tools"] = [tool.model_dump() for tool in request.tools]
    return plain


def _plain_constraint(constraint: Constraint) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": type(constraint).__name__}
    for field in dataclasses.fields(constraint):
        if field.name != "further":  # a rule in code, which the other fields imply
            plain[field.name] = getattr(constraint, field.name)
    if isinstance(constraint, CallTools) and constraint.tools is not None:
        plain["tools"] = [tool.model_dump() for tool in constraint.tools]
    return plain


def _plain_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages without what differs between two runs: calls are numbered in their order."""
    numbers: dict[str, str] = {}

    def number(call_id: str) -> str:
        return numbers.setdefault(call_id, f"call-{len(numbers) + 1}")

    plain = []
    for message in messages:
        if isinstance(message, Assistant):
            calls = tuple(
                ToolCall(id=number(call.id), name=call.name, arguments=call.arguments)
                for call in message.calls
            )
            message = message.model_copy(update={"calls": calls})
        elif isinstance(message, ToolResult):
            message = message.model_copy(update={"call_id": number(message.call_id)})
        plain.append(message.model_dump(mode="json"))
    return plain


def _digest(value: Any) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()[:24]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
