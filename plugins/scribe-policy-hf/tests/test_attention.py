"""Attention for CPUs: what is computed in pieces is what it would be at once."""

import pytest
import torch
from scribe_policy_hf import attention


@pytest.mark.parametrize("most", [1, 4000, 2**24])
@pytest.mark.parametrize("masks", [1, 3])
def test_attention_in_pieces_is_that_of_the_textbook(monkeypatch, most, masks):
    monkeypatch.setattr(attention, "_MOST_SCORES", most)
    torch.manual_seed(0)
    query = torch.randn(3, 4, 5, 8, requires_grad=True)
    key, value = torch.randn(2, 3, 2, 7, 8)
    mask = torch.randn(masks, 1, 5, 9)
    found, _ = attention.grouped_attention(None, query, key, value, mask, 0.5)
    scores = 0.5 * query @ key.repeat_interleave(2, 1).mT + mask[..., :7]
    wanted = (scores.softmax(-1) @ value.repeat_interleave(2, 1)).transpose(1, 2)
    torch.testing.assert_close(found, wanted)
    steer = torch.randn_like(wanted)
    torch.testing.assert_close(
        *(torch.autograd.grad((each * steer).sum(), query)[0] for each in (found, wanted))
    )
