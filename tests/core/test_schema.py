"""Columns and schemas, as a recipe or Python writes them."""

from __future__ import annotations

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema


def test_a_column_is_written_in_short_or_at_length():
    short = Schema.parse({"photo": "image"})["photo"]
    long = Schema.parse({"photo": {"modality": "image", "role": "input"}})["photo"]
    assert short == long == Column("photo", "image")


def test_options_of_the_modality_stand_beside_the_role():
    column = Column.parse("photo", {"modality": "image", "role": "both", "size": 64})
    assert column == Column("photo", "image", "both", size=64)
    assert column.options == {"size": 64}


@pytest.mark.parametrize(
    ("role", "is_input", "is_target"),
    [("input", True, False), ("target", False, True), ("both", True, True), ("meta", False, False), ("ignore", False, False)],
)
def test_each_role_says_what_is_read_and_what_is_learned(role: str, is_input: bool, is_target: bool):
    schema = Schema([Column("a", "number", role)])  # pyright: ignore[reportArgumentType]
    assert schema.inputs == (["a"] if is_input else [])
    assert schema.targets == (["a"] if is_target else [])
    assert schema.used == (["a"] if is_input or is_target else [])
    assert schema.stored == (["a"] if role != "ignore" else [])
    assert schema.meta == (["a"] if role == "meta" else [])


def test_a_schema_keeps_the_order_of_its_columns():
    schema = Schema.parse({"z": "text", "a": "number", "m": {"modality": "category", "role": "target"}})
    assert list(schema) == ["z", "a", "m"]
    assert len(schema) == 3
    assert "a" in schema
    assert "b" not in schema


def test_what_is_dumped_is_parsed_to_the_same_schema():
    schema = Schema([Column("photo", "image", size=64), Column("answer", "category", "target"), Column("note", "text", "ignore")])
    assert Schema.parse(schema.dump()).dump() == schema.dump()
    assert dict(Schema.parse(schema.dump())) == dict(schema)


def test_a_schema_passes_through_parse_unchanged():
    schema = Schema([Column("a", "text")])
    assert Schema.parse(schema) is schema


def test_an_unknown_role_offers_the_nearest():
    with pytest.raises(OmnifuseError, match=r'^columns.answer.role: unknown role "taget"; did you mean "target"'):
        Schema.parse({"answer": {"modality": "category", "role": "taget"}})


def test_an_unknown_column_offers_the_nearest():
    with pytest.raises(OmnifuseError, match='unknown column "anwser"; did you mean "answer"'):
        Schema.parse({"answer": "category"})["anwser"]


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(OmnifuseError, match='"a" is there twice'):
        Schema([Column("a", "text"), Column("a", "number")])


@pytest.mark.parametrize("value", [{}, None, [], "text", 3])
def test_no_columns_are_refused(value: object):
    with pytest.raises(OmnifuseError, match="name at least one column"):
        Schema.parse(value)


def test_a_column_without_modality_is_refused():
    with pytest.raises(OmnifuseError, match=r"columns.a: `modality` is missing"):
        Schema.parse({"a": {"role": "input"}})


@pytest.mark.parametrize("value", [3, None, ["text"]])
def test_a_column_that_is_neither_word_nor_mapping_is_refused(value: object):
    with pytest.raises(OmnifuseError, match=r"columns.a: expected a modality or a mapping"):
        Schema.parse({"a": value})


def test_an_option_whose_name_is_no_word_is_refused():
    with pytest.raises(OmnifuseError, match="option names must be words"):
        Schema.parse({"a": {"modality": "text", 3: 4}})


def test_something_to_read_and_something_to_learn_are_needed():
    with pytest.raises(OmnifuseError, match="role: target"):
        Schema([Column("a", "text")]).check_trainable()
    with pytest.raises(OmnifuseError, match="role: input"):
        Schema([Column("a", "text", "target")]).check_trainable()
    Schema([Column("a", "text"), Column("b", "text", "target")]).check_trainable()


def test_a_column_may_be_read_and_learned_and_is_hidden_while_it_is_asked_for():
    schema = Schema([Column("a", "text", "both"), Column("b", "text"), Column("c", "text", "target"), Column("d", "text", "both")])
    schema.check_trainable()
    assert schema.inputs == ["a", "b", "d"]
    assert schema.targets == ["a", "c", "d"]
    assert schema.questions == [(["c"], []), (["a"], ["a"]), (["d"], ["d"])]
    Schema([Column("a", "text", "both")]).check_trainable()


def test_a_column_does_not_change():
    with pytest.raises(AttributeError):
        Column("a", "text").role = "target"  # pyright: ignore[reportAttributeAccessIssue]
