"""Make the order database of the demo shop: the same shop on every machine, for a given "today".

    python make_shop.py [DATABASE] [--today 2026-11-23]

Standard library only. 40 products, 60 customers and 200 orders; a few orders are written out below because
the scenarios and the tests speak of them, the rest are drawn with a fixed seed. All dates are counted back
from "today", so a scenario that says which day it is always meets the same facts. The file is replaced as a
whole (written beside the old one, then renamed), never half-written.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO_TODAY = date(2026, 11, 23)
FIRST_ORDER, ORDERS, CUSTOMERS = 1001, 200, 60
DAYS_OF_TRADE = 70  # order 1001 was placed this many days before "today", order 1200 today
LARGE_KG = 20.0  # heavier than this: the two-person team delivers, not the parcel carrier
LARGE_DELIVERY, PARCEL_DELIVERY, FREE_PARCEL_FROM = 3900, 490, 7500  # cents
TEAM = "our own two-person delivery team"

SCHEMA = """
CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
    street TEXT NOT NULL, city TEXT NOT NULL, postcode TEXT NOT NULL);
CREATE TABLE products (sku TEXT PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL,
    price_cents INTEGER NOT NULL, weight_kg REAL NOT NULL, made_to_order INTEGER NOT NULL);
CREATE TABLE orders (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers,
    status TEXT NOT NULL CHECK (status IN ('processing', 'shipped', 'delivered', 'cancelled', 'returned')),
    ordered_on TEXT NOT NULL, expected_on TEXT, shipped_on TEXT, delivered_on TEXT, cancelled_on TEXT,
    carrier TEXT NOT NULL, tracking_number TEXT, delivery_cents INTEGER NOT NULL, payment TEXT NOT NULL,
    street TEXT NOT NULL, city TEXT NOT NULL, postcode TEXT NOT NULL);
CREATE TABLE order_items (order_id TEXT NOT NULL REFERENCES orders, line INTEGER NOT NULL,
    sku TEXT NOT NULL REFERENCES products, quantity INTEGER NOT NULL, price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, line));
CREATE TABLE parcel_events (order_id TEXT NOT NULL REFERENCES orders, seq INTEGER NOT NULL,
    day TEXT NOT NULL, place TEXT NOT NULL, event TEXT NOT NULL, PRIMARY KEY (order_id, seq));
CREATE TABLE returns (id TEXT PRIMARY KEY, order_id TEXT NOT NULL, line INTEGER NOT NULL,
    reason TEXT NOT NULL, created_on TEXT NOT NULL, collection TEXT NOT NULL, fee_cents INTEGER NOT NULL,
    refund_cents INTEGER NOT NULL, UNIQUE (order_id, line),
    FOREIGN KEY (order_id, line) REFERENCES order_items (order_id, line));
CREATE TABLE tickets (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers,
    order_id TEXT REFERENCES orders, topic TEXT NOT NULL, message TEXT NOT NULL,
    created_on TEXT NOT NULL, reply_by TEXT NOT NULL, call_key TEXT NOT NULL UNIQUE);
CREATE TABLE newsletter (customer_id TEXT PRIMARY KEY REFERENCES customers, subscribed INTEGER NOT NULL);
CREATE TABLE spare_parts (order_id TEXT NOT NULL REFERENCES orders, part TEXT NOT NULL, quantity INTEGER NOT NULL,
    created_on TEXT NOT NULL, PRIMARY KEY (order_id, part));
CREATE TABLE price_matches (order_id TEXT PRIMARY KEY REFERENCES orders, cents INTEGER NOT NULL,
    created_on TEXT NOT NULL);
