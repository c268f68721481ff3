"""Every mistake in a YAML file is reported with its file, line and field."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentkit.errors import BotFileError
from agentkit.yaml_files import load_yaml, read_yaml


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Say(Closed):
    kind: Literal["say"]
    text: str


class Wait(Closed):
    kind: Literal["wait"]
    seconds: float


class Person(Closed):
    name: str
    age: int = 0
    nick_names: tuple[str, ...] = ()


class Example(Closed):
    name: str
    steps: list[Annotated[Say | Wait, Field(discriminator="kind")]] = []
    people: dict[str, Person] = {}
    owner: Person | None = None
    active: bool = True

    @model_validator(mode="after")
    def _has_a_short_name(self) -> Example:
        if len(self.name) > 20:
            raise ValueError("The name is too long for the screen")
        return self


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "example.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def failure(folder: Path, content: str | bytes) -> BotFileError:
    with pytest.raises(BotFileError) as caught:
        load_yaml(write(folder, content), Example)
    assert str(folder / "example.yaml") in caught.value.message
    return caught.value


def test_a_right_file_becomes_a_value(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """# a comment
name: Ünal's shop
active: false
people:
  1042: {name: "no", age: 41, nick_names: [no, on, 12:30, 2026-01-31, "5", 0x1F-a, ~x]}
steps:
  - kind: say
    text: |
      two
      lines
  - kind: wait
    seconds: 3
