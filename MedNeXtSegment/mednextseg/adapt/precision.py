"""In which precision a training computes: float32 on a processor, half precision with float32 weights on a graphics card."""

import torch


class Precision:
    """Half precision where it pays, with what it needs to be safe.

    On a card bfloat16 is taken, whose exponents are those of float32; a card that has none computes in float16, whose small gradients
    would vanish: the loss is scaled up for them. A processor stays with float32, since bfloat16 was measured slower there.

    Args:
        device: of the training.
        dtype: of the products; None chooses.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype | None = None) -> None:
        self._kind = device.type
        self.dtype = _usual(device) if dtype is None else dtype
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

    def autocast(self) -> torch.autocast:
        """The context of a forward pass."""
        is_half = self.dtype != torch.float32
        return torch.autocast(self._kind, self.dtype if is_half else torch.bfloat16, enabled=is_half)


def _usual(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
