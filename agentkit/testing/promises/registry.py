"""How a promise is written down and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TypeAlias

from agentkit.store.protocol import Store, UserStore

OpenStore: TypeAlias = Callable[[], Store]
"""Opens a store on the same, at first empty, data each time: like another process, or the same one later."""


@dataclass(frozen=True)
class Promise:
    """One promise.

    Args:
        name: What is promised, as a sentence.
        check: Raises `AssertionError` where it is broken.
    """

    name: str
    check: Callable[[OpenStore], None]

    def __str__(self) -> str:
        return self.name


def of_stores(check: Callable[[OpenStore], None]) -> Promise:
    """A promise that needs more than one store, or closes one."""
    return Promise(check.__name__.strip("_").replace("_", " "), check)


def of_a_store(check: Callable[[Store], None]) -> Promise:
    """A promise about one store."""

    def run(open_store: OpenStore) -> None:
        store = open_store()
        try:
            check(store)
        finally:
            store.close()

    return Promise(check.__name__.strip("_").replace("_", " "), run)


def of_a_user(check: Callable[[UserStore], None]) -> Promise:
    """A promise about what one user has."""

    def run(store: Store) -> None:
        check(store.for_user("shop", "ada"))

    run.__name__ = check.__name__
    return of_a_store(run)


def promises_of(module: ModuleType) -> tuple[Promise, ...]:
    """The promises that a module writes down, in their order."""
    return tuple(value for value in vars(module).values() if isinstance(value, Promise))


@contextmanager
def refused(*kinds: type[Exception]) -> Iterator[None]:
    """A block that must be refused with one of these errors."""
    try:
        yield
    except kinds:
        return
    names = " or ".join(kind.__name__ for kind in kinds)
    raise AssertionError(f"it was not refused with {names}")
