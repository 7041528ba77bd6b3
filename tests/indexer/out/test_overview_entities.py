"""What labels name: one thing however it is written, and not one thing where two only have a name in common."""

from indexer.out.overview.entities import PLACE, ROOM, kind_of, of_labels


def rooms(**labels):
    given = {column: [value] if isinstance(value, str) else value for column, value in labels.items()}
    found = dict(of_labels(given, {column: kind for column in given if (kind := kind_of(column))}))
    return {(entity.key, name) for entity, name in found.items() if entity.kind == ROOM}, found


def test_rooms_of_one_number_in_two_hotels_are_two():
    one, _ = rooms(label="Harbour Inn", room="05")
    other, _ = rooms(label="Hotel Belmont", room="05")
    assert one == {("harbour inn, 05", "Harbour Inn, 05")}
    assert other == {("hotel belmont, 05", "Hotel Belmont, 05")}
    assert rooms(label="harbour  INN", room=" 05")[0] == {("harbour inn, 05", "harbour INN, 05")}


def test_a_room_is_of_what_most_likely_is_its_place_in_whatever_order_columns_stand():
    for labels in (
        {"address": "Quay 1", "hotel": "Harbour Inn", "room": "5"},
        {"hotel": "Harbour Inn", "address": "Quay 1", "room": "5"},
    ):
        found, every = rooms(**labels)
        assert found == {("harbour inn, 5", "Harbour Inn, 5")}
        assert {entity.kind for entity in every} == {PLACE, ROOM}


def test_a_room_of_no_place_and_of_two():
    assert rooms(room="Suite Lilac")[0] == {("suite lilac", "Suite Lilac")}
    assert rooms(label=["B", "A"], room="5")[0] == {("a / b, 5", "A / B, 5")}
    assert rooms(label="  ", room="5")[0] == {("5", "5")}
