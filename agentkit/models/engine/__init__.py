"""The engine: a model's forward pass, what is kept between passes, and how many requests share them."""

from agentkit.models.engine.adapters import Adapter
from agentkit.models.engine.drafts import EarlierReplies
from agentkit.models.engine.engine import Engine, Network
from agentkit.models.engine.job import Job, Limits, Work
from agentkit.models.engine.network import DecoderNetwork
from agentkit.models.engine.prefix_tree import shared_length
from agentkit.models.engine.reply import Reply, Step
from agentkit.models.engine.sampling import Chooser
from agentkit.models.engine.scoring import Reading, Scoring

__all__ = [
    "Adapter",
    "Chooser",
    "DecoderNetwork",
    "EarlierReplies",
    "Engine",
    "Job",
    "Limits",
    "Network",
    "Reading",
    "Reply",
    "Scoring",
    "Step",
    "Work",
    "shared_length",
]
