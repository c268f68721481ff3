"""Both stores keep every promise of the suite that ships for stores of others; it fails for one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.messages import User
from agentkit.store.protocol import Store, UserStore
from agentkit.store.records import Accepted
from agentkit.testing import STORE_PROMISES, InMemoryData, InMemoryStore, Promise
from agentkit.testing.in_memory_store import InMemoryUserStore
from tests.store.samples import open_store


@pytest.mark.parametrize("promise", STORE_PROMISES, ids=str)
def test_the_sqlite_store_keeps_it(promise: Promise, tmp_path: Path) -> None:
    promise.check(lambda: open_store(tmp_path))


@pytest.mark.parametrize("promise", STORE_PROMISES, ids=str)
def test_the_in_memory_store_keeps_it(promise: Promise) -> None:
    data = InMemoryData()
    promise.check(lambda: InMemoryStore(data))


class _Forgetful(InMemoryUserStore):
    """Forgets under which name a message was sent."""

    def accept(self, conversation_id: str, message: User, **settings: object) -> Accepted:
        settings["client_msg_id"] = None
        return super().accept(conversation_id, message, **settings)  # type: ignore[arg-type]


class _OpenToAll(InMemoryStore):
    """Gives everybody Ada's data."""

    def for_user(self, tenant: str, user: str) -> UserStore:
        return super().for_user("shop", "ada")


class _ForgetfulStore(InMemoryStore):
    def for_user(self, tenant: str, user: str) -> UserStore:
        return _Forgetful(self._data, (tenant, user), lambda: False)


@pytest.mark.parametrize(
    ("store", "broken"),
    [
        (_ForgetfulStore, "a message sent again under its name is the same message"),
        (_OpenToAll, "an id of somebody else does not exist"),
    ],
)
def test_a_store_that_breaks_a_promise_is_found(store: type[Store], broken: str) -> None:
    (promise,) = (each for each in STORE_PROMISES if each.name == broken)
    data = InMemoryData()
    with pytest.raises(AssertionError):
        promise.check(lambda: store(data))  # type: ignore[call-arg]
