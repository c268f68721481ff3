"""What stands around each message in a model's own chat template, learned by rendering the template once.

The template is given a conversation of unguessable words, one per message; what it writes between them is the
`Wrapping`. Prompts are then put together from the wrapping, so third-party code never sees what people
write, is never run while somebody waits, and cannot change a prompt's beginning from turn to turn.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agentkit.errors import ModelRefused
from agentkit.models.dialects import template_process
from agentkit.models.dialects.wording import fill

_SECONDS: Final = 10
_ROLES: Final = ("system", "user", "assistant", "user", "assistant", "user")


@dataclass(frozen=True)
class Wrapping:
    """Literal text around the messages of a conversation in which user and assistant take turns.

    Args:
        before_system: Before the system text; None if the template takes no system message.
        system_to_user: Between the system text and the first user message.
        before_user: Before the first user message where there is no system text.
        user_to_assistant: Between a user message and the assistant's earlier reply to it.
        assistant_to_user: Between that reply and the next user message.
        user_to_reply: After the last user message, where the reply to be written begins.
    """

    before_system: str | None
    system_to_user: str
    before_user: str
    user_to_assistant: str
    assistant_to_user: str
    user_to_reply: str


def transcript_wrapping() -> Wrapping:
    """For a model without a chat template: each role on a line of its own, its text below."""
    user, reply = fill("transcript_role", role="user"), fill("transcript_role", role="assistant")
    return Wrapping(
        before_system="",
        system_to_user=f"\n\n{user}\n",
        before_user=f"{user}\n",
        user_to_assistant=f"\n\n{reply}\n",
        assistant_to_user=f"\n\n{user}\n",
        user_to_reply=f"\n\n{reply}\n",
    )


def learn_wrapping(
    template: str, variables: dict[str, str], *, model: str, seconds: int = _SECONDS
) -> Wrapping:
    """Render `template` once, in another process and under limits, and read off what it puts around messages.

    Args:
        template: The chat template (Jinja).
        variables: Names that the template may use, such as `bos_token`.
        model: Name of the model, for errors.
        seconds: Processor and wall time for it.

    Raises:
        ModelRefused: It hangs, fails, writes without bound, or does not repeat what it is given.
    """
    nonces = [f"x{secrets.token_hex(12)}" for _ in _ROLES]
    whole = [{"role": role, "content": nonce} for role, nonce in zip(_ROLES, nonces, strict=True)]
    rendered, errors = _render(template, variables, [whole, whole[1:]], model=model, seconds=seconds)
    with_system = _between(rendered[0], nonces)
    without_system = _between(rendered[1], nonces[1:])
    pieces = with_system[1:] if with_system is not None else without_system
    if pieces is None or pieces[1] != pieces[3] or pieces[2] != pieces[4]:
        detail = next((e for e in errors if e), "it does not show every message once, each in the same way")
        raise ModelRefused(
            f"the chat template of {model} cannot be used: {detail}",
            hint="Name a dialect for this model in the catalogue, or take one with an ordinary template.",
        )
    return Wrapping(
        before_system=with_system[0] if with_system is not None else None,
        system_to_user=pieces[0],
        before_user=(without_system or pieces)[0],
        user_to_assistant=pieces[1],
        assistant_to_user=pieces[2],
        user_to_reply=pieces[5],
    )


def _render(
    template: str, variables: dict[str, str], conversations: list[Any], *, model: str, seconds: int
) -> tuple[list[str | None], list[str | None]]:
    request = {
        "template": template,
        "variables": variables,
        "conversations": conversations,
        "seconds": seconds,
    }
    script = Path(template_process.__file__)
    refused = ModelRefused(
        f"the chat template of {model} used more than {seconds} s or 1 GiB and was stopped",
        hint="A chat template is a few lines that join messages; this one is broken or hostile.",
    )
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(script)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise refused from error
    if done.returncode != 0:
        raise refused
    answer = json.loads(done.stdout)
    return answer["rendered"], answer["errors"]


def _between(rendered: str | None, nonces: list[str]) -> list[str] | None:
    """The text before, between and after the nonces; None unless each occurs once and in order."""
    pieces: list[str] = []
    rest = rendered or ""
    for nonce in nonces:
        before, found, rest = rest.partition(nonce)
        if not found or nonce in rest:
            return None
        pieces.append(before)
    return [*pieces, rest]
