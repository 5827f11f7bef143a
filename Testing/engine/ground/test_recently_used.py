"""The store of recently used values against a plain list that does the same the slow way."""

from hypothesis import given
from hypothesis import strategies as st

from mednextseg.recently_used import RecentlyUsed

_KEYS = st.sampled_from("abcdef")


@given(st.integers(1, 12), st.lists(st.tuples(st.sampled_from(["get_or_make", "discard", "get"]), _KEYS, st.integers(1, 5))))
def test_the_values_used_last_stay_within_the_capacity(capacity: int, actions: list[tuple[str, str, int]]) -> None:
    store = RecentlyUsed(capacity, len)
    expected: list[tuple[str, str]] = []  # oldest first
    for action, key, size in actions:
        known = dict(expected)
        value = known.get(key)
        expected = [entry for entry in expected if entry[0] != key]
        if action == "get_or_make":
            value = value or key * size
            assert store.get_or_make(key, lambda key=key, size=size: key * size) == value
            expected.append((key, value))
            while sum(len(kept) for _, kept in expected) > capacity and len(expected) > 1:
                expected.pop(0)
        elif action == "get":
            assert store.get(key) == value
            expected += [(key, value)] if value else []
        else:
            store.discard(key)
        assert {k: store._values[k][0] for k in store._values} == dict(expected)
        assert store.size == sum(len(kept) for _, kept in expected) and len(store) == len(expected)
    store.clear()
    assert store.size == len(store) == 0


def test_by_default_values_are_counted_and_a_new_one_replaces_the_old() -> None:
    store = RecentlyUsed(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        store.put(key, value)
    assert store.get("a") == 3 and "b" not in store and store.get("c") == 4
