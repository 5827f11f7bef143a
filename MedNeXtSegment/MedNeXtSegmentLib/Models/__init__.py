"""The Models tab: the library of installed models, import, and the catalogue."""
