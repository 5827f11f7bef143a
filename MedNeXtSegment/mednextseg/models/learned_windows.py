"""A learned window policy in a file: the decision network as safetensors, and in the file's header what it was made for."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import safe_open

from mednextseg.files import make_folder
from mednextseg.json_values import json_object
from mednextseg.models.library import bundled_models_folder
from mednextseg.models.model_card import ModelCard
from mednextseg.models.policy_facts import KINDS, PolicyFacts, policy_file
from mednextseg.models.weights import load_strictly, read_safetensors, write_safetensors
from mednextseg.networks.window_decision import WindowDecision

_HEADER = "window_policy"


@dataclass(frozen=True)
class LearnedWindows:
    """A policy ready to decide."""

    facts: PolicyFacts
    network: WindowDecision


def write_policy(policy: LearnedWindows, path: str | Path) -> str:
    """Write the file; returns its SHA-256."""
    return write_safetensors(policy.network.state_dict(), path, {_HEADER: json.dumps(asdict(policy.facts))})


def read_policy(path: str | Path) -> LearnedWindows:
    """Read a file; nothing in it is executed.

    Raises:
        FileNotFoundError, ValueError: in one sentence, for a file that is missing, broken or no window policy.
    """
    tensors = read_safetensors(path)
    try:
        with safe_open(str(path), "pt") as stream:
            header = (stream.metadata() or {}).get(_HEADER, "{}")
        facts = PolicyFacts.from_dict(json_object(json.loads(header), "its header"))
        width = tensors["mean"].shape[0], tensors["choice.0.weight"].shape[0]
        network = WindowDecision(width[0], len(facts.costs), facts.kind == "dynamic", width[1])
        load_strictly(network, tensors)
    except (ValueError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(f"{path} is no window policy ({str(error).rstrip('.')}); train it again.") from error
    return LearnedWindows(facts, network.eval())


def install_policy(policy: LearnedWindows) -> Path:
    """Put a policy where runs of its model find it; one of the same kind is replaced."""
    path = policy_file(policy.facts.model.id, policy.facts.kind)
    make_folder(path.parent)
    write_policy(policy, path)
    return path


def installed_policy(card: ModelCard, kind: str | None = None) -> LearnedWindows | None:
    """The policy that was trained for exactly these weights and windows, of a kind, or the first there is; None where there is none.

    One that was installed here is taken before the one that came with a bundled model.
    """
    for name in KINDS if kind is None else (kind,):
        for path in (policy_file(card.id, name), bundled_models_folder() / card.id / f"{name}.safetensors"):
            if path.is_file():
                policy = read_policy(path)
                made_for = policy.facts.model.weights_sha256, policy.facts.patch_kji
                if made_for == (card.weights_sha256, tuple(card.patch_size_kji)):
                    return policy
    return None
