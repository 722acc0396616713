"""A wrapper on one object comes off again and leaves alone what others did meanwhile."""

from __future__ import annotations

from typing import Any

from ai_usage._methods import wrap_method


class Response:
    """Has a method."""

    def close(self) -> str:
        return "closed"


def wrapped() -> str:
    return "wrapped"


def own() -> str:
    return "own"


def test_a_wrapper_comes_off() -> None:
    response = Response()
    unwrap = wrap_method(response, "close", wrapped)
    assert response.close() == "wrapped"
    unwrap()
    assert response.close() == "closed"
    assert vars(response) == {}


def test_what_the_object_had_of_its_own_comes_back() -> None:
    response: Any = Response()
    response.close = own
    unwrap = wrap_method(response, "close", wrapped)
    assert response.close() == "wrapped"
    unwrap()
    assert response.close is own


def test_a_wrapper_of_somebody_else_stays() -> None:
    response: Any = Response()
    unwrap = wrap_method(response, "close", wrapped)
    response.close = own
    unwrap()
    assert response.close is own
