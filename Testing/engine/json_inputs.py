"""JSON values of every kind and changed copies of good JSON, for tests that anything people write ends in one sentence."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["0", "1", "0.5", "no", 10**400, -(10**400)]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.sampled_from(["0", "1"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places_in(value: Any, place: tuple = ()) -> list[tuple]:
    """Paths to every entry of nested JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, child in inner for p in ((*place, key), *places_in(child, (*place, key)))]


@st.composite
def changed(draw: st.DrawFn, good: Any) -> Any:
    """A copy with one to three entries, at any depth, replaced by anything or left out."""
    raw = deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        places = places_in(raw)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        holder = raw
        for key in way:
            holder = holder[key]
        if draw(st.booleans()):
            holder[last] = draw(JSON_VALUES)
        else:
            del holder[last]
    return raw


def is_one_sentence(error: Exception) -> bool:
    """What the command line prints: text in one line that ends like a sentence."""
    return len(str(error)) > 10 and "\n" not in str(error).rstrip() and str(error).endswith(".")
