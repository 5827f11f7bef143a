"""Label names of public data sets get SNOMED codes and colors; names that are not known stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.labels.codes import _table, coded_label, stu_net_labels
from mednextseg.labels.names import canonical_name
from mednextseg.labels.tables import LABEL_TABLES
from mednextseg.labels.terminology import terminology_entry

# As the data sets spell them in their dataset.json, misspellings included.
DATA_SETS = {
    "AMOS": (
        "spleen, right kidney, left kidney, gall bladder, esophagus, liver, stomach, arota, postcava, pancreas, right adrenal gland, "
        "left adrenal gland, duodenum, bladder, prostate/uterus"
    ),
    "BTCV": (
        "spleen, right kidney, left kidney, gallbladder, esophagus, liver, stomach, aorta, inferior vena cava, "
        "portal vein and splenic vein, pancreas, right adrenal gland, left adrenal gland"
    ),
    "FLARE22": (
        "liver, right kidney, spleen, pancreas, aorta, inferior vena cava, right adrenal gland, left adrenal gland, gallbladder, "
        "esophagus, stomach, duodenum, left kidney"
    ),
    "WORD": (
        "liver, spleen, left_kidney, right_kidney, stomach, gallbladder, esophagus, pancreas, duodenum, colon, intestine, adrenal, "
        "rectum, bladder, Head_of_femur_L, Head_of_femur_R"
    ),
    "OpenKBP": "Brainstem, spinal cord, right parotid gland, left parotid gland, esophagus, larynx, mandible",
    "whole heads": (
        "left cerebral white matter, right cerebral cortex, left lateral ventricle, right inferior lateral ventricle, "
        "left cerebellum white matter, right cerebellum cortex, left thalamus, right caudate, left putamen, right pallidum, "
        "left hippocampus, right amygdala, left accumbens, left ventral DC, third ventricle, 4th ventricle, brain stem, CSF"
    ),
    "BraTS": "NCR, ED, ET, whole tumor, tumor core, enhancing tumor, peritumoral edema, necrotic tumor core, NETC",
    "MSD": (
        "edema, non-enhancing tumor, enhancing tumour, left atrium, liver, cancer, lung, pancreas, PZ, TZ, spleen, "
        "colon cancer primaries, Tumour, kidney, tumor"
    ),
}
# The two organs of one label, and structures whose codes no source of the table gives.
WITHOUT_CODE = {"prostate/uterus", "Head_of_femur_L", "Head_of_femur_R", "left ventral DC"}


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_every_structure_of_a_data_set_is_coded_or_known_to_be_not(data_set: str) -> None:
    names = DATA_SETS[data_set].split(", ")
    labels = [coded_label(value, name) for value, name in enumerate(names, start=1)]
    assert [label.name for label in labels] == names
    assert {label.name for label in labels if not label.terminology} == WITHOUT_CODE & set(names)
    for label in labels:
        assert not label.terminology or label.terminology["type"][0] == "SCT"


@pytest.mark.parametrize(
    ("name", "code", "side"),
    [
        ("liver", "10200004", None),
        ("Right Kidney", "64033007", "Right"),
        ("kidney_left", "64033007", "Left"),
        ("left adrenal gland", "23451007", "Left"),
        ("postcava", "64131007", None),
        ("gall bladder", "28231008", None),
        ("vertebrae_T9", "82687006", None),
        ("rib_left_3", "25888004", "Left"),
        ("peritumoral edema", "79654002", None),
        ("portal vein and splenic vein", "110765007", None),
        ("PZ", "279706003", None),
        ("netc", "108369006", None),
    ],
)
def test_names_of_public_data_sets_get_their_codes(name: str, code: str, side: str | None) -> None:
    label = coded_label(3, name)
    assert label.name == name and label.terminology["type"][:2] == ("SCT", code)
    modifier = label.terminology.get("type_modifier")
    assert (modifier[2] if modifier else None) == side
    assert code in terminology_entry(label)


def test_every_stu_net_label_has_codes_and_unknown_names_stay_plain() -> None:
    names = stu_net_labels()
    assert len(names) == 104 and names == sorted(names)
    assert all(coded_label(value, name).terminology for value, name in enumerate(names, start=1))
    plain = [
        coded_label(value, name) for value, name in enumerate(("prostate/uterus", "label 1", "left left kidney", ""), start=1)
    ]
    assert all(not label.terminology for label in plain) and len({label.color for label in plain}) == 4


@given(st.data())
def test_spellings_that_are_compared_as_one_structure_have_one_code(data: st.DataObject) -> None:
    """The same canonical name serves comparing and coding, whatever the case, the joints and the place of the side."""
    entry = data.draw(st.sampled_from(sorted(_table()["structures"])))
    words, side = entry.split("_"), None
    if _table()["structures"][entry].get("paired"):
        side = data.draw(st.sampled_from([["Left", "left", "L", "lt"], ["right", "RIGHT", "R", "Rt"]]))
    spellings = []
    for _ in range(2):
        spelled = [data.draw(st.sampled_from([word, word.upper(), word.capitalize()])) for word in words]
        if side is not None:
            spelled.insert(data.draw(st.sampled_from([0, len(spelled)])), data.draw(st.sampled_from(side)))
        spellings.append(data.draw(st.sampled_from([" ", "_", "-", ", "])).join(spelled))
    one, other = (coded_label(1, name) for name in spellings)
    assert canonical_name(spellings[0]) == canonical_name(spellings[1])
    assert one.terminology == other.terminology and one.color == other.color and one.terminology
    assert coded_label(1, canonical_name(spellings[0])).terminology == one.terminology


def test_the_table_of_codes_says_nothing_twice() -> None:
    names = [canonical_name(name) for name in (*_table()["structures"], *_table()["synonyms"])]
    assert len(set(names)) == len(names)
    assert set(_table()["synonyms"].values()) <= set(_table()["structures"])


@pytest.mark.parametrize("table", ["TotalSegmentator-CT", "BTCV", "FLARE22"])
def test_the_tables_for_comparing_are_coded_too(table: str) -> None:
    plain = [name for name in LABEL_TABLES[table] if not coded_label(1, name).terminology]
    assert plain == []
