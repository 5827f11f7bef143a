"""The three blocks of MedNeXt as functions with gradients of our own; the same results as networks/mednext.py.

Each keeps two activations for the way back, its input and the output of its depthwise convolution, where autograd keeps seven.
All take one sample, (1, C, K, J, I), since the norm's statistics are those of one sample.

The bias of the depthwise convolution has the gradient zero: the norm subtracts it again. (Autograd returns the rounding of that
zero, which an optimizer that divides by the size of gradients turns into steps of full length.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mednextseg.kernels.cpu.depthwise import Parity, channels_last, phases_with_voxels, transposed_phases
from mednextseg.kernels.cpu.gradients.depthwise import (
    plain_input_gradient,
    plain_weight_gradient,
    strided_input_gradient,
    transposed_input_gradient,
    transposed_weight_gradient,
)
from mednextseg.kernels.cpu.gradients.mlp import MlpGradients, MlpParameters, NormalizedMlp
from mednextseg.kernels.cpu.rows import Rows, chunks, plane_chunks
from mednextseg.networks.mednext import MedNeXtBlock, MedNeXtDownBlock, MedNeXtUpBlock


def block(module: MedNeXtBlock, x: Tensor) -> Tensor:
    """module(x)."""
    return _Block.apply(x, module.norm.eps, module.residual, *_parameters(module))


def down_block(module: MedNeXtDownBlock, x: Tensor) -> Tensor:
    """module(x); the axes of the grid are even."""
    shortcut = (module.res_conv.weight.flatten(1), module.res_conv.bias) if module.residual else (None, None)
    return _DownBlock.apply(x, module.norm.eps, *shortcut, *_parameters(module))


def up_block(module: MedNeXtUpBlock, x: Tensor, skip: Tensor) -> Tensor:
    """module(x) + skip."""
    shortcut = (module.res_conv.weight.flatten(1).t(), module.res_conv.bias) if module.residual else (None, None)
    return _UpBlock.apply(x, skip, module.norm.eps, *shortcut, *_parameters(module))


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1x1x1 convolution with weight (C_out, C_in), by a product of rows; autograd's own gradients."""
    return F.linear(x.permute(0, 2, 3, 4, 1), weight, bias).permute(0, 4, 1, 2, 3)


def _parameters(module: MedNeXtBlock) -> tuple[Tensor, ...]:
    """Depthwise weight and bias, then the fields of MlpParameters."""
    expand, project = module.conv2, module.conv3
    return (
        module.conv1.weight,
        module.conv1.bias,
        module.norm.weight,
        module.norm.bias,
        expand.weight.flatten(1),
        expand.bias,
        project.weight.flatten(1),
        project.bias,
    )


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, eps, residual, weight, bias, *mlp):
        x = Rows.from_volume(x)
        y = Rows.from_volume(_convolve(x.volume, weight, bias, 1))
        ctx.mlp, ctx.residual = _normalized_mlp(mlp, [y.values], eps), residual
        out = y.values.new_empty(y.values.shape[0], mlp[4].shape[0])
        for voxels in chunks(out.shape[0], ctx.mlp.hidden):
            part = ctx.mlp.forward(y.values[voxels])
            if residual:
                torch.add(x.values[voxels], part, out=out[voxels])
            else:
                out[voxels] = part
        ctx.save_for_backward(x.volume, y.volume, weight)
        return Rows(out, y.grid_kji).volume

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, y, weight = ctx.saved_tensors
        gradient = Rows.from_volume(gradient)
        y_gradient, mlp = _mlp_backward(ctx.mlp, Rows.from_volume(y), gradient)
        x_gradient = plain_input_gradient(y_gradient.volume, weight)
        if ctx.residual:
            x_gradient.add_(gradient.volume)
        weight_gradient = plain_weight_gradient(x, y_gradient.volume, weight.shape[-1], 1)
        return x_gradient, None, None, weight_gradient, weight.new_zeros(weight.shape[0]), *mlp


class _DownBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, eps, shortcut, shortcut_bias, weight, bias, *mlp):
        x = Rows.from_volume(x)
        y = Rows.from_volume(_convolve(x.volume, weight, bias, 2))
        ctx.mlp = _normalized_mlp(mlp, [y.values], eps)
        out = y.values.new_empty(y.values.shape[0], mlp[4].shape[0])
        if shortcut is not None:
            torch.addmm(shortcut_bias, _every_second(x), shortcut.t(), out=out)
        for voxels in chunks(out.shape[0], ctx.mlp.hidden):
            part = ctx.mlp.forward(y.values[voxels])
            out[voxels] = part if shortcut is None else part.add_(out[voxels])
        ctx.save_for_backward(x.volume, y.volume, weight, shortcut)
        return Rows(out, y.grid_kji).volume

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, y, weight, shortcut = ctx.saved_tensors
        gradient = Rows.from_volume(gradient)
        y_gradient, mlp = _mlp_backward(ctx.mlp, Rows.from_volume(y), gradient)
        x_gradient = strided_input_gradient(y_gradient.volume, weight)
        shortcut_gradients = (None, None)
        if shortcut is not None:
            x_gradient[:, :, ::2, ::2, ::2] += Rows(gradient.values @ shortcut, gradient.grid_kji).volume
            shortcut_gradients = (gradient.values.t() @ _every_second(Rows.from_volume(x)), mlp.project_bias)
        weight_gradient = plain_weight_gradient(x, y_gradient.volume, weight.shape[-1], 2)
        return x_gradient, None, *shortcut_gradients, weight_gradient, weight.new_zeros(weight.shape[0]), *mlp


