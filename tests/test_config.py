"""Settings: every fault at once, in one line, and no value that is read as something else."""

from pathlib import Path

import pytest
from blobs import small_config

from autosam.config import Config, config_folder, different_settings, find_config, load_config, make_config
from autosam.errors import ConfigError


def message(error: pytest.ExceptionInfo[ConfigError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def faults(*overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(overrides=overrides)
    return message(error)


def test_every_fault_is_reported_at_once_with_its_path() -> None:
    text = faults(
        "training.stepz=3",  # unknown
        "merge.min_size=big",  # of the wrong type
        "tiles.overlap=0.95",  # out of range
        "model.generator.depth=3",  # does not fit another setting
        "nonsense=1",
    )
    assert text.startswith("5 wrong settings: ")
    assert "training.stepz is unknown (did you mean training.steps?)" in text
    assert "merge.min_size='big': " in text
    assert "tiles.overlap=0.95: Input should be less than 0.9" in text
    assert "model.generator: decoder_channels has 4 entries for depth 3" in text
    assert "nonsense is unknown" in text


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.steps=0", "training.steps=0: Input should be greater than 0"),
        ("training.steps=10.0", "training.steps=10.0: "),
        ("training.steps='10'", "training.steps='10': "),
        ("training.steps=true", "training.steps=True: "),
        ("prompts.box=1", "prompts.box=1: "),
        ("training.learning_rate=.inf", "training.learning_rate=inf: Input should be a finite number"),
        ("training.weight_decay=.nan", "training.weight_decay=nan: "),
        ("model.sam.variant=vit_x", "model.sam.variant='vit_x': Input should be 'tiny', 'vit_b'"),
        ("model.sam.image_size=70", "model.sam.image_size=70: Input should be a multiple of 16"),
        ("model.generator.channels=[boundary, boundary]", "model.generator: channels must name"),
        ("model.generator.channels=[]", "model.generator: channels must name"),
        ("training.augment.zoom=[2, 1]", "training.augment: zoom is [2.0, 1.0]; it must be two positive"),
        ("training.augment.zoom=[1]", "training.augment.zoom.1 is missing"),
        (
            "training.augment.coarsen=0.5",
            "training.augment.coarsen=0.5: Input should be greater than or",
        ),
        ("training.augment.jpeg=96", "training.augment.jpeg=96: Input should be less than or equal to 95"),
        ("data.unlabeled=[more]", "config: data.unlabeled names images whose amplitudes are mixed into"),
        (
            "training.predicted_between=[0.6, 0.1]",
            "training: predicted_between is [0.6, 0.1]; the smaller fraction comes first",
        ),
        (
            "training.simulate.points_per_object=[20, 1]",
            "training.simulate: points_per_object is [20, 1]; the smaller number comes first",
        ),
        ("training=null", "training=None: "),
        ("data.sources=[{name: a, images: b}]", "data.sources.0.labels is missing"),
    ],
)
def test_one_fault(override: str, says: str) -> None:
    assert faults(override).startswith(f"1 wrong setting: {says}")


def test_settings_that_do_not_fit_together() -> None:
    shape = ("model.generator.depth=5", "model.generator.decoder_channels=[8, 8, 8, 8, 8]")
    assert "model: sam.image_size=48 is no multiple of 32" in faults("model.sam.image_size=48", *shape)
    load_config(overrides=["model.sam.image_size=64", *shape])
    assert "image_size=64 is no multiple of 128, as generator.depth=5 and downsample=4 need it" in faults(
        "model.sam.image_size=64", *shape, "model.generator.downsample=4"
    )
    assert "images: low is 60.0 and high 40.0" in faults("images.low=60.0", "images.high=40.0")
    assert "leave no prompt" in faults("prompts.points=0", "prompts.box=false", "prompts.mask=false")
    boundary = "model.generator.channels=[boundary]"
    assert "prompts.method=probability needs foreground" in faults("prompts.method=probability", boundary)
    load_config(overrides=[boundary])


NO_ANSWERS = ("model.sam.prompt_encoder=none", "model.sam.mask_decoder=none")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("model.sam=null", "model.generator=null"), "model: sam and generator are both null"),
        (NO_ANSWERS, "model: generator.encoder=sam takes SAM's image encoder for itself"),
        ((*NO_ANSWERS, "model.generator=null"), "model: generator.encoder=sam takes SAM's image encoder"),
        (("model.generator.encoder=sam",), "model: generator.encoder=sam takes SAM's image encoder for itself"),
        (("model.generator.encoder=sam", "model.sam=null"), "model: generator.encoder=sam takes SAM's image"),
        (NO_ANSWERS[:1], "model.sam: prompt_encoder and mask_decoder are none together, or neither is"),
        (NO_ANSWERS[1:], "model.sam: prompt_encoder and mask_decoder are none together, or neither is"),
        (("model.sam.adapter_ratio=0",), "model.sam.adapter_ratio=0: Input should be greater than 0"),
        (
            ("model.generator.channels=[boundary, center]",),
            "model.generator: channels names center, whose seeds grow over the foreground: name foreground too",
        ),
        (
            ("model.generator.channels=[foreground, affinity_row]",),
            "model.generator: channels must name affinity_row and affinity_col together",
        ),
        (
            ("model.generator.channels=[affinity_row, affinity_col]",),
            "model.generator: channels must name foreground, boundary or both",
        ),
        (
            (
                "model.generator.encoder=sam",
                "model.generator.depth=3",
                "model.generator.decoder_channels=[8, 8, 8]",
            ),
            "model.generator: depth is 3; with encoder=sam it is 4",
        ),
        (
            ("model.generator.encoder=sam", "model.generator.downsample=2"),
            "model.generator: downsample is 2; with encoder=sam it is 1",
        ),
        (
            ("model.generator.skips=[1, 3, 5]",),
            "model.generator: skips are three rising numbers of blocks, and only",
        ),
        (
            ("model.generator.encoder=sam", "model.generator.skips=[1, 3]"),
            "model.generator: skips are three rising",
        ),
        (("model.generator.encoder=sam", "model.generator.skips=[1, 1, 3]"), "model.generator: skips are three"),
        (("model.generator.encoder=sam", "model.generator.skips=[5, 3, 1]"), "model.generator: skips are three"),
        (
            ("model.generator.skips=[-1, 3, 5]",),
            "model.generator.skips.0=-1: Input should be greater than or equal",
        ),
        (("model.sam=null",), "config: the model has no SAM that answers prompts; set decode.sam=false"),
        ((*NO_ANSWERS, "model.generator.encoder=sam"), "config: the model has no SAM that answers prompts"),
        (
            ("model.generator=null",),
            "config: prompts.method=distance asks a generator, and model.generator is null",
        ),
        (
            ("model.generator=null", "prompts.method=probability"),
            "config: prompts.method=probability asks a generator, and model.generator is null",
        ),
        (
            ("decode.sam=false", "prompts.method=grid"),
            "config: decode.sam=false keeps the generator's regions, and prompts.method=grid asks no generator",
        ),
        (
            ("model.generator=null", "decode.sam=false", "prompts.method=user"),
            "config: decode.sam=false keeps the generator's regions, and prompts.method=user asks no generator",
        ),
        (("images.zoom=0.04",), "images.zoom=0.04: Input should be greater than or equal to 0.05"),
        (("images.zoom=21",), "images.zoom=21: Input should be less than or equal to 20"),
        (
            ("training.simulate.box_only=0.6", "training.simulate.point_only=0.5"),
            "training.simulate: box_only=0.6 and point_only=0.5 are shares; their sum is at most 1",
        ),
        (
            ("model.sam.lora_rnk=3",),
            "model.sam.lora_rnk is unknown (did you mean model.sam.lora_rank?)",
        ),
        (
            ("model.generator.chanels=[boundary]",),
            "model.generator.chanels is unknown (did you mean model.generator.channels?)",
        ),
        (
            ("training.simulate.box_jiter=0.1",),
            "training.simulate.box_jiter is unknown (did you mean training.simulate.box_jitter?)",
        ),
    ],
)
def test_networks_and_recipes_that_do_not_fit_together(overrides: tuple[str, ...], says: str) -> None:
    assert faults(*overrides).startswith(f"1 wrong setting: {says}")


