"""The benchmark: a support conversation that is measured with agentkit alone, or with others beside it.

`agentkit bench` runs it in one process; `make bench` (`benchmarks/compare.py`) starts agentkit and each of its peers
as a process of its own and compares them.
"""

from agentkit.models.bench.engine import AGENTKIT, Answer, Engine, OwnEngine, Timed
from agentkit.models.bench.report import LeftOut, ModelReport, Report
from agentkit.models.bench.run import LETTERS, Opener, Plan, measure

__all__ = [
    "AGENTKIT",
    "LETTERS",
    "Answer",
    "Engine",
    "LeftOut",
    "ModelReport",
    "Opener",
    "OwnEngine",
    "Plan",
    "Report",
    "Timed",
    "measure",
]
