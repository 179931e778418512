"""What Neuroglancer is told to show."""

import json

import pytest

from autosam.volumes.neuroglancer_state import ImageLayer, LabelLayer, array_source, make_state

LABELS = LabelLayer("zarr://http://127.0.0.1:1/labels")


def test_labels_are_a_segmentation_over_the_image() -> None:
    image = ImageLayer("zarr://http://127.0.0.1:1/image", limits=(10.0, 200.0))
    state = make_state(LABELS, image, shape=(20, 768, 1024), voxel_size=(30.0, 8.0, 8.0))
    below, above = state["layers"]
    assert (below["type"], above["type"]) == ("image", "segmentation")
    assert above["source"] == LABELS.source
    assert below["shaderControls"] == {"normalized": {"range": [10.0, 200.0]}}
    assert list(state["dimensions"]) == ["z", "y", "x"]
    assert [scale for scale, unit in state["dimensions"].values() if unit == "m"] == pytest.approx(
        [3e-8, 8e-9, 8e-9]
    )
    assert state["position"] == [10, 384, 512]
    assert json.loads(json.dumps(state)) == state


def test_an_unknown_voxel_size_has_no_unit() -> None:
    state = make_state(LABELS, None, shape=(1, 10, 10), origin=(0, 100, 0))
    assert state["dimensions"] == {"z": [1.0, ""], "y": [1.0, ""], "x": [1.0, ""]}
    assert state["position"] == [0, 105, 5]
    assert state["layout"] == "xy"
    assert len(state["layers"]) == 1


def test_color_images_show_their_colors() -> None:
    state = make_state(LABELS, ImageLayer("x", color=True), shape=(2, 10, 10))
    assert "emitRGB" in state["layers"][0]["shader"]
    assert "shaderControls" not in state["layers"][0]


def test_surfaces_come_from_a_second_source() -> None:
    meshes = array_source("python://volume/a", voxel_size=(30.0, 8.0, 8.0), factors=(1.0, 4.0, 4.0))
    state = make_state(LabelLayer("zarr://a", meshes, [3, 7]), None, shape=(5, 10, 10))
    first, second = state["layers"][0]["source"]
    assert first == "zarr://a"
    assert second["url"] == "python://volume/a"
    assert second["subsources"] == {"meshes": True}
    assert not second["enableDefaultSubsources"]
    assert state["layers"][0]["segments"] == ["3", "7"]
    assert not state["showSlices"]


def test_arrays_lie_half_a_voxel_lower_as_centers_count() -> None:
    source = array_source("a", voxel_size=(30.0, 8.0, 8.0), factors=(1.0, 4.0, 4.0))["transform"]
    assert source["matrix"] == [[1, 0, 0, -0.5], [0, 1, 0, -0.125], [0, 0, 1, -0.125]]
    assert [scale for scale, _ in source["outputDimensions"].values()] == pytest.approx([3e-8, 3.2e-8, 3.2e-8])
    color = array_source("a", voxel_size=None, color=True)["transform"]
    assert list(color["outputDimensions"]) == ["z", "y", "x", "c^"]
    assert color["matrix"][3] == [0, 0, 0, 1, 0]