CREATE TABLE assemblies (order_id TEXT PRIMARY KEY REFERENCES orders, half TEXT NOT NULL);
CREATE TABLE outbox (order_id TEXT PRIMARY KEY REFERENCES orders, email TEXT NOT NULL, sent_on TEXT NOT NULL);
"""

# fmt: off
FIRST_NAMES = [
    "Aoife", "Brendan", "Ciara", "Declan", "Elif", "Fionn", "Grainne", "Hugo", "Ines", "Jakub", "Kavya",
    "Liam", "Maeve", "Niall", "Orla", "Padraig", "Roisin", "Sean", "Tomasz", "Una",
]
LAST_NAMES = [
    "Byrne", "Doyle", "Egan", "Farrell", "Gallagher", "Horvat", "Ivers", "Joyce", "Keane", "Lacey", "Moran",
    "Nolan", "Osei", "Power", "Quinn", "Regan", "Sweeney", "Tobin", "Varga", "Walsh",
]
STREETS = [
    "Abbey Street", "Bridge Street", "Castle Road", "Dock Lane", "Eyre Terrace", "Ferry Road", "Garden Vale",
    "Hill Street", "Island View", "Kiln Lane", "Linen Row", "Mill Road", "Orchard Avenue", "Quay Street",
]
# fmt: on
CITIES = [("Galway", "H91"), ("Dublin", "D08"), ("Cork", "T12"), ("Limerick", "V94"), ("Sligo", "F91")]
PAYMENTS = ["Visa", "Mastercard", "PayPal", "Klarna", "bank transfer"]


@dataclass(frozen=True)
class Product:
    """One row of catalogue.csv; price in cents, weight in kilograms."""

    sku: str
    name: str
    category: str
    price_cents: int
    weight_kg: float
    made_to_order: bool


@dataclass(frozen=True)
class Customer:
    """A signed-in customer is known by `id`, for example `ada.okafor`."""

    id: str
    name: str
    street: str
    city: str
    postcode: str


@dataclass(frozen=True)
class WrittenOrder:
    """An order that scenarios and tests rely on; days count back from "today", negative is the future."""

    customer: str
    status: str
    items: Sequence[tuple[str, int]]
    shipped: int | None = None
    arrives: int | None = None  # day of delivery if delivered or returned, else the day it is expected
    cancelled: int | None = None
    events: Sequence[tuple[int, str, str]] = field(default_factory=tuple)


WRITTEN_CUSTOMERS = [
    Customer("ada.okafor", "Ada Okafor", "14 Linen Row", "Dublin", "D08 K7N2"),
    Customer("ben.castellan", "Ben Castellan", "3 Quay Street", "Galway", "H91 P4R8"),
    Customer("noor.haddad", "Noor Haddad", "27 Mill Road", "Cork", "T12 W6X3"),  # never ordered anything
]
WRITTEN_ORDERS = {
    1009: WrittenOrder("ada.okafor", "delivered", [("DES-TAR", 1)], shipped=63, arrives=59),
    1042: WrittenOrder(
        "ada.okafor",
        "shipped",
        [("TEX-LOU", 1)],
        shipped=3,
        arrives=-3,
        events=[(3, "Galway", "Handed to DHL"), (0, "Dublin", "Arrived at the sorting centre")],
    ),
    1077: WrittenOrder("ada.okafor", "returned", [("LAM-HEA", 2)], shipped=41, arrives=38),
    1098: WrittenOrder("ada.okafor", "cancelled", [("STR-FOY", 1)], cancelled=34),
    1131: WrittenOrder("ada.okafor", "delivered", [("TAB-MUR", 1), ("LAM-IVY", 1)], shipped=21, arrives=19),
    1187: WrittenOrder("ada.okafor", "processing", [("SOF-ALB", 1)], arrives=-9),
    1190: WrittenOrder("ada.okafor", "processing", [("CHA-QUI", 3)], arrives=-4),
    1054: WrittenOrder("ben.castellan", "delivered", [("BED-WIC", 1)], shipped=36, arrives=31),
    1128: WrittenOrder(
        "ben.castellan", "delivered", [("TAB-INI", 1), ("CHA-OWE", 4)], shipped=22, arrives=18
    ),
    1163: WrittenOrder(
        "ben.castellan",
        "shipped",
        [("LAM-KIL", 2)],
        shipped=11,
        arrives=5,  # three working days late: what a worried customer asks about
        events=[(11, "Galway", "Handed to DHL"), (10, "Athlone", "Departed from the sorting centre")],
    ),
    1194: WrittenOrder("ben.castellan", "processing", [("CHA-SIO", 1)], arrives=-3),
}


@dataclass
class Dates:
    """The life of one order; None where it did not happen."""

    status: str
    expected: date | None = None
    shipped: date | None = None
    delivered: date | None = None
    cancelled: date | None = None


def add_working_days(day: date, count: int) -> date:
    """The day that lies `count` working days (Monday to Friday) after `day`."""
    while count > 0:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def read_catalogue() -> list[Product]:
    """The 40 products, in the order of catalogue.csv."""
    with (HERE / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        return [
            Product(
                sku=row["sku"],
                name=row["name"],
                category=row["category"],
                price_cents=round(float(row["price"]) * 100),
                weight_kg=float(row["weight_kg"]),
                made_to_order=row["made_to_order"] == "yes",
            )
            for row in csv.DictReader(file)
        ]


def draw_customers(rng: random.Random) -> list[Customer]:
    """The customers written out above and drawn ones, `CUSTOMERS` in all, with unique ids."""
    names = [(first, last) for first in FIRST_NAMES for last in LAST_NAMES]
    drawn = rng.sample(names, CUSTOMERS - len(WRITTEN_CUSTOMERS))
    customers = list(WRITTEN_CUSTOMERS)
    for first, last in drawn:
        city, area = rng.choice(CITIES)
        unit = "".join(rng.choice("ACDEFHKNPRTVWXY") + rng.choice("23456789") for _ in range(2))
        customers.append(
            Customer(
                id=f"{first}.{last}".lower(),
                name=f"{first} {last}",
                street=f"{rng.randint(1, 98)} {rng.choice(STREETS)}",
                city=city,
                postcode=f"{area} {unit}",
            )
        )
    return customers


def draw_items(rng: random.Random, products: Sequence[Product]) -> list[tuple[Product, int]]:
    """One to three different products; chairs come in sets."""
    chosen = rng.sample(list(products), rng.choices([1, 2, 3], weights=[6, 3, 1])[0])
    return [(p, rng.choice([2, 4, 6]) if p.category == "chairs" else 1) for p in chosen]


def draw_dates(rng: random.Random, ordered: date, today: date, large: bool, made_to_order: bool) -> Dates:
    """How far an order that was placed on `ordered` has come by `today`."""
    if rng.random() < 0.06:
        return Dates("cancelled", cancelled=min(today, ordered + timedelta(days=rng.randint(0, 2))))
    to_make = rng.randint(30, 38) if made_to_order else rng.randint(1, 2)
    shipped = add_working_days(ordered, to_make)
    arrives = add_working_days(shipped, rng.randint(4, 8) if large else rng.randint(2, 4))
    if shipped > today:
        return Dates("processing", expected=arrives)
    if arrives > today:
        return Dates("shipped", expected=arrives, shipped=shipped)
    returned = (today - arrives).days > 14 and rng.random() < 0.08
    return Dates("returned" if returned else "delivered", shipped=shipped, delivered=arrives)


def written_dates(order: WrittenOrder, today: date) -> Dates:
    """The dates of an order that is written out above."""

    def back(days: int | None) -> date | None:
        return None if days is None else today - timedelta(days=days)

    arrived = order.status in ("delivered", "returned")
    return Dates(
        status=order.status,
        expected=None if arrived else back(order.arrives),
        shipped=back(order.shipped),
        delivered=back(order.arrives) if arrived else None,
        cancelled=back(order.cancelled),
    )


def parcel_events(dates: Dates, carrier: str, city: str, today: date) -> Iterator[tuple[date, str, str]]:
    """What the carrier reported up to `today`, oldest first."""
    if dates.shipped is None:
        return
    yield dates.shipped, "Galway", f"Handed to {carrier}" if carrier == "DHL" else "Loaded at the warehouse"
    if dates.delivered is not None:
        yield dates.delivered, city, "Delivered"
    elif dates.shipped < today:
        yield min(today, add_working_days(dates.shipped, 1)), "Athlone", "Departed from the sorting centre"


def insert_order(
    db: sqlite3.Connection,
    rng: random.Random,
    number: int,
    customer: Customer,
    items: Sequence[tuple[Product, int]],
    ordered: date,
    dates: Dates,
    today: date,
) -> None:
    """Write one order with its items and what the carrier reported."""
    large = any(p.weight_kg > LARGE_KG for p, _ in items)
    subtotal = sum(p.price_cents * n for p, n in items)
    parcel = 0 if subtotal >= FREE_PARCEL_FROM else PARCEL_DELIVERY
    carrier = TEAM if large else "DHL"
    code = f"{rng.randint(0, 10**10 - 1):010d}"  # drawn for every order, so that one order never moves others
    tracking = None if dates.shipped is None else f"TV{number}" if large else f"JJD{code}"
    iso = [
        d and d.isoformat()
        for d in (ordered, dates.expected, dates.shipped, dates.delivered, dates.cancelled)
    ]
    db.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [str(number), customer.id, dates.status, *iso, carrier, tracking, LARGE_DELIVERY if large else parcel,
         rng.choice(PAYMENTS), customer.street, customer.city, customer.postcode],
    )  # fmt: skip
    db.executemany(
        "INSERT INTO order_items VALUES (?, ?, ?, ?, ?)",
        [(str(number), line, p.sku, n, p.price_cents) for line, (p, n) in enumerate(items, start=1)],
    )
    written = WRITTEN_ORDERS.get(number)
    told = [(today - timedelta(days=d), place, text) for d, place, text in written.events] if written else []
    events = told or list(parcel_events(dates, carrier, customer.city, today))
    db.executemany(
        "INSERT INTO parcel_events VALUES (?, ?, ?, ?, ?)",
        [
            (str(number), seq, d.isoformat(), place, text)
            for seq, (d, place, text) in enumerate(events, start=1)
        ],
    )
    if dates.status == "returned" and dates.delivered is not None:
        asked = dates.delivered + timedelta(days=5)
        heavy, cents = items[0][0].weight_kg > LARGE_KG, items[0][0].price_cents * items[0][1]
        fee = 1900 if heavy else 0
        db.execute(
            "INSERT INTO returns VALUES (?, ?, 1, 'changed_mind', ?, ?, ?, ?)",
            [f"R{number}-1", str(number), asked.isoformat(), "team" if heavy else "parcel", fee, cents - fee],
        )


def fill(db: sqlite3.Connection, today: date) -> None:
    """Write all tables."""
    rng = random.Random(20261123)
    products = read_catalogue()
    by_sku = {p.sku: p for p in products}
    customers = draw_customers(rng)
    by_id = {c.id: c for c in customers}
    buyers = [c for c in customers if c not in WRITTEN_CUSTOMERS]  # the written ones have written orders only
    db.executescript(SCHEMA)
    db.executemany(
        "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)",
        [(c.id, c.name, f"{c.id}@mail.example", c.street, c.city, c.postcode) for c in customers],
    )
    db.executemany(
        "INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)",
        [(p.sku, p.name, p.category, p.price_cents, p.weight_kg, int(p.made_to_order)) for p in products],
    )
    for index in range(ORDERS):
        number = FIRST_ORDER + index
        ordered = today - timedelta(days=round(DAYS_OF_TRADE * (1 - index / (ORDERS - 1))))
        written = WRITTEN_ORDERS.get(number)
        if written:
            customer, dates = by_id[written.customer], written_dates(written, today)
            items = [(by_sku[sku], count) for sku, count in written.items]
        else:
            customer, items = rng.choice(buyers), draw_items(rng, products)
            large = any(p.weight_kg > LARGE_KG for p, _ in items)
            dates = draw_dates(rng, ordered, today, large, any(p.made_to_order for p, _ in items))
        insert_order(db, rng, number, customer, items, ordered, dates, today)


def make_shop(path: Path, today: date = DEMO_TODAY) -> None:
    """Write a new shop database to `path`, replacing what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    db = sqlite3.connect(draft)
    try:
        with db:
            fill(db, today)
    finally:
        db.close()
    os.replace(draft, path)


def database() -> Path:
    """The file that holds the shop: what SUPPORT_BOT_DB names, else shop.sqlite beside this file."""
    return Path(os.environ.get("SUPPORT_BOT_DB") or HERE / "shop.sqlite")


def reset() -> None:
    """Make the shop anew: agentkit calls this before a scenario, so that each starts from the same orders."""
    make_shop(database())


def main() -> None:
    """Read the command line and make the shop."""
    parser = argparse.ArgumentParser(description="Make the order database of the demo shop.")
    parser.add_argument("database", nargs="?", type=Path, default=database(), help="file to write")
    parser.add_argument("--today", type=date.fromisoformat, default=DEMO_TODAY, help="the day of the shop")
    options = parser.parse_args()
    make_shop(options.database, options.today)
    print(f"{options.database}: {ORDERS} orders of {CUSTOMERS} customers, as of {options.today}")


if __name__ == "__main__":
    main()
