"""Minutes become steps once; what is trained follows from the number of objects and the model."""

import pytest
from blobs import small_config

from autosam.errors import ConfigError, InputError
from autosam.models.files.model_header import ModelHeader
from autosam.training.adapt.adapt_settings import adapt_settings, with_steps
from autosam.training.adapt.adapted_part import FOR_GENERATOR, FOR_SAM, asked_part, check_objects, choose_part
from autosam.training.adapt.pace import TIMED, Budget, validation_steps
from autosam.training.schedule import learning_rate, predicted_share


def test_minutes_become_steps() -> None:
    budget = Budget(10, began=100.0, beside=60.0, clock=lambda: 200.0)
    # 600 - 100 - 60 seconds at 2 a step; the slow first ones do not count
    assert budget.steps([30.0, 9.0, 5.0, *[2.0] * 7]) == TIMED + 220
    assert Budget(1, began=0.0, beside=90.0, clock=lambda: 20.0).steps([1.0] * TIMED) == TIMED


def test_the_first_ten_steps_are_the_same_for_any_number() -> None:
    config = adapt_settings(ModelHeader(small_config().model_dump(mode="json")), "all", seed=0)
    unknown = config.training
    for steps in (10, 11, 37, 1234):
        known = with_steps(config, steps).training
        assert known.steps == steps
        for step in range(TIMED):
            rates = [learning_rate(settings, step, peak=1.0) for settings in (known, unknown)]
            assert rates == [(step + 1) / 10] * 2
            assert predicted_share(known, step) == predicted_share(unknown, step)
        assert learning_rate(known, steps - 1, peak=1.0) <= 1


def test_none_of_the_first_ten_steps_validates_but_a_last_one() -> None:
    assert validation_steps(100) == [25, 50, 75, 100]
    assert validation_steps(30) == [15, 22, 30]
    assert validation_steps(8) == [8]


def test_sam_is_asked_in_training_as_at_inference() -> None:
    own = small_config("decode.fusion=2.0", "decode.second_pass=0.7")
    header = ModelHeader(own.model_dump(mode="json"))
    trained = adapt_settings(header, "sam", seed=3, overrides=["training.batch_size=1"])
    assert trained.training.fusion == 2
    assert trained.training.second_pass > 0
    assert trained.training.freeze_generator
    assert trained.training.batch_size == 1
    assert trained.seed == 3
    assert adapt_settings(header, "generator", seed=0).training.fusion == 0


def test_what_is_trained_follows_from_objects_and_model() -> None:
    both = small_config()
    assert choose_part(both, FOR_SAM - 1).part == "thresholds"
    assert choose_part(both, FOR_SAM).part == "sam"
    assert choose_part(both, FOR_GENERATOR).part == "all"
    assert choose_part(both, 100, "lora").part == "lora"
    prompted = small_config("decode.sam=prompted")
    assert choose_part(prompted, FOR_SAM - 1).part == "thresholds"
    assert choose_part(prompted, FOR_GENERATOR).part == "generator"
    # Deleted objects teach a generator, and SAM nothing.
    assert choose_part(prompted, 1, empty=FOR_SAM - 2).part == "thresholds"
    assert choose_part(prompted, 1, empty=FOR_SAM - 1).part == "generator"
    assert choose_part(both, FOR_SAM - 1, empty=100).part == "thresholds"
    alone = small_config("model.generator=null", "prompts.method=user")
    assert choose_part(alone, 100).part == "sam"
    assert choose_part(alone, FOR_SAM).part == "sam"


def test_what_a_model_lacks_is_not_trained() -> None:
    alone = small_config("model.generator=null", "prompts.method=user")
    with pytest.raises(ConfigError, match="lacks: generator"):
        choose_part(alone, 9, "all")
    with pytest.raises(ConfigError, match="lacks: SAM"):
        choose_part(small_config("model.sam=null", "decode.sam=false"), 9, "sam")
    with pytest.raises(ConfigError, match="finds nothing by itself"):
        choose_part(alone, 9, "thresholds")
    with pytest.raises(InputError, match="label more"):
        choose_part(alone, FOR_SAM - 1)
    with pytest.raises(ConfigError, match="unknown"):
        asked_part("everything")


def test_objects_have_to_be_there() -> None:
    with pytest.raises(InputError, match="2 images have no object"):
        check_objects(0, 2)
    with pytest.raises(InputError, match="1 object where they count"):
        check_objects(1, 1)
    check_objects(2, 1)