""",
    )
    example = load_yaml(path, Example)
    assert example.name == "Ünal's shop"
    assert example.active is False
    assert example.people["1042"].nick_names == ("no", "on", "12:30", "2026-01-31", "5", "0x1F-a", "~x")
    assert example.steps == [Say(kind="say", text="two\nlines\n"), Wait(kind="wait", seconds=3.0)]


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfname: x\r\nactive: true\r\n")
    assert load_yaml(path, Example).active is True


@pytest.mark.parametrize(
    ("content", "line", "field", "message", "hint"),
    [
        ("name: x\nactiv: true\n", 2, "activ", "no such setting", "did you mean `active`?"),
        ("name: x\nzzz: 1\n", 2, "zzz", "no such setting", "known are: active, name, owner, people, steps"),
        (
            "name: x\npeople:\n  a:\n    name: b\n    nick_name: []\n",
            5,
            "people.a.nick_name",
            "no such",
            "nick_names",
        ),
        ("name: x\nowner:\n  nam: y\n", 3, "owner.nam", "no such setting", "did you mean `name`?"),
        (
            "name: x\nsteps:\n- kind: say\n  txt: y\n",
            4,
            "steps[0].txt",
            "no such setting",
            "did you mean `text`?",
        ),
        ("name: 5\n", 1, "name", "should be a text, found a number (5)", "in quotes"),
        ("name: true\n", 1, "name", "found true or false (true)", "in quotes"),
        ("name:\n", 1, "name", "should be a text, found nothing", ""),
        ("name: x\nactive: yes\n", 2, "active", 'should be true or false, found a text ("yes")', ""),
        ("name: x\npeople:\n  a: {name: b, age: '5'}\n", 3, "people.a.age", "whole number, found a text", ""),
        ("name: x\npeople: [a]\n", 2, "people", "should be a group of settings, found a list", ""),
        ("name: x\nsteps: {a: b}\n", 2, "steps", "should be a list, found a group of settings", ""),
        ("name: x\npeople:\n  a: {age: 5}\n", 3, "people.a.name", "is required", "add `name:`"),
        ("active: true\n", 1, "name", "is required", "add `name:`"),
        ("name: x\nsteps:\n- kind: jump\n", 3, "steps[0]", "jump", ""),
        ("name: a name of more than twenty letters\n", 1, None, "the name is too long for the screen", ""),
        ("name: x\nname: y\n", 2, "name", "given twice (before on line 1)", "keep one"),
        ("name: x\nowner: {name: a, name: b}\n", 2, "owner.name", "given twice", "keep one"),
        ("", None, None, "empty", "fill it in"),
        ("# only a comment\n", None, None, "empty", "fill it in"),
        ("- a\n- b\n", 1, None, "this is a list", "name and a colon"),
        ("just a text\n", 1, None, "this is a text", "name and a colon"),
        ("name: x\nowner:\n\tname: y\n", 3, None, "not YAML at column 1", "spaces"),
        ("name: my shop: the best\n", 1, None, "not YAML at column 14", "in quotes"),
        ("name: 'x\nactive: true\n", 3, None, "began on line 1", "quotation mark"),
        ("name: [1, 2\nactive: true\n", 2, None, "not YAML", "bracket"),
        ("name: @home\n", 1, None, "not YAML", "in quotes"),
        ("name: x\n  active: true\n", 2, None, "not YAML", ""),
        ("name: x\nactive: true\n---\nname: y\n", 3, None, "second document", "---"),
        ("name: &n x\n", 1, None, "anchors", "quotes"),
        ("name: *n\n", 1, None, "aliases", "quote"),
        ("name: !!python/object:os.system x\n", 1, None, "tag", "remove it"),
        ("? [a, b]\n: c\n", 1, None, "a key has to be a text", "quotes"),
        ("name: x\npeople: " + "[" * 200_000, 2, "people" + "[0]" * 38, "levels deep", "flatten"),
        ("name: " + "9" * 5000 + "\n", 1, None, "too many digits", "quotes"),
        (b"name: x\nactive: \xff\n", 2, None, "not UTF-8: byte 0xff", "UTF-8"),
        ("name: x\n".encode("utf-16"), None, None, "UTF-16", "UTF-8"),
        (b"name: x\nactive: a\x00b\n", 2, None, "column 10 holds the unprintable character U+0000", "delete"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, content: str | bytes, line: int | None, field: str | None, message: str, hint: str
) -> None:
    error = failure(tmp_path, content)
    assert message in error.message
    assert (error.line, error.field) == (line, field)
    assert hint in error.hint


def test_all_mistakes_of_a_file_are_listed_in_its_order(tmp_path: Path) -> None:
    error = failure(tmp_path, "active: 1\nnme: x\nowner:\n  age: old\n")
    assert (error.line, error.field) == (1, "active")
    assert "line 2: field `nme`" in error.message
    assert "line 4: field `owner.age`" in error.message
    assert "field `owner.name`: is required" in error.message


def test_a_thousand_mistakes_make_a_short_message(tmp_path: Path) -> None:
    error = failure(tmp_path, "name: x\n" + "".join(f"wrong{i}: 1\n" for i in range(1000)))
    assert "and 994 more" in error.message
    assert len(error.message) < 1000


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BotFileError, match="there is no such file"):
        load_yaml(tmp_path / "none.yaml", Example)
    with pytest.raises(BotFileError, match="this is a folder"):
        load_yaml(tmp_path, Example)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BotFileError, match="no such file"):
        load_yaml(tmp_path / "pipe", Example)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\n" + "#" * 100)
    with pytest.raises(BotFileError, match="larger than 50 bytes"):
        load_yaml(path, Example, max_bytes=50)
    assert load_yaml(path, Example, max_bytes=108).name == "x"


def test_a_check_beyond_the_model_can_name_its_line(tmp_path: Path) -> None:
    document = read_yaml(write(tmp_path, "name: x\nowner:\n  name: y\n  nick_names:\n  - a\n  - b\n"))
    error = document.error("is taken", at=("owner", "nick_names", 1), hint="choose another")
    assert (error.line, error.field, error.hint) == (6, "owner.nick_names[1]", "choose another")
    assert document.error("x", at=("owner", "missing")).line == 2
    assert document.error("x").line == 1


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text(alphabet="ab:-[]{}'\"#&*!|> \n\t?,1", max_size=60)))
def test_any_content_gives_a_value_or_a_named_error(tmp_path: Path, content: str | bytes) -> None:
    write(tmp_path, content)
    with contextlib.suppress(BotFileError):
        assert isinstance(read_yaml(tmp_path / "example.yaml").data, dict)
