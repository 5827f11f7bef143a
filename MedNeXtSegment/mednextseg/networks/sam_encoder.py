"""The ViT-B image encoder of SAM (Kirillov et al. 2023) and the adapters of SAM-Med2D (Cheng et al. 2023).

Window attention and decomposed relative positions follow ViTDet (Li et al. 2022, arXiv 2203.16527).
"""

import torch
from torch import nn
from torch.nn import functional as F

_WIDTH, _DEPTH, _HEADS, _MLP_RATIO = 768, 12, 12, 4
_WINDOW = 14
_GLOBAL_BLOCKS = (2, 5, 8, 11)
_OUT_CHANNELS = 256
_PATCH_PX = 16
_NORM_EPS = 1e-6


class LayerNorm2d(nn.Module):
    """Layer normalization over the channels of (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centered = x - x.mean(dim=1, keepdim=True)
        deviation = torch.sqrt(centered.square().mean(dim=1, keepdim=True) + _NORM_EPS)
        return self.weight[:, None, None] * (centered / deviation) + self.bias[:, None, None]


class Adapter(nn.Module):
    """Channel gate, then a strided convolution and its transpose, beside a shortcut.

    Its layer norm has PyTorch's default eps of 1e-5, unlike the encoder's 1e-6.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(_WIDTH)
        self.channel = nn.Sequential(
            nn.Linear(_WIDTH, _WIDTH // 4, bias=False), nn.ReLU(), nn.Linear(_WIDTH // 4, _WIDTH, bias=False), nn.Sigmoid()
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(_WIDTH, _WIDTH, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) to the same."""
        gate = self.channel(x.mean(dim=(1, 2)))[:, None, None, :]
        spatial = self.spatial((x * gate).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.norm(x + spatial)


class WindowAttention(nn.Module):
    """Self-attention on a square grid with decomposed relative positions."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.proj = nn.Linear(_WIDTH, _WIDTH)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, _WIDTH // _HEADS))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, _WIDTH // _HEADS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, S, S, C) to the same."""
        count, side = x.shape[:2]
        qkv = self.qkv(x).view(count, side * side, 3, _HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self._position_bias(q, side))
        return self.proj(mixed.transpose(1, 2).reshape(count, side, side, _WIDTH))

    def _position_bias(self, q: torch.Tensor, side: int) -> torch.Tensor:
        """(N, heads, S * S, S * S): what each query makes of the row and column distance to each key."""
        steps = torch.arange(side, device=q.device)
        distance = steps[:, None] - steps[None, :] + side - 1
        grid = q.unflatten(2, (side, side))
        rows = torch.einsum("nhyxc,ykc->nhyxk", grid, self.rel_pos_h[distance])
        cols = torch.einsum("nhyxc,xkc->nhyxk", grid, self.rel_pos_w[distance])
        bias = rows[..., :, None] + cols[..., None, :]
        return bias.flatten(4, 5).flatten(2, 3)


class EncoderMLP(nn.Module):
    """lin2(gelu(lin1(x)))."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1 = nn.Linear(_WIDTH, _MLP_RATIO * _WIDTH)
        self.lin2 = nn.Linear(_MLP_RATIO * _WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lin2(F.gelu(self.lin1(x)))


class EncoderBlock(nn.Module):
    """Attention in windows or on the whole grid, then the MLP with the adapter beside it."""

    def __init__(self, grid: int, is_global: bool, adapter: bool) -> None:
        super().__init__()
        self.window = 0 if is_global else _WINDOW
        self.norm1 = nn.LayerNorm(_WIDTH, eps=_NORM_EPS)
        self.attn = WindowAttention(grid if is_global else _WINDOW)
        self.norm2 = nn.LayerNorm(_WIDTH, eps=_NORM_EPS)
        self.mlp = EncoderMLP()
        if adapter:
            self.Adapter = Adapter()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(x)
        x = x + (self._in_windows(normed) if self.window else self.attn(normed))
        normed = self.norm2(x)
        change = self.mlp(normed)
        return x + change + self.Adapter(normed) if hasattr(self, "Adapter") else x + change

    def _in_windows(self, x: torch.Tensor) -> torch.Tensor:
        """Attention inside windows of the grid, padded with zeros that take part in the softmax, as in training."""
        count, height, width = x.shape[:3]
        tall, wide = (-(-n // self.window) for n in (height, width))
        x = F.pad(x, (0, 0, 0, wide * self.window - width, 0, tall * self.window - height))
        x = x.view(count, tall, self.window, wide, self.window, _WIDTH).transpose(2, 3)
        x = self.attn(x.reshape(-1, self.window, self.window, _WIDTH))
        x = x.view(count, tall, wide, self.window, self.window, _WIDTH).transpose(2, 3)
        return x.reshape(count, tall * self.window, wide * self.window, _WIDTH)[:, :height, :width]


class PatchEmbedding(nn.Module):
    """16 x 16 pixel patches to tokens, (N, H, W, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, _WIDTH, _PATCH_PX, stride=_PATCH_PX)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.proj(image).permute(0, 2, 3, 1)


class ImageEncoder(nn.Module):
    """ViT-B with SAM's neck.

    Args:
        image_size: side of the input.
        adapters: SAM-Med2D's adapters in every block.
    """

    def __init__(self, image_size: int, adapters: bool) -> None:
        super().__init__()
        grid = image_size // _PATCH_PX
        self.patch_embed = PatchEmbedding()
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, _WIDTH))
        self.blocks = nn.ModuleList(EncoderBlock(grid, n in _GLOBAL_BLOCKS, adapters) for n in range(_DEPTH))
        self.neck = nn.Sequential(
            nn.Conv2d(_WIDTH, _OUT_CHANNELS, 1, bias=False),
            LayerNorm2d(_OUT_CHANNELS),
            nn.Conv2d(_OUT_CHANNELS, _OUT_CHANNELS, 3, padding=1, bias=False),
            LayerNorm2d(_OUT_CHANNELS),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) preprocessed image to the embedding (N, 256, S / 16, S / 16)."""
        x = self.patch_embed(image) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))
