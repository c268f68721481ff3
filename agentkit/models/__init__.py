"""Models: what writes (generators), what embeds (encoders), and how their weights are found."""

from agentkit.models.describe import ModelSummary, model_summaries, model_summary, verify_weights
from agentkit.models.lazy_generator import LazyGenerator
from agentkit.models.load import load_encoder, load_generator, load_generator_lazily
from agentkit.models.protocols import Encoder, Generator

__all__ = [
    "Encoder",
    "Generator",
    "LazyGenerator",
    "ModelSummary",
    "load_encoder",
    "load_generator",
    "load_generator_lazily",
    "model_summaries",
    "model_summary",
    "verify_weights",
]
