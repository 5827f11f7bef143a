"""SAM-Med2D: the Segment Anything Model with a ViT-B encoder, for 256 x 256 slices, with an adapter in every block.

Papers: Kirillov et al. 2023 (arXiv 2304.02643), Cheng et al. 2023 (arXiv 2308.16184). Tensor names are the official ones, so that
the published checkpoints load strictly. With image_size 1024 and without adapters it is SAM ViT-B, whose layout MedSAM shares.
Every call is free of state (the official prompt encoder re-creates parameters while it runs).
"""

import torch
from torch import nn

from mednextseg.networks.sam_encoder import ImageEncoder, LayerNorm2d

DECODER_CHANNELS = 256
_PATCH_PX = 16
_MASK_TOKENS = 4  # the first one is for a single unambiguous mask; SAM-Med2D never trained it


class PositionEncoding(nn.Module):
    """Random Fourier features of positions in the unit square (Tancik et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, DECODER_CHANNELS // 2))

    def forward(self, xy: torch.Tensor) -> torch.Tensor:
        """(..., 2) x and y in [0, 1] to (..., 256)."""
        angle = 2.0 * torch.pi * ((2.0 * xy - 1.0) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Points, boxes and masks as embeddings.

    Args:
        image_size: side of the network's input.
    """

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size, self.grid = image_size, image_size // _PATCH_PX
        self.pe_layer = PositionEncoding()
        # In this order: background click, object click, first and second corner of a box.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, DECODER_CHANNELS) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, DECODER_CHANNELS)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, 2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, DECODER_CHANNELS, 1),
        )
        self.no_mask_embed = nn.Embedding(1, DECODER_CHANNELS)

    def get_dense_pe(self) -> torch.Tensor:
        """(1, 256, grid, grid) encoding of the patch centers."""
        centers = (torch.arange(self.grid, device=self.no_mask_embed.weight.device) + 0.5) / self.grid
        y, x = torch.meshgrid(centers, centers, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]

    def forward(
        self,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode prompts.

        Args:
            points: (N, P, 2) x, y in pixels of the network's input, and (N, P) labels: 1 object, 0 background, -1 none.
            boxes: (N, 4) x0, y0, x1, y1 in the same pixels.
            masks: (N, 1, 4 * grid, 4 * grid); probabilities for SAM-Med2D, logits for SAM.
        Returns:
            sparse (N, T, 256) and dense (N, 256, grid, grid) embeddings.
        """
        given = [part for part in (points[0] if points else None, boxes, masks) if part is not None]
        count = given[0].shape[0] if given else 1
        sparse = [self.no_mask_embed.weight.new_zeros(count, 0, DECODER_CHANNELS)]
        if points is not None:
            sparse.append(self._embed_points(*points, pad=boxes is None))
        if boxes is not None:
            sparse.append(self._embed_boxes(boxes))
        if masks is not None:
            dense = self.mask_downscaling(masks)
        else:
            dense = self.no_mask_embed.weight.view(1, -1, 1, 1).expand(count, -1, self.grid, self.grid)
        return torch.cat(sparse, dim=1), dense

    def _embed_points(self, xy: torch.Tensor, labels: torch.Tensor, pad: bool) -> torch.Tensor:
        xy = xy.to(self.no_mask_embed.weight.dtype) + 0.5  # pixel numbers to pixel centers
        if pad:
            xy = torch.cat([xy, xy.new_zeros(len(xy), 1, 2)], dim=1)
            labels = torch.cat([labels, labels.new_full((len(labels), 1), -1)], dim=1)
        labels = labels[..., None]
        embedding = self.pe_layer(xy / self.image_size)
        embedding = torch.where(labels == -1, self.not_a_point_embed.weight[0], embedding)
        for label in (0, 1):
            embedding = embedding + (labels == label) * self.point_embeddings[label].weight[0]
        return embedding

    def _embed_boxes(self, boxes: torch.Tensor) -> torch.Tensor:
        corners = boxes.to(self.no_mask_embed.weight.dtype).reshape(-1, 2, 2) + 0.5
        kinds = torch.cat([self.point_embeddings[2].weight, self.point_embeddings[3].weight])
        return self.pe_layer(corners / self.image_size) + kinds


class DecoderAttention(nn.Module):
    """Multi-head attention whose inner width may be smaller than that of its inputs."""

    def __init__(self, inner: int, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(DECODER_CHANNELS, inner)
        self.k_proj = nn.Linear(DECODER_CHANNELS, inner)
        self.v_proj = nn.Linear(DECODER_CHANNELS, inner)
        self.out_proj = nn.Linear(inner, DECODER_CHANNELS)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        parts = (proj(x) for proj, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v)))
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in parts)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class TokenMLP(nn.Module):
    """lin2(relu(lin1(x)))."""

    def __init__(self, hidden: int = 2048) -> None:
        super().__init__()
        self.lin1 = nn.Linear(DECODER_CHANNELS, hidden)
        self.lin2 = nn.Linear(hidden, DECODER_CHANNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lin2(torch.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the image, then the image attends to the tokens."""

    def __init__(self, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = DecoderAttention(DECODER_CHANNELS)
        self.cross_attn_token_to_image = DecoderAttention(DECODER_CHANNELS // 2)
        self.mlp = TokenMLP()
        self.cross_attn_image_to_token = DecoderAttention(DECODER_CHANNELS // 2)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(DECODER_CHANNELS) for _ in range(4))

    def forward(
        self, tokens: torch.Tensor, image: torch.Tensor, token_pe: torch.Tensor, image_pe: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.is_first:  # the tokens still are their own encoding: neither added again, nor kept as a residual
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_pe
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, image + image_pe, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image + image_pe, tokens + token_pe, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Two blocks and a last look of the tokens at the image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(is_first=n == 0) for n in range(2))
        self.final_attn_token_to_image = DecoderAttention(DECODER_CHANNELS // 2)
        self.norm_final_attn = nn.LayerNorm(DECODER_CHANNELS)

    def forward(self, image: torch.Tensor, image_pe: torch.Tensor, token_pe: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image, image_pe = (x.flatten(2).transpose(1, 2) for x in (image, image_pe))
        tokens = token_pe
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, image_pe)
        last = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + last), image


class Perceptron(nn.Module):
    """Three linear layers with ReLU between them."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        inputs, widths = [DECODER_CHANNELS] * 3, [DECODER_CHANNELS] * 2 + [outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(inputs, widths, strict=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers[2](torch.relu(self.layers[1](torch.relu(self.layers[0](x)))))


class MaskDecoder(nn.Module):
    """Embeddings of image and prompts to masks and their expected IoU."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer()
        self.iou_token = nn.Embedding(1, DECODER_CHANNELS)
        self.mask_tokens = nn.Embedding(_MASK_TOKENS, DECODER_CHANNELS)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(DECODER_CHANNELS, DECODER_CHANNELS // 4, 2, stride=2),
            LayerNorm2d(DECODER_CHANNELS // 4),
            nn.GELU(),
            nn.ConvTranspose2d(DECODER_CHANNELS // 4, DECODER_CHANNELS // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Perceptron(DECODER_CHANNELS // 8) for _ in range(_MASK_TOKENS))
        self.iou_prediction_head = Perceptron(_MASK_TOKENS)

    def forward(
        self,
        image_embeddings: torch.Tensor,
        image_pe: torch.Tensor,
        sparse_prompt_embeddings: torch.Tensor,
        dense_prompt_embeddings: torch.Tensor,
        multimask_output: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode.

        Args:
            image_embeddings: (1 or N, 256, grid, grid).
            image_pe: (1, 256, grid, grid), PromptEncoder.get_dense_pe().
            sparse_prompt_embeddings, dense_prompt_embeddings: of N prompts.
            multimask_output: True for the three masks of different extent, False for the single one (SAM and MedSAM only).
        Returns:
            mask logits (N, 3 or 1, 4 * grid, 4 * grid) and the expected IoU of each (N, 3 or 1).
        """
        count = sparse_prompt_embeddings.shape[0]
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None].expand(count, -1, -1)
        tokens = torch.cat([own, sparse_prompt_embeddings], dim=1)
        image = image_embeddings.expand(count, -1, -1, -1) + dense_prompt_embeddings
        tokens, image = self.transformer(image, image_pe.expand(count, -1, -1, -1), tokens)
        image = image.transpose(1, 2).unflatten(2, tuple(image_embeddings.shape[-2:]))
        upscaled = self.output_upscaling(image)
        filters = [mlp(tokens[:, 1 + n]) for n, mlp in enumerate(self.output_hypernetworks_mlps)]
        masks = torch.einsum("nmc,nchw->nmhw", torch.stack(filters, dim=1), upscaled)
        iou = self.iou_prediction_head(tokens[:, 0])
        wanted = slice(1, None) if multimask_output else slice(0, 1)
        return masks[:, wanted], iou[:, wanted]


class SamMed2D(nn.Module):
    """The three parts together, under their official names.

    Args:
        image_size: side of the input, 256 for SAM-Med2D and 1024 for SAM and MedSAM.
        adapters: whether the encoder's blocks have SAM-Med2D's adapters.
    """

    def __init__(self, image_size: int, adapters: bool) -> None:
        super().__init__()
        self.image_size = image_size
        self.image_encoder = ImageEncoder(image_size, adapters)
        self.prompt_encoder = PromptEncoder(image_size)
        self.mask_decoder = MaskDecoder()

    def forward(
        self,
        embedding: torch.Tensor,
        points: tuple[torch.Tensor, torch.Tensor] | None = None,
        boxes: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
        multimask_output: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks for prompts on an encoded image (`image_encoder`); arguments as in PromptEncoder and MaskDecoder."""
        sparse, dense = self.prompt_encoder(points, boxes, masks)
        return self.mask_decoder(embedding, self.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output)


def build_sam_med2d(image_size: int = 256, adapters: bool = True) -> SamMed2D:
    """SAM-Med2D with random weights, official tensor names.

    Args:
        image_size: 256, or 1024 for the layout of SAM ViT-B and MedSAM.
        adapters: False for SAM and MedSAM.
    Raises:
        ValueError: for an image size that is not a positive multiple of 16.
    """
    if image_size < _PATCH_PX or image_size % _PATCH_PX:
        raise ValueError(f"the image size must be a positive multiple of {_PATCH_PX} pixels, got {image_size}.")
    return SamMed2D(image_size, adapters)
