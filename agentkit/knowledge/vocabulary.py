"""Closed classes of English words that grounding needs to tell a claim from the words around it."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> list[str]:
    return text.split()


_MONTH_NAMES: Final = _words(
    "january february march april may june july august september october november december"
)
MONTHS: Final[dict[str, int]] = {
    form: number
    for number, name in enumerate(_MONTH_NAMES, start=1)
    for form in ((name, name[:3], "sept") if name == "september" else (name, name[:3]))
}
"""Names of months and their abbreviations, in lower case, with their number."""

WEEKDAYS: Final[dict[str, str]] = {
    form: name
    for name in _words(
        """
    monday tuesday wednesday thursday friday saturday sunday
    """
    )
    for form in (name, name + "s", name[:3])
} | {"tues": "tuesday", "thur": "thursday", "thurs": "thursday"}
"""Names of weekdays, plurals and abbreviations, with the full name."""

CALENDAR_NAMES: Final = frozenset(
    [name for name in _MONTH_NAMES if name not in {"may", "march"}]
    + [form for form in WEEKDAYS if len(form) > 5]
)
"""Months and weekdays that mean nothing else: they are names even where they are written small."""

_ONES: Final = _words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen
    """
)
_TENS: Final = _words(
    """
    twenty thirty forty fifty sixty seventy eighty ninety
    """
)
NUMBER_WORDS: Final[dict[str, int]] = (
    {word: number for number, word in enumerate(_ONES)}
    | {word: 10 * number for number, word in enumerate(_TENS, start=2)}
    | {"hundred": 100, "thousand": 1000, "million": 1_000_000, "dozen": 12}
)
"""Words of which written numbers are made."""

ORDINALS: Final[dict[str, int]] = {
    word: number
    for number, word in enumerate(
        _words(
            """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
    """
        ),
        start=1,
    )
}
"""Written ordinals up to twelfth."""

_UNIT_FORMS: Final[dict[str, str]] = {
    "EUR": "eur euro euros €",
    "USD": "usd dollar dollars $",
    "GBP": "gbp pound pounds £ quid",
    "CHF": "chf franc francs",
    "JPY": "jpy yen ¥",
    "cent": "cent cents ct pence penny p",
    "%": "% percent",
    "km": "km kilometre kilometres kilometer kilometers",
    "m": "m metre metres meter meters",
    "cm": "cm centimetre centimetres centimeter centimeters",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "inch": "inch inches",
    "foot": "ft foot feet",
    "mile": "mi mile miles",
    "kg": "kg kilo kilos kilogram kilograms",
    "g": "g gram grams",
    "lb": "lb lbs",
    "l": "l litre litres liter liters",
    "ml": "ml",
    "TB": "tb",
    "GB": "gb gig gigs gigabyte gigabytes",
    "MB": "mb megabyte megabytes",
    "Mbit/s": "mbps mbit mbits",
    "kWh": "kwh",
    "W": "w watt watts",
    "mAh": "mah",
    "°C": "°c celsius",
    "second": "second seconds sec secs s",
    "minute": "minute minutes min mins",
    "hour": "hour hours hr hrs h",
    "day": "day days",
    "night": "night nights",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
}
UNITS: Final[dict[str, str]] = {form: unit for unit, forms in _UNIT_FORMS.items() for form in forms.split()}
"""Written forms of units and currencies, in lower case, with one name for each unit."""

NEGATORS: Final = frozenset(
    _words(
        """
    not no never cannot can't don't doesn't didn't won't isn't aren't wasn't weren't shouldn't
    mustn't couldn't wouldn't hasn't haven't neither nor none nothing nobody nowhere without non
    unable forbidden prohibited excluded impossible unavailable
    """
    )
)
"""Words that turn a statement into its opposite."""

FUNCTION_WORDS: Final = NEGATORS | frozenset(
    _words(
        """
    a an the this that these those here there it its it's he she they them their theirs his her hers
    him i i'm i'll me my mine we us our ours you your yours you'll you're you've we'll we're who
    whom whose which what when where why how be am is are was were been being do does did done doing
    have has had having can could may might must shall should will would let let's of in on at by
    for from to into onto over under about above below after before between during until till since
    within through with against per via up down out off again as than then so such if unless whether
    because while although though however otherwise also too only just even still yet already very
    more most less least much many few some any each every either both all another other others same
    own once ever and or but one ones please yes thanks thank sorry welcome sure indeed well hello
    dear currently get gets getting got make makes need needs take takes give given
    """
    )
)
"""Words that carry no claim by themselves."""

STARTERS: Final = FUNCTION_WORDS | frozenset(
    _words(
        """
    according additionally afterwards alternatively approximately bring call check children contact
    customers enjoy feel find first furthermore generally guests good great instead items later make
    members next normally note now orders otherwise people remember return returns second see send
    simply sometimes tell third today together tomorrow unfortunately usually visit visitors
    yesterday
    """
    )
)
"""Words that begin a sentence with a capital letter without being a name."""

ABBREVIATIONS: Final = frozenset(
    _words(
        """
    dr mr mrs ms prof st no nr approx ca vs etc inc ltd co corp e.g i.e a.m p.m tel ext max min jan
    feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun u.s u.k fig vol p pp
    art ave rd
        """
    )
)
"""Words whose full stop ends no sentence."""
