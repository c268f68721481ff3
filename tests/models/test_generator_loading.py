"""From a folder of files to a generator: a model of a few thousand weights, saved as a real one is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ConfigurationError, ModelRefused
from agentkit.messages import ToolSpec, user
from agentkit.models import load_generator
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import CallTools, Finished, GenerationRequest
from tests.models.small_tokenizers import byte_level_json

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PING = ToolSpec(name="ping", description="", parameters={"type": "object", "properties": {}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=448,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=777,
        bos_token_id=None,
        eos_token_id=0,
    )
    path = tmp_path / "tiny"
    Qwen2ForCausalLM(config).save_pretrained(path)
    (path / "tokenizer.json").write_text(byte_level_json(), "utf-8")
    write(path / "tokenizer_config.json", {"eos_token": {"content": "<|im_end|>"}, "chat_template": TEMPLATE})
    write(path / "generation_config.json", {"eos_token_id": [0, 2]})
    return path


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), "utf-8")


def load(folder: Path, **options: Any) -> LocalGenerator:
    generator = load_generator(str(folder), **options)
    assert isinstance(generator, LocalGenerator)
    return generator


def test_a_folder_becomes_a_generator_that_calls(folder: Path) -> None:
    generator = load(folder)
    assert generator.context_length == 777
    assert generator.dialect.name == "plain"
    request = GenerationRequest(messages=[user("hi")], tools=[PING], constraint=CallTools(allow_text=False))
    *_, last = generator.generate(request)
    assert isinstance(last, Finished)
    assert [call.name for call in last.reply.calls] == ["ping"]


@pytest.mark.parametrize(
    ("template", "dialect"),
    [
        ("<tool_call> " + TEMPLATE, "hermes"),
        ("SmolLM " + TEMPLATE, "smollm"),
        ([{"name": "tools", "template": "x"}, {"name": "default", "template": "<tool_call>"}], "hermes"),
        (None, "plain"),
    ],
)
def test_the_dialect_comes_from_the_template(folder: Path, template: Any, dialect: str) -> None:
    write(folder / "tokenizer_config.json", {"eos_token": "<|im_end|>", "chat_template": template})
    assert load(folder).dialect.name == dialect


def test_the_template_may_be_a_file_of_its_own(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("<tool_call> " + TEMPLATE, "utf-8")
    assert load(folder).dialect.name == "hermes"


def test_a_model_that_never_ends_a_reply_is_refused(folder: Path) -> None:
    write(folder / "tokenizer_config.json", {})
    write(folder / "generation_config.json", {})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    write(folder / "config.json", {**config, "eos_token_id": None})
    with pytest.raises(ModelRefused, match="which token ends a reply"):
        load(folder)


def test_a_chat_template_that_cannot_be_used_is_refused(folder: Path) -> None:
    write(folder / "tokenizer_config.json", {"chat_template": "{{ raise_exception('no') }}"})
    with pytest.raises(ModelRefused, match="chat template"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "no JSON"])
def test_a_damaged_settings_file_is_refused_by_name(folder: Path, text: str) -> None:
    (folder / "generation_config.json").write_text(text, "utf-8")
    with pytest.raises(ModelRefused, match="generation_config"):
        load(folder)


def test_a_missing_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelRefused, match=r"tokenizer\.json"):
        load(folder)


def test_the_number_format_can_be_chosen(folder: Path) -> None:
    assert load(folder, dtype="float32").count_tokens([user("hi")]) == load(
        folder, dtype="auto"
    ).count_tokens([user("hi")])
    with pytest.raises(ConfigurationError, match="float12"):
        load(folder, dtype="float12")
