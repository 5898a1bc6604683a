"""A Record is a frozen value that costs no import."""

from __future__ import annotations

import copy
import pickle

import pytest

from stayon.core.record import Record


class Point(Record):
    """Two fields, one with a default."""

    x: int
    y: int = 2


class Point3(Point):
    """A third field, and another default."""

    y: int = 5
    z: int = 3


class Other(Record):
    """The same fields as Point."""

    x: int
    y: int = 2


class Nothing(Record):
    """No fields at all."""


def test_fields_are_given_by_place_or_by_name() -> None:
    """Either way makes the same value, defaults included."""
    assert Point(1) == Point(1, 2) == Point(x=1) == Point(1, y=2) == Point(y=2, x=1)


def test_a_subclass_has_the_fields_of_its_parent_first() -> None:
    """Its own come after them, and its defaults replace the parent's."""
    assert Point3.__fields__ == ("x", "y", "z")
    assert Point3(1).as_dict() == {"x": 1, "y": 5, "z": 3}


def test_a_record_may_have_no_fields() -> None:
    """It is a name for something without detail."""
    assert Nothing() == Nothing()
    assert repr(Nothing()) == "Nothing()"


@pytest.mark.parametrize(
    ("values", "named", "message"),
    [
        ((), {}, "Point needs x"),
        ((1, 2, 3), {}, "Point takes 2 fields, not 3"),
        ((1,), {"z": 3}, "Point has no field 'z'"),
        ((1,), {"x": 3}, "Point was given 'x' twice"),
    ],
)
def test_a_wrong_call_is_a_type_error(values: tuple[int, ...], named: dict[str, int], message: str) -> None:
    """As of a function, and it names the field."""
    with pytest.raises(TypeError, match=f"^{message}$"):
        Point(*values, **named)


def test_a_record_is_frozen() -> None:
    """Its fields can be neither set nor deleted, nor can others be added."""
    point = Point(1)

    with pytest.raises(AttributeError, match="Point is frozen: 'x' cannot be set"):
        point.x = 3  # type: ignore[misc]  # what is tested
    with pytest.raises(AttributeError, match="Point is frozen: 'z' cannot be set"):
        point.z = 3
    with pytest.raises(AttributeError, match="Point is frozen: 'x' cannot be deleted"):
        del point.x
    assert point == Point(1, 2)


def test_replace_makes_a_changed_copy() -> None:
    """The original stays as it was; an unknown field is an error."""
    point = Point(1)

    assert point.replace(y=7) == Point(1, 7)
    assert point == Point(1, 2)
    with pytest.raises(TypeError, match="no field 'z'"):
        point.replace(z=1)


def test_equal_means_same_class_and_same_fields() -> None:
    """A look-alike of another class, or a subclass, is something else."""
    assert Point(1) != Point(2)
    assert Point(1) != Other(1)
    assert Point(1) != (1, 2)
    assert Point(1, 5) != Point3(1, 5)


def test_equal_records_are_one_key() -> None:
    """They hash alike, so sets and dictionaries take them as one."""
    assert len({Point(1), Point(1, 2), Point(2), Other(1)}) == 3


def test_a_record_shows_its_fields() -> None:
    """Its text is the call that would make it."""
    point = Point(1)

    assert repr(point) == "Point(x=1, y=2)"
    assert eval(repr(point)) == point  # noqa: S307  # the text is ours


def test_a_record_can_be_matched_by_place() -> None:
    """Its fields are a pattern's places, in their order."""
    match Point3(1, 2, 3):
        case Point3(x, y, z):
            assert (x, y, z) == (1, 2, 3)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda point: pickle.loads(pickle.dumps(point))])  # noqa: S301  # ours
def test_a_copy_is_equal(again) -> None:
    """Copying and pickling keep the value."""
    assert again(Point(1, 4)) == Point(1, 4)
