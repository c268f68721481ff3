"""Do plain questions find the article that answers them? With and without its `Also asked:` lines.

    python -m benchmarks.support_bot_search [BOT] [--questions FILE.tsv]

A line of the file: the question, a tab, `DOCUMENT#LAST HEADING` of what answers it (several: `;` between them). The
questions are cut into halves by their hash, so that what is chosen on one can be looked at on the other.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import tempfile
from pathlib import Path

from agentkit.bot.config import load_config
from agentkit.bot.load import knowledge_sources
from agentkit.events import PassageFound
from agentkit.knowledge import KnowledgeIndex
from agentkit.models import load_encoder
from agentkit.models.protocols import Encoder
from agentkit.ranking import ndcg, recall
from agentkit.store.sqlite_store import SqliteStore


def main() -> None:
    """Measure and print a line for each half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bot", nargs="?", type=Path, default=Path("examples/support_bot"))
    parser.add_argument(
        "--questions", type=Path, default=Path(__file__).with_name("support_bot_questions.tsv")
    )
    arguments = parser.parse_args()
    config = load_config(arguments.bot)
    sources = knowledge_sources(arguments.bot, config)
    questions = [line.split("\t") for line in arguments.questions.read_text(encoding="utf-8").splitlines()]
    encoder = load_encoder(config.encoder)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        _without_asked(sources, plain)
        for name, documents in (("without `Also asked:`", [plain]), ("as it is", sources)):
            rankings = _rankings(documents, encoder, [question for question, _ in questions])
            for half in (0, 1):
                rows = [
                    (ranking, dict.fromkeys(answers.split(";"), 1.0))
                    for ranking, (question, answers) in zip(rankings, questions, strict=True)
                    if int(hashlib.sha256(question.encode()).hexdigest(), 16) % 2 == half
                ]
                scores = {
                    "nDCG@10": [ndcg(ranking, right, 10) for ranking, right in rows],
                    "recall@4": [recall(ranking, right, 4) for ranking, right in rows],
                    "first": [float(ranking[0] in right) for ranking, right in rows],
                }
                said = ", ".join(f"{each} {sum(v) / len(v):.3f}" for each, v in scores.items())
                print(f"{name}, half {half} ({len(rows)} questions): {said}")


def _without_asked(sources: list[Path], folder: Path) -> None:
    for source in sources:
        for path in source.rglob("*.md"):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(re.sub(r"(?m)^Also asked:.*\n", "", path.read_text(encoding="utf-8")))


def _rankings(sources: list[Path], encoder: Encoder, questions: list[str]) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder, SqliteStore.open(Path(folder) / "knowledge.db") as store:
        knowledge = KnowledgeIndex(store.knowledge("benchmark"), encoder)
        knowledge.sync(sources)
        vectors = encoder.encode(questions)
        return [
            list(dict.fromkeys(map(_place, knowledge.search(vector, question, 100))))
            for question, vector in zip(questions, vectors, strict=True)
        ]


def _place(passage: PassageFound) -> str:
    return f"{passage.document}#{passage.heading.rpartition(' › ')[2]}"


if __name__ == "__main__":
    main()
