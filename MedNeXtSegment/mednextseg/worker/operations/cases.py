"""Collecting a case of the scene for adapting."""

from mednextseg.cases import collecting
from mednextseg.worker.operations import Context, Operation, required
from mednextseg.worker.operations.scene_cases import array_names, channels_and_segments, joined
from mednextseg.worker.parameter_forms import check_form


def collect_case(parameters: dict, context: Context) -> dict:
    """Keep one case in the home folder; one of the same volume is replaced.

    Args:
        parameters: "cases", a list of one, as of the operation "adapt", with its arrays. Optional: "base", an object with "id", "version"
            and "weights_sha256" of the model whose result was corrected; "journals", prompt journals as JSON text.
        context: of the request.
    Returns:
        The fields of the case (see CollectedCase.to_dict), and its "id".
    """
    check_form("cases", parameters.get("cases"))
    described = parameters.get("cases") or []
    if len(described) != 1:
        raise ValueError(f"one case is collected at a time, got {len(described)}.")
    names = array_names(0, described[0])
    *_, base, journals = required(parameters, ["cases", *names], ["base", "journals"])
    volumes, segments = channels_and_segments(0, described[0], parameters, context)
    if not volumes:
        raise ValueError("a case needs an image, got none.")
    case = collecting.collect_case(described[0]["name"], volumes, joined(segments, volumes[0][1]), base, journals or ())
    return {**case.to_dict(), "id": case.id}


OPERATIONS: dict[str, Operation] = {"collect_case": collect_case}