def test_either_network_may_be_missing() -> None:
    assert load_config().model.prompted
    alone = load_config(overrides=["model.sam=null", "decode.sam=false"]).model
    assert (alone.sam, alone.prompted) == (None, False)
    by_user = load_config(overrides=["model.generator=null", "prompts.method=user"]).model
    assert (by_user.generator, by_user.prompted) == (None, True)
    own = [*NO_ANSWERS, "model.generator.encoder=sam", "model.generator.skips=[0, 3, 6]", "decode.sam=false"]
    encoder_only = load_config(overrides=own)
    assert not encoder_only.model.prompted
    assert encoder_only.model.generator is not None
    assert encoder_only.model.generator.skips == (0, 3, 6)
    assert make_config(encoder_only.model_dump(mode="json")) == encoder_only
    # What a model file leaves out can be put back, with the defaults of its section.
    back = load_config(overrides=["model.sam.image_size=64"], defaults={"model": {"sam": None}})
    assert back.model.sam == Config().model.sam.model_copy(update={"image_size": 64})  # type: ignore[union-attr]


def test_values_of_set() -> None:
    config = load_config(
        overrides=[
            "training.learning_rate=1e-3",
            "training.weight_decay=2E-2",
            "training.clip=3",
            "model.generator.decoder_channels=[64, 32, 16, 8]",
            "model.sam.base=null",
            "data.sources=[{name: a, images: a/raw, labels: a/masks, components: true}]",
            " merge.min_size =7",
            "training.augment.blur=.5",
        ]
    )
    assert config.training.learning_rate == 0.001
    assert config.training.weight_decay == 0.02
    assert config.training.clip == 3.0
    assert config.model.generator.decoder_channels == (64, 32, 16, 8)
    assert config.model.sam.base is None
    assert [(source.name, source.components) for source in config.data.sources] == [("a", True)]
    assert config.merge.min_size == 7
    assert config.training.augment.blur == 0.5


