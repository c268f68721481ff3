"""The promises of a store, each as a check that any implementation can be put through.

::

    @pytest.mark.parametrize("promise", STORE_PROMISES, ids=str)
    def test_my_store_keeps_its_promises(promise, tmp_path):
        promise.check(lambda: MyStore.open(tmp_path))
"""

from agentkit.testing.promises import calls, hand_offs, inbox, knowledge, memories, turns, users
from agentkit.testing.promises.registry import OpenStore, Promise, promises_of

STORE_PROMISES: tuple[Promise, ...] = tuple(
    promise
    for module in (turns, calls, inbox, hand_offs, memories, knowledge, users)
    for promise in promises_of(module)
)
"""All of them; a name is a sentence."""

__all__ = ["STORE_PROMISES", "OpenStore", "Promise"]
