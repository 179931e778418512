import pytest
from torch import nn

from autosam.models.parameters import PartParameters, parameter_table, part_of
from autosam.models.sam.adapter import add_adapters
from autosam.models.variants import build_sam


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("weight", "(own)"),
        ("image_encoder.neck.0.weight", "image_encoder"),
        ("image_encoder.blocks.0.attn.qkv.lora_A", "image_encoder (LoRA)"),
        ("image_encoder.blocks.0.attn.qkv.lora_B", "image_encoder (LoRA)"),
        ("image_encoder.blocks.11.attention_adapter.down.weight", "image_encoder (adapter)"),
        ("image_encoder.blocks.11.mlp_adapter.up.bias", "image_encoder (adapter)"),
        ("image_encoder.blocks.11.mlp.lin1.weight", "image_encoder"),
        ("domain_adapter.weight", "domain_adapter"),
    ],
)
def test_a_name_belongs_to_its_first_part_and_adapters_stand_apart(name, part):
    assert part_of(name) == part


def test_the_table_counts_adapters_apart():
    sam = build_sam("tiny", image_size=64)
    base = {row.part: row.total for row in parameter_table(sam)}
    sam.image_encoder.requires_grad_(False)
    add_adapters(sam.image_encoder, ratio=0.25)
    # Two adapters in each of 8 blocks: 192 → 48 and back, weights and biases.
    added = 8 * 2 * (192 * 48 + 48 + 48 * 192 + 192)
    table = {row.part: row for row in parameter_table(sam)}
    assert table["image_encoder (adapter)"] == PartParameters("image_encoder (adapter)", added, added)
    assert table["image_encoder"] == PartParameters("image_encoder", base["image_encoder"], 0)
    assert table["mask_decoder"].trainable == base["mask_decoder"]


def test_a_model_without_parameters():
    assert parameter_table(nn.Identity()) == []
