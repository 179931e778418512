from pathlib import Path

import pytest

from autosam.config import Config, load_config
from autosam.errors import ConfigError
from autosam.evaluation.axes import combinations, parse_axes
from autosam.studies.settings import Setup, model_setups, trained_setups

OWN = load_config(overrides=["merge.min_score=0.6", "prompts.points=2", "model.sam.image_size=64"]).model_dump(
    mode="json"
)


def for_model(*settings: str, config: str | None = None) -> list[Setup]:
    axes = parse_axes(settings)
    return model_setups(OWN, config, axes, combinations(axes))


def for_training(*settings: str, config: str | None = None) -> list[Setup]:
    return trained_setups(config, combinations(parse_axes(settings)))


def test_a_model_keeps_its_own_settings_under_those_of_the_config(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "data: {split: parts.json}\nmerge: {iou: 0.4}\nmodel: {sam: {variant: vit_b}}\ntraining: {steps: 7}\n"
    )
    first, second = for_model("merge.fallback=0.8,0.9", config=str(path))
    assert (first.config.merge.fallback, second.config.merge.fallback) == (0.8, 0.9)
    assert first.config.merge.min_score == 0.6
    assert first.config.merge.iou == 0.4
    assert first.config.prompts.points == 2
    assert first.config.data.split == "parts.json"
    assert first.config.model == load_config(defaults=OWN).model
    assert first.config.training == Config().training


def test_what_a_model_fixes_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        for_model("model.sam.lora_rank=1,2", "training.steps=3", "seed=1", "data.fraction=0.5", "data.split=a,b")
    said = str(caught.value)
    for key in ("model.sam.lora_rank", "training.steps", "seed", "data.fraction"):
        assert f"{key} is fixed by the model; leave --model out" in said
    assert "data.split says which images are scored, and 2 values came" in said
    (setup,) = for_model("data.split=parts.json")
    assert setup.config.data.split == "parts.json"


def test_faults_of_all_combinations_are_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        for_training("prompts.points=1,-1,x", "prompts.method=centroid,user")
    said = str(caught.value)
    assert said.count("prompts.points=-1, prompts.method=centroid: ") == 1
    assert said.count("prompts.points=x, prompts.method=centroid: ") == 1
    assert "prompts.points=1, prompts.method=user: prompts.method=user wants prompts of yours" in said
    with pytest.raises(ConfigError, match="user wants prompts of yours"):
        for_model("prompts.method=user")
    with pytest.raises(ConfigError, match="grid asks no generator"):
        for_training("prompts.method=distance,grid")


def test_multichannel_images_have_no_place_in_a_study() -> None:
    for setups in (for_model, for_training):
        with pytest.raises(ConfigError, match=r"^images\.combine joins .* for each image; leave it out$"):
            setups("images.combine=input,max")


def test_the_same_settings_twice_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"iou=0\.50 and iou=0\.5 are the same settings"):
        for_model("merge.iou=0.5,0.50")


def test_training_varies_everything() -> None:
    setups = for_training("model.sam.lora_rank=2,4", "data.fraction=0.1,1", config="joint")
    assert [setup.name for setup in setups] == [
        "lora_rank=2_fraction=0.1",
        "lora_rank=2_fraction=1",
        "lora_rank=4_fraction=0.1",
        "lora_rank=4_fraction=1",
    ]
    long = for_training(f"data.split={'x' * 120}.json", "data.fraction=0.1,1")
    assert [setup.name.partition("_")[0] for setup in long] == ["fraction=0.1", "fraction=1"]
    assert setups[2].config.model.sam is not None
    assert setups[2].config.model.sam.lora_rank == 4
    assert setups[2].config.data.sources[0].name == "data"


def test_settings_that_belong_together_vary_as_a_section() -> None:
    backbones = "model.sam={variant: tiny, base: mito},{variant: vit_b, base: vit_b}"
    first, second = (setup.config.model.sam for setup in for_training(backbones, config="joint"))
    assert first is not None
    assert second is not None
    assert (first.variant, first.base, first.encoder) == ("tiny", "mito", "lora")
    assert (second.variant, second.base, second.encoder) == ("vit_b", "vit_b", "lora")
