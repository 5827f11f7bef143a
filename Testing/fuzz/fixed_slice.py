"""The inputs that `make test` tries: seeds of each kind."""

SLICE: dict[str, range | tuple[int, ...]] = {}
