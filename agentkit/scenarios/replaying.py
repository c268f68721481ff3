"""Models that say what they said when a scenario was recorded, and nothing else: a miss is an error."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import RecordingMissed
from agentkit.messages import Message, ToolSpec
from agentkit.models.protocols import (
    ChoiceRequest,
    Delta,
    Finished,
    GenerationRequest,
    StateRequest,
    TextChunk,
    Usage,
)
from agentkit.scenarios.loading import ScenarioFile
from agentkit.scenarios.recording import (
    Answer,
    Recording,
    Request,
    asked_lines,
    count_key,
    key_of,
    load,
    recording_path,
    vector_name,
)
from agentkit.scenarios.stage import Cast

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

_MOST_LINES: Final = 40
_AGAIN: Final = (
    "The bot, its prompts or agentkit changed since the recording was made. "
    "See what changes: agentkit record BOT NAME --from NAME --live"
)


def replayed_cast(file: ScenarioFile) -> Cast:
    """The models of a recording, for playing its scenario; no weights are needed.

    Raises:
        BotFileError: The scenario has no recording, or it is damaged.
    """
    recording, vectors = load(recording_path(file.path))
    return Cast(
        generator=ReplayedGenerator(recording, vectors),
        encoder=ReplayedEncoder(recording, vectors),
        own_caches=True,
        started=recording.started,
    )


class ReplayedGenerator:
    """Implements `Generator` and `StateReader` from a recording.

    Args:
        recording: What was said.
        vectors: Its vectors.
    """

    def __init__(self, recording: Recording, vectors: Mapping[str, Vectors]) -> None:
        self.name = recording.generator
        self.context_length = recording.context_length
        self._recording = recording
        self._vectors = vectors
        self._played: Counter[str] = Counter()

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`."""
        count = self._recording.counts.get(count_key(messages, tools))
        if count is None:
            asked = asked_lines(GenerationRequest(messages, tools))
            raise self._missed("the length of a prompt", asked, "generate")
        return count

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`."""
        answer = self._answer(request, "generate")
        assert answer.reply is not None
        yield TextChunk(answer.text)
        yield Finished(
            answer.reply, answer.text, answer.finish, Usage(*answer.tokens), answer.log_probabilities
        )

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`."""
        return self._answer(request, "choose").log_probabilities

    def state(self, request: StateRequest) -> Vectors:
        """See `StateReader`."""
        self._answer(request, "state")
        return self._vectors[f"state-{key_of(request)}"]

    def close(self) -> None:
        """See `Generator`."""

    def _answer(self, request: Request, kind: str) -> Answer:
        key = key_of(request)
        answers = self._recording.answers.get(key)
        if answers is None:
            raise self._missed(f"a request ({kind})", asked_lines(request), kind)
        answer = answers[min(self._played[key], len(answers) - 1)]
        self._played[key] += 1
        return answer

    def _missed(self, what: str, asked: Sequence[str], kind: str) -> RecordingMissed:
        recorded = [a for answers in self._recording.answers.values() for a in answers if a.kind == kind]
        nearest = max(recorded, key=lambda each: _likeness(each.asked, asked), default=None)
        if nearest is None:
            return RecordingMissed(
                f"{what} is not in the recording, which has none of this kind", hint=_AGAIN
            )
        lines = list(difflib.unified_diff(nearest.asked, asked, "recorded", "asked now", n=1, lineterm=""))
        more = f"\n… and {len(lines) - _MOST_LINES} more lines" if len(lines) > _MOST_LINES else ""
        shown = "\n".join(lines[:_MOST_LINES]) or "the same words; tools or their schemas differ"
        return RecordingMissed(
            f"{what} is not in the recording; the nearest one:\n{shown}{more}", hint=_AGAIN
        )


class ReplayedEncoder:
    """Implements `Encoder` from a recording.

    Args:
        recording: What was embedded.
        vectors: Its vectors.
    """

    def __init__(self, recording: Recording, vectors: Mapping[str, Vectors]) -> None:
        self.id = recording.encoder
        self.dimension = recording.dimension
        self._texts = recording.texts
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder`."""
        rows = [self._vector(text) for text in texts]
        return numpy.stack(rows) if rows else numpy.zeros((0, self.dimension), numpy.float32)

    def close(self) -> None:
        """See `Encoder`."""

    def _vector(self, text: str) -> Vectors:
        vector = self._vectors.get(vector_name(text))
        if vector is None:
            near = difflib.get_close_matches(text, list(self._texts.values()), n=1, cutoff=0.0)
            nearest = f"; the nearest that is: {near[0][:400]!r}" if near else ""
            raise RecordingMissed(
                f"the vector of {text[:400]!r} is not in the recording{nearest}", hint=_AGAIN
            )
        return vector


def _likeness(recorded: Sequence[str], asked: Sequence[str]) -> float:
    # The end of a prompt tells two apart: the beginning is the same in all.
    return difflib.SequenceMatcher(None, "\n".join(recorded[-30:]), "\n".join(asked[-30:])).ratio()
