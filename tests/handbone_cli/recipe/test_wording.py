from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Union

import pytest
import tomli
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator

from handbone_cli.recipe.wording import expected, type_name, value_name


class Table(BaseModel):
    x: int = 1


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (int, "whole number"),
        (PositiveInt, "whole number"),
        (float, "number"),
        (bool, "true or false"),
        (str, "text"),
        (Any, "anything"),
        (Path, "path"),
        (Table, "table"),
        (dict[str, int], "table"),
        (Literal["instance", "batch"], "instance | batch"),
        (Literal[1, False], "1 | false"),
        (int | None, "whole number or none"),
        (Union[str, None], "text or none"),  # noqa: UP007  the older spelling
        (bool | Path, "true or false or path"),
        (Table | Literal[False], "table or false"),
        (tuple[PositiveInt, ...], "list of whole numbers"),
        (tuple[int, int], "list of 2 whole numbers"),
        (tuple[tuple[str, str], ...], "list of lists of 2 texts"),
        (tuple[str, int], "list of text, whole number"),
        (list[Table], "list of tables"),
        (tuple[Literal["a", "b"], ...], "list of a | b"),
        (list, "list"),
        (Annotated[tuple[float, ...], Field(min_length=2)], "list of numbers"),
    ],
)
def test_types_as_people_say_them(annotation, said):
    assert type_name(annotation) == said


class Every(BaseModel):
    model_config = ConfigDict(extra="forbid")

    whole: int = 1
    number: float = 1
    finite: float = Field(1, allow_inf_nan=False)
    switch: bool = True
    word: str = Field("a", pattern="^[a-z]$")
    path: Path = Path()
    pair: tuple[int, ...] = Field((1, 2), min_length=2, max_length=3)
    table: Table = Table()
    share: float = Field(0.5, ge=0, lt=1)
    many: float = Field(5, gt=1.5, le=9)
    mode: Literal["a", "b"] = "a"

    @field_validator("word")
    @classmethod
    def _not_q(cls, word: str) -> str:
        if word == "q":
            raise ValueError("q is no word")
        return word


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("whole", "ten", "expected a whole number"),
        ("whole", 1.5, "expected a whole number"),
        ("whole", [], "expected a whole number"),
        ("number", "ten", "expected a number"),
        ("number", {}, "expected a number"),
        ("finite", float("nan"), "expected a finite number"),
        ("switch", "maybe", "expected true or false"),
        ("switch", [], "expected true or false"),
        ("word", 5, "expected text"),
        ("word", "AB", "expected text that matches ^[a-z]$"),
        ("word", "q", "q is no word"),
        ("path", 5, "expected a path"),
        ("pair", 5, "expected a list"),
        ("pair", [1], "expected at least 2 values, not 1"),
        ("pair", [1, 2, 3, 4], "expected at most 3 values, not 4"),
        ("table", 5, "expected a table"),
        ("share", -1, "expected 0 or more"),
        ("share", 1, "expected less than 1"),
        ("many", 1, "expected more than 1.5"),
        ("many", 10, "expected 9 or less"),
        ("mode", "c", "expected 'a' or 'b'"),
    ],
)
def test_what_was_expected(key, value, said):
    with pytest.raises(ValidationError) as caught:
        Every.model_validate({key: value})
    assert {expected(problem) for problem in caught.value.errors()} == {said}


def test_a_complaint_nobody_thought_of_keeps_its_own_words():
    assert expected({"type": "odd", "msg": "Input is odd"}) == "input is odd"


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "none"), (True, "true"), ((1, 2.5), "[1, 2.5]"), ("a", "a"), ([(1,), ()], "[[1], []]")],
)
def test_values_as_a_recipe_has_them(value, said):
    assert value_name(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a", "'a'"),
        (False, "false"),
        ([True, "b", 0.5], "[true, 'b', 0.5]"),
        ([{"name": "hflip", "exact": True}], "[{ name = 'hflip', exact = true }]"),
        ({}, "{}"),
    ],
)
def test_values_with_quotes_can_be_copied_into_a_recipe(value, said):
    assert value_name(value, quoted=True) == said
    assert tomli.loads(f"key = {said}") == {"key": value}
