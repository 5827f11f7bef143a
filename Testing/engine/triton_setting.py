"""Where the tests of the Triton kernels run: on a graphics card if there is one, else in Triton's interpreter on the processor.

Import this before anything that imports Triton, which reads the variable when it compiles its own functions.
"""

import os

import pytest
import torch

INTERPRETED = not torch.cuda.is_available()
if INTERPRETED:
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton is not installed; it exists for Linux only")

DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
