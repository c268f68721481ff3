"""A generator that runs a transformers causal language model in this process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agentkit.errors import ConfigurationError, ConstraintUnmet, ContextOverflow, ModelRefused
from agentkit.messages import Assistant, Message, ToolSpec, assistant
from agentkit.models.constraints import ConstraintCompiler
from agentkit.models.decode import Step
from agentkit.models.dialects import Dialect, choose_dialect, encode, text
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Delta,
    Finished,
    FreeText,
    GenerationRequest,
    ReplyStart,
    TextChunk,
    Usage,
)
from agentkit.models.tokens import Detokenizer, TokenCodec, load_codec

if TYPE_CHECKING:
    import torch

    from agentkit.models.decode import PrefixCache


class ModelFolder(Protocol):
    """What `TransformersGenerator.load` needs to know of a resolved model."""

    @property
    def path(self) -> Path:
        """Folder with config.json, tokenizer.json and safetensors."""
        ...

    @property
    def name(self) -> str:
        """The reference it was resolved from."""
        ...

    @property
    def dialect(self) -> str | None:
        """Dialect named by the catalogue; None to recognise it."""
        ...

    @property
    def context_length(self) -> int | None:
        """Most tokens of prompt and reply; None to take the model's own limit."""
        ...


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
        from agentkit.models.decode import PrefixCache

        self.name = name
        self.context_length = context_length
        self.dialect = dialect
        self.codec = codec
        self._end_ids = tuple(end_ids)
        self._constraints = ConstraintCompiler(codec, dialect, self._end_ids)
        self._cache: PrefixCache | None = PrefixCache(model)

    @classmethod
    def load(cls, folder: ModelFolder, *, dtype: str = "auto") -> TransformersGenerator:
        """Load a resolved model folder.

        Args:
            folder: Where it is and what is known of it.
            dtype: `bfloat16`, `float32`, or `auto`: bfloat16 where the processor computes with it.

        Raises:
            ModelRefused: Files that are missing, damaged or not loaded on principle.
        """
        from transformers import AutoModelForCausalLM

        settings = _Settings(folder.path)
        model = AutoModelForCausalLM.from_pretrained(
            folder.path,
            dtype=_dtype(dtype),
            attn_implementation="sdpa",
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
        ).eval()
        codec = load_codec(
            settings.text("tokenizer.json"),
            where=str(folder.path / "tokenizer.json"),
            size=model.config.get_text_config().vocab_size,
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
                f"the prompt has {len(prompt)} tokens, the context window of {self.name} {self.context_length}",
                hint="Shorten the system prompt, the history or the tool descriptions.",
            )
        matcher = self._constraints.matcher(request.constraint, request.tools)
        limits = Limits(min(request.max_tokens, room), request.deadline, request.cancel)
        work = Work()
        reply = _Reply(self.codec)
        for step in decode(
            self._open_cache(),
            prompt,
            matcher,
            end_ids=self._end_ids,
            sampling=request.sampling,
            limits=limits,
            work=work,
        ):
            chunk = reply.add(step)
            if chunk:
                yield TextChunk(chunk)
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
        from agentkit.models.decode import Work, score_options

        prompt = self._prompt(request.messages, request.tools, request.prefix)
        options = [self._option(option) for option in request.options]
        longest = max(map(len, options), default=0)
        if len(prompt) + longest > self.context_length:
            raise ContextOverflow(
                f"the question has {len(prompt)} tokens, the context window of {self.name} {self.context_length}",
                hint="Shorten what is asked about.",
            )
        return tuple(score_options(self._open_cache(), prompt, options, work=Work()))

    def close(self) -> None:
        """See `Generator`."""
        self._cache = None

    def _open_cache(self) -> PrefixCache:
        if self._cache is None:
            raise RuntimeError(f"the generator {self.name} has been closed")
        return self._cache

    def _prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec], prefix: str) -> list[int]:
        segments = self.dialect.render(messages, tools)
        return encode([*segments, text(prefix)] if prefix else segments, self.codec)

    def _option(self, option: str | ReplyStart) -> list[int]:
        if isinstance(option, ReplyStart):
            return encode(self.dialect.calls.opening[:1], self.codec)
        ids = self.codec.encode_text(option)
        if not ids:
            raise ValueError("an option must not be empty")
        return list(ids)

    def _finished(self, request: GenerationRequest, reply: _Reply, usage: Usage) -> Finished:
        finish, raw = reply.last.finish, reply.text
        assert finish is not None
        if isinstance(request.constraint, FreeText):
            return Finished(self._kept(assistant(raw), reply), raw, finish, usage)
        if finish == "length" and not reply.last.complete:
            raise ConstraintUnmet(
                f"the reply did not satisfy its constraint within {usage.generated_tokens} tokens",
                hint="Allow more tokens, or bound the lengths of strings and lists in the schema.",
            )
        if not isinstance(request.constraint, CallTools):
            return Finished(self._kept(assistant(raw), reply), raw, finish, usage)
        # Text is complete at every token, so what is interrupted and incomplete is half a call.
        parsed = self.dialect.parse(raw) if reply.last.complete else assistant()
        return Finished(self._kept(parsed, reply), raw, finish, usage)

    def _kept(self, parsed: Assistant, reply: _Reply) -> Assistant:
        """`parsed`, with the ids of the reply remembered, so that the next prompt repeats them."""
        if reply.last.finish == "stop":
            self.codec.remember_reply(reply.ids)
        return parsed


