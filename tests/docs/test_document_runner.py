"""The runner of documents: a document that does not hold what it says fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT
from tests.docs.blocks import DocumentError, console_commands, read_blocks, same_output, shell_commands
from tests.docs.document_runner import Reader

Follow = Callable[[str], int]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    """Follows a document in a copy of the repository's Makefile and licence."""
    with Reader(ROOT, ["LICENSE", "Makefile"], tmp_path, seconds=20) as reader:
        yield lambda markdown: reader.follow("README.md", markdown)


def test_a_document_that_holds_what_it_says_passes(follow: Follow) -> None:
    document = """
# A shop

```yaml title=bots/shop.yaml
name: shop
```

```bash
cd bots   # where the file is
export GREETING="good day"
grep -c shop shop.yaml
cat > more.txt <<END
two
lines
END
test "$(wc -l < more.txt)" -eq 2
make help && make setup demo
```

```console
$ echo "$GREETING" && pwd | sed 's/.*copy/~/'
good day
~/bots
$ printf 'took 12 ms\\nend\\n'
took … ms
end
```

```python
total = 40
```

```python
from pathlib import Path

total += 2
print(f"answer: {total}", Path("bots/shop.yaml").read_text())
```

```text
answer: 42 name: shop
```
"""
    assert follow(document) == 6


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (
            "```bash\ntrue\ncat missing.txt\n```",
            "README.md:3: `cat missing.txt` ended with 1:\ncat: missing.txt",
        ),
        ("```bash\nmake no-such-word\n```", "No rule to make target"),
        ("```console\n$ echo one\ntwo\n```", "`echo one` prints\none"),
        ("```console\necho one\n```", "begins with output"),
        ("```python\nraise ValueError('no')\n```", "ValueError: no"),
        ("```python\nx = = 1\n```", "SyntaxError"),
        ("```python\nraise SystemExit(3)\n```", "the Python fails"),
        ("```python\nimport os; os._exit(0)\n```", "Python crashed"),
        ("```python\nprint(1)\n```\n```text\n2\n```", "README.md:6: the block above prints\n1"),
        ("```text\nan output of nothing\n```", "README.md:3: nothing is known to do with"),
        ("```fortran\nPRINT *\n```", "language 'fortran'"),
        ("```\nno language\n```", "language ''"),
        ("```yaml\nname: shop\n```", "language 'yaml'"),
        ("```yaml title=../outside.yaml\nname: shop\n```", "lies outside"),
        ("```yaml title=new.yaml at=end\nname: shop\n```", "there is no new.yaml to add anything to"),
        ("```text title=a\nb\n```\n```text title=a below=c\nd\n```", "a has no line 'c'"),
        ("```python\nprint(1)\n", "README.md:3: the block is not closed"),
    ],
)
def test_a_document_that_does_not_hold_what_it_says_fails(
    tmp_path: Path, follow: Follow, block: str, said: str
) -> None:
    with pytest.raises(DocumentError) as failure:
        follow(f"# A shop\n\n{block}")
    assert said in str(failure.value)


def test_what_a_document_adds_to_a_file_goes_to_its_place(follow: Follow) -> None:
    whole = "```text title=a.txt\none\nfour\n```\n"
    added = "```text title=a.txt below=one\ntwo\nthree\n```\n```text title=a.txt at=end\nfive\n```\n"
    follow(f"{whole}{added}```console\n$ cat a.txt\none\ntwo\nthree\nfour\nfive\n```")


@pytest.mark.parametrize(
    "block", ["```bash\nsleep 60 | cat\n```", "```python\nimport time; time.sleep(60)\n```"]
)
def test_a_block_without_an_end_is_ended(tmp_path: Path, block: str) -> None:
    with Reader(ROOT, [], tmp_path, seconds=0.5) as reader, pytest.raises(DocumentError, match=r"0\.5 s"):
        reader.follow("README.md", block)


def test_a_package_is_installed_beside_the_virtual_environment(tmp_path: Path, follow: Follow) -> None:
    document = """
```toml title=greeting/pyproject.toml
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "greeting"
version = "1"
```

```python title=greeting/greeting.py
WORD = "hello"
```

```console
$ source .venv/bin/activate && pip install ./greeting && python -c 'import greeting; print(greeting.WORD)'
hello
```
"""
    assert follow(document) == 3
    assert (tmp_path / "installed" / "greeting.py").is_file()


def test_a_command_of_the_virtual_environment_needs_its_activation(follow: Follow) -> None:
    with pytest.raises(DocumentError, match="ruff"):
        follow("```bash\nruff --version\n```")
    assert (
        follow("```bash\nsource .venv/bin/activate\nruff --version\n```\n\n```bash\nruff --version\n```") == 2
    )


def test_an_indented_block_loses_its_indent() -> None:
    (block,) = read_blocks("x.md", "1. Do:\n\n   ```bash\n   echo one\n   ```\n")
    assert block.text == "echo one\n"


def test_a_longer_fence_may_hold_a_shorter_one() -> None:
    (block,) = read_blocks("x.md", "````markdown title=a.md\n```bash\nls\n```\n````\n")
    assert (block.language, block.options, block.text) == (
        "markdown",
        {"title": "a.md"},
        "```bash\nls\n```\n",
    )


def test_a_command_may_go_on_over_several_lines() -> None:
    assert [command.text for command in shell_commands("a \\\n  --b\n\n# no\nc\n")] == ["a \\\n  --b", "c"]
    (command,) = console_commands("$ for x in 1 2; do\n>   echo $x\n> done\n1\n2\n")
    assert (command.text, command.output) == ("for x in 1 2; do\n  echo $x\ndone", "1\n2")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("one", "one  \n", True),
        ("one", "two", False),
        ("took … ms", "took 12 ms", True),
        ("took … ms", "took 12 ms\nmore", False),
        ("a\n…\nz", "a\nb\nc\nz", True),
        ("a\n…\nz", "a\nz", True),
        ("a\n…", "a", True),
        ("…\nz", "a\nz", True),
        ("…", "", True),
        ("a.b", "axb", False),
    ],
)
def test_an_ellipsis_stands_for_anything(shown: str, printed: str, same: bool) -> None:
    assert same_output(shown, printed) is same
