"""Small real models, wheels and package indexes for the tests of the weights."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gguf
import numpy
from numpy.typing import NDArray

from agentkit.models.catalogue import CatalogueEntry, JoinedFile, Wheel, WheelFile

LAYERS, HEADS, GROUPS, WIDTH, INNER = 2, 4, 2, 64, 96
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


class RecordingProgress:
    """Keeps what it was told: a list of [label, total, sum of what was advanced]."""

    def __init__(self) -> None:
        self.tasks: list[list[Any]] = []
        self.open = False

    def start(self, label: str, total: int, unit: str) -> None:
        assert not self.open, "tasks do not nest"
        self.open = True
        self.tasks.append([label, total, 0])

    def advance(self, amount: int) -> None:
        self.tasks[-1][2] += amount

    def finish(self) -> None:
        self.open = False

    @property
    def labels(self) -> list[str]:
        return [task[0] for task in self.tasks]


def byte_level_alphabet() -> list[str]:
    """The 256 characters that byte-level BPE writes bytes with (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [256 + i for i in range(256 - len(plain))]
    names = dict(zip(plain, plain, strict=True))
    names |= dict(zip((b for b in range(256) if b not in names), others, strict=True))
    return [chr(names[byte]) for byte in range(256)]


def tokenizer_metadata(splitting: str = "qwen2") -> dict[str, Any]:
    """Vocabulary of a GGUF file: bytes, one merge, control tokens, a tool token, two rows of padding."""
    tokens = [*byte_level_alphabet(), "he"]
    kinds = [1] * len(tokens)
    tokens += [*CONTROL, "<tool_call>", "[PAD261]", "[PAD262]"]
    kinds += [3, 3, 3, 4, 5, 5]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": splitting,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": ["h e"],
        "tokenizer.ggml.bos_token_id": tokens.index("<|endoftext|>"),
        "tokenizer.ggml.eos_token_id": tokens.index("<|im_end|>"),
        "tokenizer.ggml.padding_token_id": tokens.index("<|endoftext|>"),
        "tokenizer.chat_template": "{{ messages }}",
    }


def random_weights(architecture: str, *, tied: bool, seed: int = 0) -> dict[str, NDArray[numpy.float32]]:
    """Weights of a small model under the names that transformers gives them."""
    random = numpy.random.default_rng(seed)
    vocabulary = len(tokenizer_metadata()["tokenizer.ggml.tokens"])
    narrow = WIDTH // HEADS * GROUPS
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    if not tied:
        shapes["lm_head.weight"] = (vocabulary, WIDTH)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.input_layernorm.weight": (WIDTH,),
            f"{at}.post_attention_layernorm.weight": (WIDTH,),
            f"{at}.self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"{at}.self_attn.k_proj.weight": (narrow, WIDTH),
            f"{at}.self_attn.v_proj.weight": (narrow, WIDTH),
            f"{at}.self_attn.o_proj.weight": (WIDTH, WIDTH),
            f"{at}.mlp.gate_proj.weight": (INNER, WIDTH),
            f"{at}.mlp.up_proj.weight": (INNER, WIDTH),
            f"{at}.mlp.down_proj.weight": (WIDTH, INNER),
        }
        if architecture == "qwen2":
            shapes |= {
                f"{at}.self_attn.q_proj.bias": (WIDTH,),
                f"{at}.self_attn.k_proj.bias": (narrow,),
                f"{at}.self_attn.v_proj.bias": (narrow,),
            }
    return {name: random.normal(0, 0.1, shape).astype(numpy.float32) for name, shape in shapes.items()}


def llama_cpp_name(name: str) -> str:
    """The name that llama.cpp gives to a tensor of transformers."""
    outside = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    inside = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    stem, _, kind = name.rpartition(".")
    if stem in outside:
        return f"{outside[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{inside[part]}.{kind}"


def interleaved(values: NDArray[numpy.float32], heads: int) -> NDArray[numpy.float32]:
    """What llama.cpp's converter does to the query and key matrices of Llama models."""
    shape = values.shape
    halves = values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:])
    result: NDArray[numpy.float32] = numpy.ascontiguousarray(halves.swapaxes(1, 2).reshape(shape))
    return result


