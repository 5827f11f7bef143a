"""Promptable correction of a segment: points, boxes and masks on any slice. Importing this needs numpy only."""

from mednextseg.refine.loading import load_prompter
from mednextseg.refine.prompter import Embedding, Prompter, PrompterInfo, Result
from mednextseg.refine.prompts import Prompts

__all__ = ["Embedding", "Prompter", "PrompterInfo", "Prompts", "Result", "load_prompter"]
