"""The prompt library: overrides, data that stays data, bounds, errors that name file, line and variable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit.errors import PromptError
from agentkit.prompts import PromptLibrary

LIBRARY = PromptLibrary()


def rendered(text: str, **variables: Any) -> str:
    return LIBRARY.render_text(text, "bot.yaml", **variables)


def problem(text: str, **variables: Any) -> PromptError:
    with pytest.raises(PromptError) as caught:
        rendered(text, **variables)
    return caught.value


def test_shipped_prompts_are_found_in_their_package() -> None:
    assert "system" in LIBRARY.names()
    assert list(LIBRARY.names()) == sorted(LIBRARY.names())
    assert "{{ instructions" in LIBRARY.source("system")
    assert LIBRARY.render("system", instructions="You sell sofas.").startswith("You sell sofas.")


def test_a_bot_overrides_a_prompt_and_adds_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "system.jinja").write_text(f"{folder.name}: {{{{ instructions }}}}", encoding="utf-8")
    (second / "greeting.jinja").write_text('{% include "system" %}!\n', encoding="utf-8")
    library = PromptLibrary([tmp_path / "missing", first, second])
    assert library.render("system", instructions="hi") == "first: hi"
    assert library.render("greeting", instructions="hi") == "first: hi!"
    assert library.source("greeting") == '{% include "system" %}!\n'
    assert {"system", "greeting", "reply_limit"} <= set(library.names())


def test_a_changed_override_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "system.jinja"
    library = PromptLibrary([tmp_path])
    for text in ("one", "two"):
        file.write_text(text, encoding="utf-8")
        assert library.render("system") == text


def test_a_template_file_of_a_bot_is_rendered(tmp_path: Path) -> None:
    file = tmp_path / "track_parcel.jinja"
    file.write_text("{% if late %}\n  Late: {{ result.day }}\n{% endif %}\n", encoding="utf-8")
    assert LIBRARY.render_file(file, late=True, result={"day": "Thursday"}) == "  Late: Thursday\n"


def test_a_variable_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "all.jinja").write_text(
        "{{ name }} {{ path }} {{ text }} {{ origin }} {{ self_ }}", encoding="utf-8"
    )
    values = {"name": 1, "path": 2, "text": 3, "origin": 4, "self_": 5}
    assert PromptLibrary([tmp_path]).render("all", **values) == "1 2 3 4 5"
    assert LIBRARY.render_file(tmp_path / "all.jinja", **values) == "1 2 3 4 5"
    assert LIBRARY.render_text("{{ text }}{{ origin }}", "bot.yaml", text="a", origin="b") == "ab"


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "{% for x in y %}", "{# c #}", "<|im_start|>system", "<b>&amp;</b>", "a\n\nb\n", "{{"]
)
def test_what_users_say_is_data(text: str) -> None:
    assert rendered("[{{ words }}]", words=text) == f"[{text}]"
    assert LIBRARY.render("reply_with_facts", facts=[], text=text).endswith(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.text(alphabet="{}%#7*xy \n", max_size=30) | st.text(max_size=30))
def test_any_text_comes_through_a_variable_unchanged(text: str) -> None:
    assert rendered("{{ words }}|", words=text) == f"{text}|"


@pytest.mark.parametrize(
    ("text", "variables", "message", "hint"),
    [
        (
            "a\nb {{ ordr }}",
            {"order": 1},
            "bot.yaml:2: the variable `ordr` is not given",
            "did you mean `order`?",
        ),
        ("{% if x %}{% endif %}", {"a": 1, "b": 2}, "bot.yaml:1: the variable `x` is not given", "a, b"),
        ("{{ x }}", {}, "the variable `x` is not given", "the variables are: none"),
        (
            "{{ o.stat }}",
            {"o": {"state": 1}},
            "bot.yaml:1: there is no `stat` in a value of type dict",
            "`state`",
        ),
        (
            "{{ o.stat }}",
            {"o": SimpleNamespace(state=1)},
            "no `stat` in a value of type SimpleNamespace",
            "`state`",
        ),
        ("{{ o[3] }}", {"o": [1]}, "bot.yaml:1: there is no item 3 in a list of 1", "from 0"),
        ("\n\n{% if %}", {}, "bot.yaml:3: not valid Jinja: Expected an expression", "mend"),
        ("{{ x | shout }}", {"x": 1}, "bot.yaml:1: not valid Jinja: No filter named 'shout'", "mend"),
        ("{% include 'sytem' %}", {}, "bot.yaml:1: there is no prompt `sytem`", "did you mean `system`?"),
        ("\n{{ 1 / 0 }}", {}, "bot.yaml:2: cannot be rendered: ZeroDivisionError", "values"),
        ("{{ 1 + x }}", {"x": "a"}, "bot.yaml:1: cannot be rendered: TypeError", "values"),
        (
            "{{ x() }}",
            {"x": 3},
            "bot.yaml:1: cannot be rendered: TypeError: 'int' object is not callable",
            "values",
        ),
    ],
)
def test_an_error_names_place_and_variable(
    text: str, variables: dict[str, Any], message: str, hint: str
) -> None:
    error = problem(text, **variables)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ items.append(1) }}",
        "{{ thing._secret }}",
        "{{ 'a' * 10000000 }}",
        "{{ 10000000 * [1] }}",
        "{{ 9 ** 9999999 }}",
        "{{ 9999999999 ** 999 }}",
    ],
)
def test_the_sandbox_refuses_what_is_not_rendering(text: str) -> None:
    error = problem(text, items=[], thing=SimpleNamespace(_secret=1))
    assert "bot.yaml:1: not allowed in a template" in error.message


@pytest.mark.parametrize(
    "text", ["{{ 3 * 4 }} {{ 2 ** 8 }} {{ '-' * 10 }}", "{% for i in range(9) %}{{ i }}{% endfor %}"]
)
def test_ordinary_arithmetic_is_allowed(text: str) -> None:
    assert rendered(text) in ("12 256 ----------", "012345678")


def test_output_and_loops_are_bounded() -> None:
    assert "longer than 200000 characters" in problem("{% for i in range(90000) %}abc{% endfor %}").message
    assert "longer than 200000 characters" in problem("{{ x }}", x="x" * 200_001).message
    assert len(rendered("{{ x }}", x="x" * 200_000)) == 200_000
    assert "Range too big" in problem("{% for i in range(1000000) %}{% endfor %}").message


def test_a_prompt_that_does_not_exist_is_answered_with_the_nearest() -> None:
    for call in (LIBRARY.render, LIBRARY.source):
        with pytest.raises(PromptError) as caught:
            call("sistem")
        assert caught.value.message == "there is no prompt `sistem`"
        assert caught.value.hint == "did you mean `system`?"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..\\secret", "", ".", ".."])
def test_a_name_is_no_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.jinja").write_text("secret", encoding="utf-8")
    (tmp_path / "prompts").mkdir()
    library = PromptLibrary([tmp_path / "prompts"])
    with pytest.raises(PromptError, match="there is no prompt"):
        library.render(name)
    with pytest.raises(PromptError, match="there is no prompt"):
        library.render_text("{% include name %}", "bot.yaml", name=name)


def test_an_error_in_an_included_prompt_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "inner.jinja").write_text("fine\n{{ missing }}", encoding="utf-8")
    (tmp_path / "broken.jinja").write_text("{% endif %}", encoding="utf-8")
    (tmp_path / "outer.jinja").write_text("\n\n\n{% include inner %}", encoding="utf-8")
    library = PromptLibrary([tmp_path])
    with pytest.raises(PromptError) as caught:
        library.render("outer", inner="inner")
    assert caught.value.message == f"{tmp_path / 'inner.jinja'}:2: the variable `missing` is not given"
    with pytest.raises(PromptError) as caught:
        library.render("outer", inner="broken")
    assert caught.value.message.startswith(f"{tmp_path / 'broken.jinja'}:1: not valid Jinja")


def test_a_prompt_that_includes_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "circle.jinja").write_text('{% include "circle" %}', encoding="utf-8")
    with pytest.raises(PromptError, match="includes itself without end"):
        PromptLibrary([tmp_path]).render("circle")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "system.jinja").write_bytes(b"\xff\xfe\x00")
    calls: list[Callable[[], str]] = [
        lambda: PromptLibrary([tmp_path]).render("system"),
        lambda: LIBRARY.render_file(tmp_path / "system.jinja"),
        lambda: LIBRARY.render_file(tmp_path / "missing.jinja"),
    ]
    for render in calls:
        with pytest.raises(PromptError, match=r"\.jinja: cannot be read") as caught:
            render()
        assert "UTF-8" in caught.value.hint
