"""Distributions for databases, inside a program that is one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.build.package_programs import told

pytestmark = [pytest.mark.linux, pytest.mark.needs_root, pytest.mark.slow, pytest.mark.timeout(400)]

PSYCOPG = """
import datetime

import psycopg
from psycopg import sql
from psycopg.adapt import Transformer


def told():
    try:
        psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")
    except psycopg.OperationalError as error:
        refused = "refused" in str(error)
    literal = sql.SQL("select {}").format(sql.Literal(datetime.date(2026, 1, 31)))
    return {"half": psycopg.pq.__impl__, "version": psycopg.pq.version() > 100000, "refused": refused,
            "text": literal.as_string(None)}
"""

SQLALCHEMY = """
import datetime

from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)
    prices: Mapped[list["Price"]] = relationship(back_populates="shop")


class Price(Base):
    __tablename__ = "price"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[float]
    day: Mapped[datetime.date]
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))
    shop: Mapped[Shop] = relationship(back_populates="prices")


def told():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        day = datetime.date(2026, 1, 31)
        session.add(Shop(prices=[Price(amount=3.5, day=day), Price(amount=1.5, day=day)]))
        session.commit()
        total = session.scalar(select(func.sum(Price.amount)))
        shop = session.scalars(select(Shop)).one()
        amounts = sorted(price.amount for price in shop.prices)
    other = create_engine("postgresql+psycopg://localhost:1/x")
    return {"total": total, "amounts": amounts, "dialect": other.dialect.name, "driver": other.driver}
"""


def test_psycopg(tmp_path: Path) -> None:
    """libpq comes with it, and is used: a server that isn't there refuses."""
    assert told(tmp_path, "psycopg[binary]", PSYCOPG) == {
        "half": "binary", "version": True, "refused": True, "text": "select '2026-01-31'::date",
    }  # fmt: skip


def test_sqlalchemy(tmp_path: Path) -> None:
    """An engine on SQLite, which it imports by a name that no code tells; and a dialect of another distribution."""
    assert told(tmp_path, "SQLAlchemy psycopg[binary]", SQLALCHEMY) == {
        "total": 5.0, "amounts": [1.5, 3.5], "dialect": "postgresql", "driver": "psycopg",
    }  # fmt: skip
