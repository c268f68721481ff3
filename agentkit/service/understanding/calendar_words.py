"""English words for days: weekdays, months, counts and feasts, with short and misspelt forms."""

from __future__ import annotations

from typing import Final

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
FORGIVEN: Final = (
    *WEEKDAYS,
    *(month for month in MONTHS if month not in ("march", "april", "may", "june", "july")),
    "tomorrow",
    "yesterday",
    "christmas",
)
"""Words whose misspelt forms are none of other words."""
SHORT: Final = {
    **{
        short: WEEKDAYS[i]
        for i, forms in enumerate(("mon", "tue tues", "wed", "thu thur thurs", "fri"))
        for short in forms.split()
    },
    **{name[:3]: name for name in MONTHS if name not in ("may", "march")},
    **{f"{name}s": name for name in WEEKDAYS},
    "sept": "september",
    "tmrw": "tomorrow",
    "tmr": "tomorrow",
    "tmw": "tomorrow",
    "2moro": "tomorrow",
    "2morrow": "tomorrow",
    "tonight": "today",
    "xmas": "christmas",
}
COUNTS: Final = {
    word: count
    for count, words in enumerate(
        (
            "",
            "a an one",
            "two couple",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        )
    )
    for word in words.split()
}
_ORDINAL_WORDS: Final = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
ORDINALS: Final = {word: day for day, word in enumerate(_ORDINAL_WORDS.split(), 1)}
FEASTS: Final = {
    "christmas eve": (12, 24),
    "christmas day": (12, 25),
    "christmas": (12, 25),
    "boxing day": (12, 26),
    "new year's eve": (12, 31),
    "new year's day": (1, 1),
    "new year's": (1, 1),
}