@pytest.mark.parametrize("text", ["merge.min_size", "=3", "merge..iou=1", ".iou=1", "", "merge.=1"])
def test_a_set_that_is_no_key_and_value(text: str) -> None:
    assert f"--set {text!r} was not understood; write section.key=value" in faults(text)


def test_a_set_whose_value_is_no_yaml() -> None:
    assert "--set 'merge.iou=[1': the value is no YAML" in faults("merge.iou=[1")


def test_defaults_then_file_then_set(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("training: {steps: 20, batch_size: 20}\nmerge: {iou: 0.2}\n")
    model = {"training": {"steps": 10, "batch_size": 10, "warmup": 0.1}, "seed": 10}
    config = load_config(file, overrides=["training.steps=30", "training.steps=31"], defaults=model)
    assert config.training.steps == 31
    assert config.training.batch_size == 20
    assert config.training.warmup == 0.1
    assert config.seed == 10
    assert config.merge.iou == 0.2
    assert config.merge.overlap == Config().merge.overlap
    assert model["training"] == {"steps": 10, "batch_size": 10, "warmup": 0.1}, "the caller's mapping was changed"


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert load_config(tmp_path / "a.yaml") == Config() == load_config()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[1, 2]", "holds list; a mapping of sections was wanted"),
        (b"a: [", "cannot be read as YAML"),
        (b"\xff\xfe\x00", "cannot be read as YAML"),
        (b"merge: {iou: 0.1}\nseed: 1\nmerge: {overlap: 0.1}\n", "merge is there twice"),
        (b"!!python/object/apply:os.getcwd []", "cannot be read as YAML"),
    ],
)
def test_files_that_are_no_settings(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "a.yaml")
    assert says in message(error)
    assert str(tmp_path / "a.yaml") in message(error)


def test_configs_are_found_by_path_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("seed: 3\n")
    assert load_config("mine.yaml").seed == 3
    assert find_config("joint") == config_folder() / "joint.yaml"
    with pytest.raises(ConfigError, match=r"no config file or name 'jointt'; did you mean joint\?") as error:
        find_config("jointt")
    assert "known names: " in message(error)
    with pytest.raises(ConfigError, match=r"no config file or name 'gone/far\.yaml'"):
        find_config("gone/far.yaml")


@pytest.mark.parametrize("path", sorted(config_folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_the_configs_that_come_along(path: Path) -> None:
    load_config(path.stem)


def test_written_and_read_again() -> None:
    config = small_config("data.split=splits.json", "training.predicted_between=[0, 1]")
    assert make_config(config.model_dump(mode="json")) == config


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().training.steps = 3  # type: ignore[misc]


def test_malformed_values_are_named_beside_the_others() -> None:
    with pytest.raises(ConfigError) as error:
        load_config(overrides=["foo", "merge.min_size=x", "prompts.foreground=9"])
    for part in ("'foo' was not understood", "merge.min_size='x'", "prompts.foreground=9"):
        assert part in message(error)


def test_aliases_and_empty_sections(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_text("a: &a [*a]\n")
    with pytest.raises(ConfigError, match=r"loop\.yaml cannot be read as YAML: an alias"):
        load_config(tmp_path / "loop.yaml")
    (tmp_path / "empty.yaml").write_text("merge:\nseed: 4\n")
    assert load_config(tmp_path / "empty.yaml") == load_config(overrides=["seed=4"])


def test_differences_are_dotted_paths() -> None:
    before, now = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 5}, "e": 3}
    assert different_settings(before, now) == ["a.c", "d", "e"]
    assert different_settings(now, now) == []
