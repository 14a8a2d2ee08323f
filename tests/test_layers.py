"""Blocks whose mistakes no shape would show."""

import pytest
import torch

from colorlab.layers import ChromaHead, LightnessStem, PictureHead, SelfAttention


def test_attention_is_the_softmax_over_positions_of_each_head():
    torch.manual_seed(0)
    attend = SelfAttention(8, heads=2).eval()
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(attend(x), x), "its residual path starts at zero"
    torch.nn.init.normal_(attend.to_out.weight)
    q, k, v = attend.to_qkv(attend.norm(x)).flatten(2).chunk(3, dim=1)  # (N, 8, 12) each
    heads = []
    for channels in (slice(0, 4), slice(4, 8)):
        weight = (q[:, channels].mT @ k[:, channels] / 4**0.5).softmax(dim=-1)  # (N, 12, 12)
        heads.append(v[:, channels] @ weight.mT)
    want = x + attend.to_out(torch.cat(heads, dim=1).view_as(x))
    torch.testing.assert_close(attend(x), want, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="6 channels cannot be shared by 4 heads"):
        SelfAttention(6)


@pytest.mark.parametrize("fold", [4, 8])
def test_stem_and_heads_keep_each_pixel_at_its_place_and_in_its_unit(fold):
    seen = LightnessStem(4, fold).eval()(torch.full((1, 1, 32, 32), 50.0))
    assert torch.equal(seen, torch.zeros(1, 4, 32 // fold, 32 // fold)), "L of 50 is 0"
    features = torch.zeros(1, 4, 32 // fold, 32 // fold)
    features[..., 1, 0] = 1.0
    chroma, picture = ChromaHead(4, fold).eval(), PictureHead(4, fold).eval()
    assert not chroma(features).any(), "it starts at gray"
    torch.nn.init.constant_(chroma.project.bias, 0.1)
    torch.testing.assert_close(chroma(features), torch.full((1, 2, 8, 8), 11.0))
    with torch.no_grad():
        picture.project.weight.zero_()[:, :, 1, 1] = 0.25
        picture.project.bias.zero_()
    want = torch.full((1, 3, 32, 32), 0.5)
    want[..., fold : 2 * fold, :fold] = 1.5
    torch.testing.assert_close(picture(features), want)