def write_gguf(
    path: Path,
    architecture: str,
    weights: Mapping[str, NDArray[numpy.float32]],
    *,
    splitting: str = "qwen2",
    quantized: Sequence[str] = (),
) -> None:
    """Write a GGUF file as llama.cpp's converter does; tensors named in `quantized` become Q8_0."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    vocabulary = tokenizer_metadata(splitting)
    writer.add_tokenizer_model(vocabulary["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(vocabulary["tokenizer.ggml.pre"])
    writer.add_token_list(vocabulary["tokenizer.ggml.tokens"])
    writer.add_token_types(vocabulary["tokenizer.ggml.token_type"])
    writer.add_token_merges(vocabulary["tokenizer.ggml.merges"])
    writer.add_bos_token_id(vocabulary["tokenizer.ggml.bos_token_id"])
    writer.add_eos_token_id(vocabulary["tokenizer.ggml.eos_token_id"])
    writer.add_pad_token_id(vocabulary["tokenizer.ggml.padding_token_id"])
    writer.add_chat_template(vocabulary["tokenizer.chat_template"])
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, values in weights.items():
        stored = values
        if architecture == "llama" and ".q_proj." in name:
            stored = interleaved(values, HEADS)
        if architecture == "llama" and ".k_proj." in name:
            stored = interleaved(values, GROUPS)
        if name in quantized:
            writer.add_tensor(llama_cpp_name(name), gguf.quantize(stored, kind), raw_dtype=kind)
        else:
            writer.add_tensor(llama_cpp_name(name), stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_wheel(folder: Path, package: str, version: str, files: Mapping[str, bytes]) -> Path:
    """Write a pure wheel with the given files."""
    stem = package.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    content = dict(files)
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode()
    content[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    rows = []
    for name, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}")
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def split_model(folder: Path, wheels: Path, *, parts: int = 2) -> CatalogueEntry:
    """Make a small generator, cut its GGUF file into parts, put each into a wheel, and describe it all.

    Args:
        folder: Where the GGUF file is written.
        wheels: Where the wheels are written.
        parts: How many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "small.gguf"
    weights = random_weights("qwen2", tied=False)
    # One byte a weight here and two once it is unpacked, as with real models.
    matrices = [name for name, values in weights.items() if values.ndim == 2]
    write_gguf(source, "qwen2", weights, quantized=matrices)
    data = source.read_bytes()
    step = -(-len(data) // parts)
    described = []
    for number in range(parts):
        part = data[number * step : (number + 1) * step]
        member = f"small_part{number}/data/part{number}.bin"
        write_wheel(wheels, f"small-part{number}", "1.0", {member: part})
        file = WheelFile(member=member, size=len(part), sha256=sha256(part))
        described.append(Wheel(package=f"small-part{number}", version="1.0", files=(file,)))
    return CatalogueEntry(
        name="small",
        kind="generator",
        title="Small",
        origin="https://example.org/small",
        licence="Apache-2.0",
        context_length=512,
        installed_size=200_000,
        description="A model for tests.",
        dialect="hermes",
        gguf=JoinedFile(size=len(data), sha256=sha256(data)),
        wheels=tuple(described),
    )


def whole_model(wheels: Path, files: Mapping[str, bytes]) -> CatalogueEntry:
    """A catalogue entry of one wheel with files that are kept as they are."""
    write_wheel(
        wheels, "small-encoder", "1.0", {f"small_encoder/model/{name}": data for name, data in files.items()}
    )
    described = tuple(
        WheelFile(member=f"small_encoder/model/{name}", path=name, size=len(data), sha256=sha256(data))
        for name, data in files.items()
    )
    return CatalogueEntry(
        name="small-encoder",
        kind="encoder",
        title="Small encoder",
        origin="https://example.org/small-encoder",
        licence="Apache-2.0",
        context_length=64,
        installed_size=1000,
        description="An encoder for tests.",
        wheels=(Wheel(package="small-encoder", version="1.0", files=described),),
    )


def write_safetensors(path: Path, shapes: Mapping[str, Sequence[int]]) -> None:
    """A safetensors file of zeros."""
    from safetensors.numpy import save_file

    save_file({name: numpy.zeros(shape, numpy.float32) for name, shape in shapes.items()}, path)


def generator_folder(folder: Path) -> Path:
    """A folder that looks like a generator's, with a few bytes of weights."""
    folder.mkdir(parents=True)
    config = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "max_position_embeddings": 128}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    write_safetensors(folder / "model.safetensors", {"lm_head.weight": (4, 4)})
    return folder


class IndexServer:
    """A package index on this machine that counts what it is asked for, and can be slow.

    Args:
        wheels: The folder it serves.
    """

    def __init__(self, wheels: Path) -> None:
        self.requested: list[str] = []
        self.slow: str = ""
        """Part of the name of a wheel that is sent a few bytes at a time."""
        self.reached_slow = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rstrip("/").rpartition("/")[2]
                if name.endswith(".whl"):
                    outer.requested.append(name)
                    body, kind = (wheels / name).read_bytes(), "application/octet-stream"
                else:
                    stem = name.replace("-", "_")
                    links = [f'<a href="/files/{p.name}">{p.name}</a>' for p in wheels.glob(f"{stem}-*.whl")]
                    body, kind = "".join(links).encode(), "text/html"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    if outer.slow and outer.slow in name:
                        self.wfile.write(body[: len(body) // 2])
                        self.wfile.flush()
                        outer.reached_slow.set()
                        while outer.slow:
                            time.sleep(0.02)
                        self.wfile.write(body[len(body) // 2 :])
                    else:
                        self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/simple"

    @contextmanager
    def running(self) -> Iterator[IndexServer]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.slow = ""
            self._server.shutdown()
            self._server.server_close()
            thread.join()
