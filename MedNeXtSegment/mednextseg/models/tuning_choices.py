"""What an adaptation can be asked for, as tables for people: what is trained, by which loss, on which patches. Standard library only.

Slicer's process lists them too; adapt/tuning/methods, adapt/losses and adapt/mednext/sampling.py do what they say.
"""

from dataclasses import dataclass

from mednextseg.json_values import one_of


@dataclass(frozen=True)
class Choice:
    """One line of a table.

    Attributes:
        name: on the command line, in recipes and reports.
        title: a few words, which may follow "training".
        advice: one sentence on when to take it.
        is_for_mednext: whether no other family of networks can be trained so.
    """

    name: str
    title: str
    advice: str
    is_for_mednext: bool = False


def _table(*choices: Choice) -> dict[str, Choice]:
    return {choice.name: choice for choice in choices}


# The first of each table is the default.
METHODS = _table(
    Choice(
        "all", "the whole network", "The first to try: learned most of all ways where they were measured; the most to forget."
    ),
    Choice(
        "head",
        "the last layer only",
        "The quickest, and forgets little; neither a new contrast nor new structures were learned with it where that was measured.",
    ),
    Choice(
        "adapters",
        "small adapters, with the base frozen",
        "A small file beside the base, which stays as it is; slow to learn; needs the base installed, and a MedNeXt.",
        is_for_mednext=True,
    ),
    Choice(
        "upkern",
        "the whole network with larger kernels",
        "Sees more of the surroundings; slower, and less learned in as many steps; needs a MedNeXt.",
        is_for_mednext=True,
    ),
    Choice(
        "shape-priors",
        "the whole network with shape priors on its skips (SPM)",
        "No gain was measured; what was learned of the structures' places can be looked at; needs a MedNeXt.",
        is_for_mednext=True,
    ),
    Choice(
        "class-attention",
        "the whole network with attention by class at its bottleneck (CGA)",
        "For few classes of different looks; no gain was measured; needs a MedNeXt.",
        is_for_mednext=True,
    ),
    Choice(
        "settings",
        "nothing, but the settings chosen: threshold, smallest part, overlap, mirrored views (auto-tune)",
        "For a model that is nearly right on your cases; quick, and no structure can be forgotten.",
    ),
)
LOSSES = _table(
    Choice("dice-ce", "Dice and cross-entropy", "The usual choice; no other was better where they were measured."),
    Choice(
        "tversky",
        "Tversky and cross-entropy",
        "Missed voxels cost more than wrong ones: for small structures that are overlooked.",
    ),
    Choice(
        "tversky-published",
        "Tversky as MedISeg has it, and cross-entropy",
        "Wrong voxels cost more than missed ones: for structures that come out too large.",
    ),
    Choice(
        "focal", "Dice and focal loss", "Voxels that are nearly right count less: for much background and little structure."
    ),
    Choice("hard-voxels", "Dice and cross-entropy of the hardest 70 % of voxels (OHEM)", "Easy voxels do not count at all."),
    Choice(
        "misclassified",
        "Dice, cross-entropy and contrast at misclassified voxels (PNE)",
        "Pulls the features of confused voxels apart: for structures that look alike; needs a MedNeXt.",
        is_for_mednext=True,
    ),
)
SAMPLINGS = _table(
    Choice("usual", "two of three patches around a labeled voxel", "The usual choice."),
    Choice(
        "foreground",
        "nine of ten patches around a labeled voxel, every label as often",
        "For small or rare labels beside large ones.",
    ),
    Choice(
        "hard",
        "the harder half of the patches drawn",
        "Every step draws twice as many patches and learns those it knows least; slower, and less was learned where that was measured.",
    ),
)


def choice_named(name: object, what: str, table: dict[str, Choice]) -> Choice:
    """The line of a table.

    Raises:
        ValueError: listing those there are.
    """
    return table[one_of(name, what, table)]
