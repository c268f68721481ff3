"""The date and the time, anywhere."""

from __future__ import annotations

import difflib
import functools
import zoneinfo

from agentkit import ToolContext, ToolRetry, tool


@tool(effect="read")
def current_time(context: ToolContext, time_zone: str = "UTC") -> dict[str, str]:
    """Tell today's date, the weekday and the time of day.

    Args:
        time_zone: IANA name such as Europe/Dublin or America/New_York.
    """
    now = context.now().astimezone(_zone(time_zone))
    return {
        "date": now.date().isoformat(),
        "weekday": f"{now:%A}",
        "time": f"{now:%H:%M}",
        "time_zone": time_zone,
        "utc_offset": f"{now:%z}",
    }


def _zone(name: str) -> zoneinfo.ZoneInfo:
    names = _zone_names()
    if name in names:
        return zoneinfo.ZoneInfo(name)
    # The city alone is the commonest mistake.
    wanted = name.strip().replace(" ", "_").casefold()
    near = [known for known in names if known.casefold().rpartition("/")[2] == wanted]
    near = near or difflib.get_close_matches(name, names, 3)
    advice = f"did you mean {' or '.join(near[:3])}?" if near else "use an IANA name such as Europe/Dublin"
    raise ToolRetry(f"there is no time zone {name[:60]!r}, {advice}")


@functools.cache
def _zone_names() -> tuple[str, ...]:
    return tuple(sorted(zoneinfo.available_timezones()))
