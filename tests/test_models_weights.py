import argparse
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything.modeling.image_encoder import get_rel_pos
from torch import Tensor

from autosam.errors import AutosamWarning, ModelError
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.foreign_names import WRAPPERS, from_hugging_face
from autosam.models.variants import VARIANTS, build_sam
from autosam.models.weights import detect_variant, load_sam_weights, load_state_dict_file


class Code:
    """What a hostile pickle does: names a function for the reader to call."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(4)}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def one_line(caught: pytest.ExceptionInfo[ModelError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors", "old.pth"])
def test_a_state_dict_is_read_back(tensors, tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name != "old.pth")
    assert same(load_state_dict_file(path), tensors)
    assert same(load_state_dict_file(path, sha256=file_sha256(path).upper()), tensors)


SOME = {
    "image_encoder.pos_embed": torch.arange(6.0).reshape(2, 3),
    "mask_decoder.iou_token.weight": torch.ones(2),
    "prompt_encoder.not_a_point_embed.weight": torch.zeros(2),
}
"""A few tensors with names of SAM."""


def named(prefix: str, tensors: dict[str, Tensor] = SOME) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


PREFIXES = ("", "model.", "net.", "module.", "_orig_mod.", "sam.module.", "model.sam.", "a.b.c.d.whatever.")


@pytest.mark.parametrize("key", [*WRAPPERS, "checkpoint.model", "what_else"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_training_checkpoints_of_others_are_unwrapped(tmp_path, key, prefix):
    content: dict[str, object] = named(prefix)
    for part in reversed(key.split(".")):
        content = {part: content}
    torch.save(content | {"epoch": 7, "optimizer": {"lr": 0.1, "state": {0: {"step": 1}}}}, tmp_path / "w.pth")
    assert same(load_state_dict_file(tmp_path / "w.pth"), SOME)
    torch.save(named(prefix), tmp_path / "w.pth")
    assert same(load_state_dict_file(tmp_path / "w.pth"), SOME)


@pytest.mark.parametrize("shell", ["_orig_mod", "module"])
def test_what_compiling_one_part_puts_into_names_is_taken_out(tmp_path, shell):
    inside = {name.replace("image_encoder.", f"image_encoder.{shell}."): tensor for name, tensor in SOME.items()}
    torch.save({"state_dict": named("model.", inside)}, tmp_path / "w.ckpt")
    assert same(load_state_dict_file(tmp_path / "w.ckpt"), SOME)


@pytest.mark.parametrize(
    "beside",
    [
        {"pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)},
        {"iteration": 7, "best": 0.5, "name": "run", "done": True, "nothing": None},
        {"best": np.float64(0.25), "step": np.int64(3), "flag": np.bool_(True), "half": np.float16(1)},
        {"history": [0.1, np.float32(0.2)], "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}},
    ],
)
def test_what_is_no_weight_beside_the_tensors_is_left_out(tmp_path, beside):
    torch.save(SOME | beside, tmp_path / "w.pth")
    assert same(load_state_dict_file(tmp_path / "w.pth"), SOME)
    torch.save({"model_state": named("sam.", SOME | beside)} | beside, tmp_path / "w.pth")
    assert same(load_state_dict_file(tmp_path / "w.pth"), SOME)


def test_numbers_of_numpy_1_are_read_too(tmp_path):
    # NumPy 1 called the module by another name.
    torch.save(SOME | {"best": np.float64(0.25)}, tmp_path / "new.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "new.pth").read_bytes()
    assert b"numpy._core.multiarray" in data or b"numpy.core.multiarray" in data
    (tmp_path / "old.pth").write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert same(load_state_dict_file(tmp_path / "old.pth"), SOME)


def test_a_decoder_beside_sam_is_left_out_with_a_word(tmp_path):
    decoder = {"decoder.blocks.0.weight": torch.zeros(2), "out_conv.bias": torch.zeros(1)}
    for content in (SOME | {"decoder_state": decoder}, {"model_state": SOME, "decoder_state": decoder}):
        torch.save(content, tmp_path / "joint.pt")
        with pytest.warns(AutosamWarning, match=r"joint\.pt: decoder_state beside SAM is left out"):
            assert same(load_state_dict_file(tmp_path / "joint.pt"), SOME)


def test_of_several_sams_a_known_one_is_taken_with_a_word(tmp_path):
    other = {name: tensor + 1 for name, tensor in SOME.items()}
    torch.save({"ema": other, "model": SOME}, tmp_path / "w.pt")
    with pytest.warns(AutosamWarning, match="several SAMs: model is taken, not ema"):
        assert same(load_state_dict_file(tmp_path / "w.pt"), SOME)
    torch.save({"left": other, "right": SOME}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="holds several SAMs, under left, right: save one of them alone"):
        load_state_dict_file(tmp_path / "w.pt")
    torch.save(named("student.") | named("teacher."), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"names begin with 'student\.', 'teacher\.': save one alone"):
        load_state_dict_file(tmp_path / "w.pt")


def test_other_tensors_beside_the_prefix_stay_and_are_refused(tmp_path):
    sam = build_sam("tiny", image_size=64)
    torch.save(named("sam.", sam.state_dict()) | {"loss.weight": torch.ones(2)}, tmp_path / "w.pt")
    state = load_state_dict_file(tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"of \d+ tensors, 1 \(loss\.weight\) unknown: "):
        load_sam_weights(sam, state, variant="tiny", source="w.pt")


def to_hugging_face(name: str) -> str:
    """Name a tensor as transformers' SamModel does; written by hand, the other way round."""
    part, _, rest = name.partition(".")
    if part == "image_encoder":
        rest = rest.replace("blocks.", "layers.").replace("patch_embed.proj.", "patch_embed.projection.")
        neck = {"0": "conv1", "1": "layer_norm1", "2": "conv2", "3": "layer_norm2"}
        words = rest.split(".")
        if words[0] == "neck":
            words[1] = neck[words[1]]
        rest = ".".join(f"layer_{word}" if word in ("norm1", "norm2") else word for word in words)
        return f"vision_encoder.{rest}"
    if part == "prompt_encoder":
        masks = {"0": "conv1", "1": "layer_norm1", "3": "conv2", "4": "layer_norm2", "6": "conv3"}
        words = rest.split(".")
        if words[0] == "mask_downscaling":
            words[:2] = ["mask_embed", masks[words[1]]]
        if words[0] == "point_embeddings":
            words[0] = "point_embed"
        if words[0] == "pe_layer":
            words = ["shared_embedding", "positional_embedding"]
        return f"prompt_encoder.{'.'.join(words)}"
    words = rest.split(".")
    if words[0] == "output_upscaling":
        words[:2] = [{"0": "upscale_conv1", "1": "upscale_layer_norm", "3": "upscale_conv2"}[words[1]]]
    if words[0] in ("iou_prediction_head", "output_hypernetworks_mlps"):
        at = words.index("layers")
        words[at : at + 2] = {"0": ["proj_in"], "1": ["layers", "0"], "2": ["proj_out"]}[words[at + 1]]
    named = [f"layer_{word}" if word.startswith("norm") else word for word in words]
    return f"mask_decoder.{'.'.join(named)}"