class _Reply:
    """The reply as it grows."""

    def __init__(self, codec: TokenCodec) -> None:
        self.ids: list[int] = []
        self.forced = 0
        self.text = ""
        self.last = Step()
        self._detokenizer = Detokenizer(codec)

    def add(self, step: Step) -> str:
        self.ids += step.tokens
        self.forced += step.forced
        self.last = step
        chunk = self._detokenizer.push(step.tokens)
        if step.finish:
            chunk += self._detokenizer.flush()
        self.text += chunk
        return chunk


class _Settings:
    """The small files beside the weights."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = self._json("config.json")
        self._tokenizer = self._json("tokenizer_config.json", optional=True)

    def text(self, name: str) -> str:
        """The text of a file.

        Raises:
            ModelRefused: It is missing or no UTF-8.
        """
        path = self._folder / name
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelRefused(
                f"{path} cannot be read: {error}",
                hint="The folder has to hold config.json, tokenizer.json and safetensors; fetch the model again.",
            ) from error

    @property
    def chat_template(self) -> str | None:
        """The model's chat template: a file of its own, or a field of the tokenizer's settings."""
        if (self._folder / "chat_template.jinja").exists():
            return self.text("chat_template.jinja")
        template = self._tokenizer.get("chat_template")
        if isinstance(template, list):  # several by name
            template = next((t["template"] for t in template if t.get("name") == "default"), None)
        return template

    @property
    def special_tokens(self) -> dict[str, str]:
        """Special tokens by the names that chat templates use."""
        found: dict[str, str] = {}
        for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
            value = self._tokenizer.get(name)
            value = value.get("content") if isinstance(value, dict) else value
            found[name] = value if isinstance(value, str) else ""
        return found

    @property
    def longest_context(self) -> int:
        """What the model was trained for."""
        text_config = self._config.get("text_config", self._config)
        return int(text_config.get("max_position_embeddings") or text_config.get("n_positions") or 2048)

    def end_ids(self, codec: TokenCodec, dialect: Dialect) -> tuple[int, ...]:
        """Tokens that end a reply: the dialect's, the generation settings' and the tokenizer's.

        Raises:
            ModelRefused: There is none, so that no reply would ever end.
        """
        names = [*dialect.end_tokens, self.special_tokens["eos_token"]]
        found = [codec.control_id(name) for name in names]
        for settings in (self._json("generation_config.json", optional=True), self._config):
            ids = settings.get("eos_token_id")
            found += ids if isinstance(ids, list) else [ids]
        unique = tuple(dict.fromkeys(token for token in found if isinstance(token, int)))
        if not unique:
            raise ModelRefused(
                f"{self._folder} does not say which token ends a reply",
                hint="Add `eos_token_id` to generation_config.json.",
            )
        return unique

    def _json(self, name: str, *, optional: bool = False) -> dict[str, Any]:
        if optional and not (self._folder / name).exists():
            return {}
        try:
            value = json.loads(self.text(name))
        except ValueError as error:
            raise ModelRefused(
                f"{self._folder / name} is not JSON: {error}", hint="Fetch the model again."
            ) from error
        return value if isinstance(value, dict) else {}


def _dtype(name: str) -> torch.dtype:
    import torch

    if name == "auto":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if fast else torch.float32
    known = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    if name not in known:
        raise ConfigurationError(
            f"{name!r} is no number format for weights", hint="auto, bfloat16 or float32."
        )
    return known[name]
