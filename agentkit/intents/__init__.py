"""What a message wants: a linear head on the encoder's vector, and a calibrated "none of these"."""

from agentkit.intents.cache import train_cached
from agentkit.intents.evaluation import Evaluated, IntentScores, evaluate, score
from agentkit.intents.examples import AnsweredBy, Binding, IntentExample, IntentFile, load_examples
from agentkit.intents.model import IntentModel, Prediction, TrainingFigures
from agentkit.intents.rows import read_rows
from agentkit.intents.training import train
from agentkit.intents.tuned_training import train_tuned

__all__ = [
    "AnsweredBy",
    "Binding",
    "Evaluated",
    "IntentExample",
    "IntentFile",
    "IntentModel",
    "IntentScores",
    "Prediction",
    "TrainingFigures",
    "evaluate",
    "load_examples",
    "read_rows",
    "score",
    "train",
    "train_cached",
    "train_tuned",
]
