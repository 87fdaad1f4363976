"""What the encoder minimises beside bits: squared error, and by a share what of MS-SSIM is missing.

People miss structure, which the squared error alone gives up first. Of MS-SSIM the luma at the four coarser scales is
taken, a tenth of the work: what the metric as it is measured gains, over all three colours and five scales, is as much.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from ...metrics.fidelity import MS_SSIM_MIN_SIDE
from ...metrics.structure import WORTH, Structure
from ...models.precision import autocast
from ...picture.color import LUMA
from .transforms import PIXEL


def error_to(pixels: Tensor, share: float) -> Callable[[Tensor], Tensor]:
    """The error of decoded pictures, of each the sum in the square of the transforms' unit, (N,), differentiable.

    Args:
        pixels: the originals, (N, 3, H, W) in the transforms' unit; the pictures are alike.
        share: of MS-SSIM; none where a side is too short for it.
    """
    if min(pixels.shape[2:]) < MS_SSIM_MIN_SIDE:
        return lambda picture: (picture - pixels).square().sum((1, 2, 3))
    colours = pixels.new_tensor(LUMA).reshape(1, 3, 1, 1) * PIXEL

    def luma(picture: Tensor) -> Tensor:
        """Of pictures of half the size."""
        return (F.avg_pool2d(picture, 2) * colours).sum(1, keepdim=True) + 127.5

    worth = share * WORTH / PIXEL**2 * pixels[0].numel()
    with autocast(on=False):
        structure = Structure(luma(pixels), finest=1)

    def error(picture: Tensor) -> Tensor:
        with autocast(on=False):
            missing = 1 - structure(luma(picture))
        return (1 - share) * (picture - pixels).square().sum((1, 2, 3)) + worth * missing

    return error