@pytest.mark.parametrize("variant", ["tiny", "vit_b"])
def test_names_of_hugging_face_are_translated_back(variant):
    with torch.device("meta"):
        own = list(build_sam(variant).state_dict())
    theirs = [to_hugging_face(name) for name in own]
    assert len(set(theirs)) == len(own)
    assert sum(one != other for one, other in zip(own, theirs, strict=True)) > len(own) / 2
    assert [from_hugging_face(name) for name in theirs] == own


@pytest.mark.parametrize("kept", ["both", "of the image", "of the prompts"])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_model_of_hugging_face_is_loaded(tmp_path, kept, suffix):
    torch.manual_seed(0)
    original = build_sam("tiny", image_size=64)
    content = {to_hugging_face(name): tensor for name, tensor in original.state_dict().items()}
    tied = "prompt_encoder.shared_embedding.positional_embedding"
    if kept != "of the prompts":
        content["shared_image_embedding.positional_embedding"] = content[tied].clone()
    if kept == "of the image":
        del content[tied]
    path = tmp_path / f"model{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(content, path)
    other = build_sam("tiny", image_size=64)
    load_sam_weights(other, load_state_dict_file(path), variant="tiny", source=path)
    assert same(original.state_dict(), other.state_dict())


def test_safetensors_are_known_by_their_content(tmp_path):
    save_file(SOME, tmp_path / "weights.bin")
    assert same(load_state_dict_file(tmp_path / "weights.bin"), SOME)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_with_nan_or_infinity_are_refused_by_name(value):
    sam = build_sam("tiny", image_size=64)
    before = {name: tensor.clone() for name, tensor in sam.state_dict().items()}
    broken = {name: tensor.clone() for name, tensor in before.items()}
    broken["mask_decoder.iou_token.weight"][0, 3] = value
    wanted = r"w\.pth holds NaN or infinity in 1 \(mask_decoder\.iou_token\.weight\): "
    with pytest.raises(ModelError, match=wanted):
        load_sam_weights(sam, broken, variant="tiny", source="w.pth")
    assert same(before, sam.state_dict())


