"""Where weights are kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "AGENTKIT_CACHE"
"""Environment variable that names another cache folder."""


def cache_folder() -> Path:
    """The folder of everything that can be fetched or computed again; it need not exist yet.

    `AGENTKIT_CACHE` if that is set, else the user's cache folder of the operating system.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("agentkit")
