"""The Models tab tells what others published and opens their pages; it fetches nothing by itself."""

import html
import json

import pytest

from mednextseg.models.catalogue import CatalogueEntry, catalogue
from MedNeXtSegmentLib.Models.CataloguePanel import entryHtml


@pytest.fixture
def opened(library) -> list[str]:
    """Addresses that the browser was asked to show."""
    addresses: list[str] = []
    library.catalogue.openPage = addresses.append
    return addresses


def test_every_entry_is_listed_with_size_and_state(library, opened: list[str]) -> None:
    table = library.ui.catalogueTable
    rows = [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]
    assert [row[0] for row in rows] == [entry.title for entry in catalogue()]
    assert {row[2] for row in rows} == {"unverified"}  # nobody published a SHA-256 yet
    sizes = {entry.title: entry.size or "unknown" for entry in catalogue()}
    assert all(row[1] == sizes[row[0]] for row in rows) and "unknown" in sizes.values()
    assert opened == []


def test_a_click_opens_the_page_of_the_selected_entry_and_nothing_else_does(library, opened: list[str]) -> None:
    assert not library.ui.openPageButton.enabled and "Select weights" in library.ui.catalogueLabel.text
    for row, entry in enumerate(catalogue()):
        library.ui.catalogueTable.setCurrentCell(row, 0)
        text = library.ui.catalogueLabel.text
        for said in (entry.source_page, entry.weights_license, entry.files[0], "cannot be verified"):
            assert html.escape(said) in text
        assert "--" not in text and len(opened) == row
        library.ui.openPageButton.click()
        assert opened[-1] == entry.source_page and len(opened) == row + 1


def test_a_known_hash_is_shown_and_names_are_no_markup() -> None:
    raw = {**catalogue()[0].to_dict(), "sha256": "ab" * 32, "files": ["<b>.model"]}
    raw.pop("verified")
    text = entryHtml(CatalogueEntry(**json.loads(json.dumps(raw))))
    assert "ab" * 32 in text and "cannot be verified" not in text and "&lt;b&gt;.model" in text