class _UpBlock(torch.autograd.Function):
    """With the addition of the skip: output voxel o of the block lies at o + 1 of the skip, index 0 keeps the skip alone.

    The strided shortcut reaches the even outputs, phase (0, 0, 0); elsewhere it is its bias.
    """

    @staticmethod
    def forward(ctx, x, skip, eps, shortcut, shortcut_bias, weight, bias, *mlp):
        x = Rows.from_volume(x)
        phases = phases_with_voxels(transposed_phases(weight, weight.dtype), x.grid_kji)
        y = [Rows.from_volume(phase.convolve(x.volume, bias.detach())) for phase in phases]
        ctx.phases, ctx.mlp = phases, _normalized_mlp(mlp, [part.values for part in y], eps)
        out = skip.clone(memory_format=torch.channels_last_3d)
        for phase, rows in zip(phases, y, strict=True):
            target = _positions(out, phase.parity_kji)
            for planes, voxels in plane_chunks(rows.grid_kji, ctx.mlp.hidden):
                part = ctx.mlp.forward(rows.values[voxels])
                if shortcut is not None:
                    part.add_(shortcut_bias)
                    if phase.parity_kji == (0, 0, 0):
                        part.addmm_(x.values[voxels], shortcut.t())
                target[:, :, planes] += Rows(part, (planes.stop - planes.start, *rows.grid_kji[1:])).volume
        ctx.save_for_backward(x.volume, weight, shortcut, *(rows.volume for rows in y))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, weight, shortcut, *y = ctx.saved_tensors
        x, sums = Rows.from_volume(x), MlpGradients(ctx.mlp)
        y = [Rows.from_volume(part) for part in y]
        parts = [rows.values.new_empty(rows.values.shape) for rows in y]
        for phase, rows, part in zip(ctx.phases, y, parts, strict=True):
            source = _positions(gradient, phase.parity_kji)
            for planes, voxels in plane_chunks(rows.grid_kji, ctx.mlp.hidden):
                sums.add(rows.values[voxels], Rows.from_volume(source[:, :, planes]).values, part[voxels])
        mlp = sums.parameters()
        gradients = {}
        for phase, rows, part in zip(ctx.phases, y, parts, strict=True):
            _finish(sums, rows.values, part)
            gradients[phase.parity_kji] = Rows(part, rows.grid_kji).volume
        x_gradient = transposed_input_gradient(gradients, ctx.phases)
        shortcut_gradients = (None, None)
        if shortcut is not None:
            even = Rows.from_volume(_positions(gradient, (0, 0, 0))).values
            x_gradient.add_(Rows(even @ shortcut, x.grid_kji).volume)
            shortcut_gradients = (even.t() @ x.values, mlp.project_bias)
        weight_gradient = transposed_weight_gradient(x.volume, gradients, weight.shape[-1])
        return x_gradient, gradient, None, *shortcut_gradients, weight_gradient, weight.new_zeros(weight.shape[0]), *mlp


def _convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    kernel = channels_last(weight, weight.dtype)
    return F.conv3d(x, kernel, bias, stride, weight.shape[-1] // 2, groups=weight.shape[0])


def _every_second(rows: Rows) -> Tensor:
    """The rows of the voxels that a strided 1x1 convolution sees."""
    return Rows.from_volume(rows.volume[:, :, ::2, ::2, ::2]).values


def _positions(volume: Tensor, parity_kji: Parity) -> Tensor:
    """Where the outputs of a phase lie in the skip's grid."""
    return volume[(..., *(slice(1 + parity, None, 2) for parity in parity_kji))]


def _normalized_mlp(parameters: tuple[Tensor, ...], parts: list[Tensor], eps: float) -> NormalizedMlp:
    return NormalizedMlp(MlpParameters(*(tensor.detach() for tensor in parameters)), parts, eps)


def _mlp_backward(mlp: NormalizedMlp, rows: Rows, gradient: Rows) -> tuple[Rows, MlpParameters]:
    """Gradients of the rows and of the parameters."""
    sums, row_gradient = MlpGradients(mlp), torch.empty_like(rows.values)
    for voxels in chunks(rows.values.shape[0], mlp.hidden):
        sums.add(rows.values[voxels], gradient.values[voxels], row_gradient[voxels])
    parameters = sums.parameters()
    _finish(sums, rows.values, row_gradient)
    return Rows(row_gradient, rows.grid_kji), parameters


def _finish(sums: MlpGradients, rows: Tensor, row_gradient: Tensor) -> None:
    for voxels in chunks(*rows.shape):
        sums.finish_rows(rows[voxels], row_gradient[voxels])
