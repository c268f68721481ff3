"""What a message wants: a linear head on the encoder's vector, and a calibrated "none of these"."""

from agentkit.intents.cache import train_cached
from agentkit.intents.examples import AnsweredBy, Binding, IntentExample, IntentFile, load_examples
from agentkit.intents.model import IntentModel, Prediction, TrainingFigures
from agentkit.intents.training import train

__all__ = [
    "AnsweredBy",
    "Binding",
    "IntentExample",
    "IntentFile",
    "IntentModel",
    "Prediction",
    "TrainingFigures",
    "load_examples",
    "train",
    "train_cached",
]
