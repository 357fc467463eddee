"""The API as described: the schemas of forms and answers, and values that fit them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sync.department.desk.openapi import document

DESCRIBED = document()
SHORT = 24
HOSTILE = (
    "",
    "\x00",
    "8XYZ123",
    "7ABC*",
    "'; drop table users; --",
    "<b>x</b>",
    "\u202eevil",
    "a" * 5000,
    "-1",
    "../x",
)


def fits(value: Any, schema: dict[str, Any], where: str = "") -> None:
    """Assert that a JSON value fits a schema; covers the parts of JSON Schema that the description uses."""
    if "$ref" in schema:
        schema = DESCRIBED["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        if value is not None:
            fits(value, schema["anyOf"][0], where)
        return
    kinds: dict[str, Any] = {
        "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
    }  # fmt: skip
    assert isinstance(value, kinds[schema["type"]]), where
    assert not (isinstance(value, bool) and schema["type"] != "boolean"), where
    if "enum" in schema:
        assert value in schema["enum"], where
    assert "maxLength" not in schema or len(value) <= schema["maxLength"], where
    if schema["type"] == "array":
        kinds_of = schema.get("prefixItems", [schema["items"]] * len(value))
        for at, (one, kind) in enumerate(zip(value, kinds_of, strict=True)):
            fits(one, kind, f"{where}[{at}]")
    if schema["type"] == "object" and "properties" in schema:
        assert set(schema.get("required", ())) <= set(value), where
        if schema.get("additionalProperties") is False:
            assert set(value) <= set(schema["properties"]), where
        for name, one in value.items():
            if name in schema["properties"]:
                fits(one, schema["properties"][name], f"{where}.{name}")
    elif schema["type"] == "object" and isinstance(schema.get("additionalProperties"), dict):
        for name, one in value.items():
            fits(one, schema["additionalProperties"], f"{where}.{name}")


def schema_of(name: str, part: str) -> dict[str, Any]:
    """The schema of a call's `form` or `answer`."""
    post = DESCRIBED["paths"][f"/desk/{name}"]["post"]
    body = post["requestBody"] if part == "form" else post["responses"]["200"]
    found: dict[str, Any] = body["content"]["application/json"]["schema"]
    return found


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
"""Whatever JSON can say, and the numbers that Python says beside it."""


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one case per kind
    """Values that fit a schema; covers the parts of JSON Schema that the description uses."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return st.deferred(lambda: values_of(DESCRIBED["components"]["schemas"][name]))
    if "anyOf" in schema:
        return st.one_of([values_of(one) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "array":
        if "prefixItems" in schema:
            return st.tuples(*(values_of(one) for one in schema["prefixItems"])).map(list)
        return st.lists(values_of(schema["items"]), max_size=3)
    if schema["type"] == "object" and "properties" in schema:
        parts = {name: values_of(one) for name, one in schema["properties"].items()}
        needed = {name: parts.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(needed, optional=parts)
    longest = schema.get("maxLength", len(max(HOSTILE, key=len)))
    simple: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from([one for one in HOSTILE if len(one) <= longest]) | st.text(max_size=SHORT),
        "integer": st.integers(-2, 60) | st.integers(-(2**70), 2**70),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
        "object": st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=2),
    }
    return simple[schema["type"]]


@st.composite
def near(draw: st.DrawFn, form: Any) -> Any:
    """A form with one part, at any depth, replaced by an arbitrary JSON value."""
    if isinstance(form, dict) and form:
        name = draw(st.sampled_from(sorted(form)))
        return form | {name: draw(near(form[name]) | JSON)}
    return draw(JSON | st.sampled_from(HOSTILE))