def test_a_prefix_that_only_some_names_have_stays(tmp_path):
    torch.save({"sam.a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "w.pth")
    assert set(load_state_dict_file(tmp_path / "w.pth")) == {"sam.a", "b"}


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.pth does not exist"):
        load_state_dict_file(tmp_path / "gone.pth")
    with pytest.raises(ModelError, match="is a folder"):
        load_state_dict_file(tmp_path)


def test_another_hash_is_named_with_the_one_wanted(tensors, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(tensors, path)
    with pytest.raises(ModelError) as caught:
        load_state_dict_file(path, sha256="0" * 64)
    assert "0" * 64 in one_line(caught)
    assert file_sha256(path) in one_line(caught)


@pytest.mark.parametrize("name", ["w.pth", "old.pth", "w.safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, -1])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, name, kept):
    tensors = {f"layer{index}": torch.randn(40, 40) for index in range(4)}
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name != "old.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if kept < 0 else whole[: int(len(whole) * kept)])
    with pytest.raises(ModelError) as caught:
        load_state_dict_file(path)
    assert "damaged" in one_line(caught) or "not a file that torch.save wrote" in one_line(caught)


@pytest.mark.parametrize(
    "content", [b"<html>404</html>" * 50, b"hello world", b"\x80", b"PK", b"\x80\x02junk" * 9]
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_another_kind_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_state_dict_file(path)
    assert str(path) in one_line(caught)


@pytest.mark.parametrize("way", ["zip", "legacy", "plain pickle"])
def test_a_pickle_with_code_is_refused_and_the_code_does_not_run(tensors, tmp_path, way):
    marker, path = tmp_path / "it-ran", tmp_path / "w.pth"
    content = tensors | {"extra": Code(marker)}
    if way == "plain pickle":
        path.write_bytes(pickle.dumps({"extra": Code(marker)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(ModelError, match=r"refused: .* \(posix\.mkdir\).* can run code") as caught:
        load_state_dict_file(path)
    one_line(caught)
    assert not marker.exists()


def test_harmless_python_objects_are_refused_too(tensors, tmp_path):
    torch.save({"model": tensors, "args": argparse.Namespace(lr=0.1)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"refused: .* \(argparse\.Namespace\).*state dict alone"):
        load_state_dict_file(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "but a Tensor"),
        ([torch.zeros(3)], "but a list"),
        ({}, "but a dict: wanted"),
        ({"x": {"a": torch.zeros(3)}, "epoch": 3}, r"but a dict with 2 \(epoch, x\)"),
        ({"model": {"a": 1.0}}, r"but a dict with 1 \(model\)"),
        ({0: torch.zeros(3)}, r"but a dict with 1 \(0\)"),
    ],
)
def test_what_is_no_state_dict_is_described(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=message):
        load_state_dict_file(tmp_path / "w.pth")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_told_by_its_shapes(variant):
    with torch.device("meta"):
        state_dict = build_sam(variant).state_dict()
    assert detect_variant(state_dict) == variant


def test_other_state_dicts_are_no_variant(tensors):
    assert detect_variant({}) is None
    assert detect_variant(tensors) is None
    assert detect_variant({"image_encoder.pos_embed": torch.zeros(1, 4, 4, 100)}) is None
    assert detect_variant({"image_encoder.pos_embed": torch.zeros(768)}) is None


def test_weights_are_loaded_from_a_file(tmp_path):
    torch.manual_seed(0)
    original = build_sam("tiny", image_size=64)
    torch.save(original.state_dict(), tmp_path / "w.pth")
    other = build_sam("tiny", image_size=64)
    assert not same(original.state_dict(), other.state_dict())
    load_sam_weights(other, load_state_dict_file(tmp_path / "w.pth"), variant="tiny", source="w.pth")
    assert same(original.state_dict(), other.state_dict())


def test_the_wrong_variant_is_named():
    with torch.device("meta"):
        large, base = build_sam("vit_l"), build_sam("vit_b")
    with pytest.raises(ModelError, match=r"w\.pth holds vit_l, the model is vit_b: set model\.sam\.variant=vit_l"):
        load_sam_weights(base, large.state_dict(), variant="vit_b", source="w.pth")


def test_weights_that_do_not_fit_are_listed_and_nothing_is_changed():
    sam = build_sam("tiny", image_size=64)
    before = {name: tensor.clone() for name, tensor in sam.state_dict().items()}
    whole = {name: tensor + 1 for name, tensor in before.items()}
    fewer = {name: tensor for name, tensor in whole.items() if not name.startswith("mask_decoder.iou_prediction")}
    count = len(whole) - len(fewer)
    for wrong, message in (
        (
            fewer,
            rf"SAM tiny: of .* tensors, {count} \(mask_decoder\.iou_prediction_head\.layers.*, \.\.\.\) missing: ",
        ),
        (whole | {"decoder.x": torch.zeros(1)}, r"SAM tiny: of .* tensors, 1 \(decoder\.x\) unknown: "),
        (fewer | {"decoder.x": torch.zeros(1)}, r"missing; 1 \(decoder\.x\) unknown: "),
        ({"x": torch.zeros(1)}, r"missing; 1 \(x\) unknown"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            load_sam_weights(sam, wrong, variant="tiny", source="w.pth")
        assert len(one_line(caught)) < 400
    windowed, token = "image_encoder.blocks.0.attn.rel_pos_h", "mask_decoder.iou_token.weight"
    for name, shape, wanted in (
        (windowed, (17, 64), "(15, 64)"),  # a window is no image
        ("image_encoder.blocks.3.attn.rel_pos_h", (15, 32), "(7, 64)"),
        ("image_encoder.pos_embed", (16, 192), "(1, 4, 4, 192)"),
        (token, (2, 128), "(1, 128)"),
    ):
        text = f"1 ({name}) of another shape ({name} is {shape}, wanted {wanted})"
        with pytest.raises(ModelError, match=re.escape(text)):
            load_sam_weights(sam, whole | {name: torch.zeros(shape)}, variant="tiny", source="w.pth")
    assert same(before, sam.state_dict())


def positions(state_dict: dict[str, Tensor]) -> set[str]:
    return {name for name in state_dict if "pos_embed" in name or "rel_pos" in name}


@pytest.mark.parametrize("side", [32, 224])
def test_position_codes_are_resampled_to_another_image_size(side):
    torch.manual_seed(0)
    given = build_sam("tiny", image_size=64).state_dict()
    # The relative codes start as zeros.
    given |= {name: torch.randn_like(given[name]) for name in positions(given)}
    sam, grid = build_sam("tiny", image_size=side), side // 16
    load_sam_weights(sam, given, variant="tiny", source="w.pth")
    loaded = sam.state_dict()
    moved = {name for name in loaded if loaded[name].shape != given[name].shape}
    relative = {f"image_encoder.blocks.{block}.attn.rel_pos_{axis}" for block in (3, 7) for axis in "hw"}
    assert moved == relative | {"image_encoder.pos_embed"}
    assert all(torch.equal(loaded[name], given[name]) for name in loaded.keys() - moved)
    indices = torch.arange(grid)[:, None] - torch.arange(grid)[None] + grid - 1
    for name in relative:
        assert torch.allclose(loaded[name][indices], get_rel_pos(grid, grid, given[name]), atol=1e-6)


@pytest.mark.parametrize("side", [32, 128])
def test_resampled_codes_by_hand(side):
    given, grid = build_sam("tiny", image_size=64).state_dict(), side // 16
    rows, distances = torch.linspace(-1, 1, 4), torch.linspace(-1, 1, 7)
    given["image_encoder.pos_embed"] = rows[None, :, None, None].expand(1, 4, 4, 192).half()
    given["image_encoder.blocks.3.attn.rel_pos_w"] = distances[:, None].expand(7, 64).half()
    sam = build_sam("tiny", image_size=side)
    load_sam_weights(sam, given, variant="tiny", source="w.pth")
    codes = sam.image_encoder.pos_embed[0]
    # It rises from row to row, is the same in all columns, and means the same as before.
    assert (codes.diff(dim=0) > 0).all()
    assert torch.allclose(codes, codes[:, :1].expand_as(codes), atol=1e-6)
    assert torch.allclose(codes, -codes.flip(0), atol=1e-3)
    by_distance = sam.image_encoder.blocks[3].attn.rel_pos_w
    assert by_distance.shape == (2 * grid - 1, 64)
    assert (by_distance.diff(dim=0) > 0).all()
    assert torch.allclose(by_distance[grid - 1], torch.zeros(64), atol=1e-3)


def test_an_average_and_counters_beside_the_weights_are_left_out(tmp_path):
    average = {f"ema_model.{name}": tensor + 1 for name, tensor in SOME.items()}
    counters = {"ema_decay": torch.tensor(0.9), "metric.total": torch.tensor(3)}
    torch.save({"state_dict": named("model.") | average | counters}, tmp_path / "w.pt")
    with pytest.warns(AutosamWarning, match=r"several SAMs \('ema_model\.', 'model\.'\): 'model\.' is taken"):
        assert same(load_state_dict_file(tmp_path / "w.pt"), SOME)


@pytest.mark.parametrize(
    "change", [lambda t: (100 * t).to(torch.int8), lambda t: t.to_sparse(), lambda t: t.to("meta")]
)
def test_weights_that_are_no_plain_numbers_are_refused(tmp_path, change):
    sam = build_sam("tiny", image_size=64)
    state = dict(sam.state_dict())
    state["mask_decoder.iou_token.weight"] = change(state["mask_decoder.iou_token.weight"])
    with pytest.raises(ModelError, match=r"1 \(mask_decoder\.iou_token\.weight\) that are no plain"):
        load_sam_weights(sam, state, variant="tiny", source="w.pt")
