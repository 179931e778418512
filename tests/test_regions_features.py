"""Features of candidate regions: shapes known by hand, and sums over pixels done the long way."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from with_defaults import grow_tree

from autosam.regions import FEATURES, MergeTree, describe_candidate_regions, grow

Maps = dict[str, NDArray[np.float64]]


@pytest.fixture(autouse=True)
def _sharp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grow, "SMOOTHING", 0.0)


def gray(values: NDArray[np.number]) -> NDArray[np.uint8]:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def described(
    maps: Maps, picture: NDArray[np.uint8] | None = None, **how: float
) -> tuple[MergeTree, dict[str, NDArray[np.float32]]]:
    grown = grow_tree(maps)
    shown = gray(np.zeros(maps["foreground"].shape)) if picture is None else picture
    features = describe_candidate_regions(grown, maps, shown, **({"diameter": 10.0} | how))
    assert features.shape == (len(grown), len(FEATURES))
    assert np.isfinite(features).all()
    assert not features[0].any()
    return grown, dict(zip(FEATURES, features.T, strict=True))


def one(mask: NDArray[np.bool_]) -> Maps:
    return {"foreground": np.where(mask, 0.9, 0.1), "center": np.where(mask, 0.7, 0.0)}


def two_squares() -> Maps:
    """Squares of 6 pixels side by side in a 10 × 16 image, with a weak place where they touch."""
    mask = np.zeros((10, 16), dtype=bool)
    mask[2:8, 2:14] = True
    maps = one(mask)
    maps["center"][2:8, 7:9] = 0.2
    return maps


def test_a_square_by_hand() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:8, 3:9] = True
    _, values = described(one(mask), gray(np.where(mask, 200, 50)), diameter=12.0)
    wanted = {
        "size": np.log(36 / (np.pi * 36)),
        "size_in_image": np.log(36 / (np.pi * 36)),
        "typical_size": 0,
        "solidity": 1,
        "elongation": 1,
        # The variance of a square of side 6, its pixels squares too, is 36 / 12.
        "width": np.log(4 * 3**0.5 / 12),
        "outline": 4,
        "foreground": 0.9,
        "sure_foreground": 1,
        "foreground_outside": 0.1,
        "center": 0.7,
        "center_peak": 0.7,
        "center_area": 0,
        "contact_share": 0,
        "at_border": 0,
        "fragments": 1,
        "tie": 1,
        "neck": 2,
        "outer_tie": -1,
        "clump_size": np.log(36 / (np.pi * 36)),
        "contrast_red": 150 / 255,
        "spread": 0,
    }
    for name, value in wanted.items():
        assert values[name][1] == pytest.approx(value, abs=1e-5), name
    assert values["edge"][1] > 0.05


def test_parts_and_their_union_by_hand() -> None:
    grown, values = described(two_squares(), typical_area=36.0)
    assert len(grown) == 4
    assert values["size_in_image"] == pytest.approx([0, 0, 0, np.log(2)], abs=1e-6)
    assert values["typical_size"][1:] == pytest.approx(np.log(36 / (np.pi * 25)))
    assert values["outline"][1:] == pytest.approx([4, 4, 36 / 72**0.5])
    assert values["contact_share"][1:] == pytest.approx([0.25, 0.25, 0])
    assert values["fragments"][1:].tolist() == [1, 1, 2]
    assert values["tie"][1:] == pytest.approx([1, 1, 0.2])
    assert values["weakest_tie"][1:] == pytest.approx([1, 1, 0.2])
    assert values["outer_tie"][1:] == pytest.approx([0.2, 0.2, -1])
    assert values["pass_drop"][3] == pytest.approx(0.5)
    assert values["outer_pass_drop"][1:] == pytest.approx([0.5, 0.5, 2])
    # Six pixels of contact, and a square's short axis is 4 √3 by the moments.
    assert values["neck"][3] == pytest.approx(6 / (4 * 3**0.5))
    assert values["part_share"][1:] == pytest.approx([0, 0, 0.5])
    assert values["sibling_share"][1:] == pytest.approx([0.5, 0.5, 0])
    assert values["elongation"][3] == pytest.approx(0.5)
    assert values["boundary_at_contacts"][1:] == pytest.approx([0.2, 0.2, 0], abs=1e-6)
    assert values["clump_size"][1] == values["size"][3]


def test_a_notch_makes_a_shape_less_solid() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:6, 2:6] = True
    mask[2:4, 4:6] = False
    _, values = described(one(mask))
    # The hull is the square less a triangle with legs of 2.
    assert values["solidity"][1] == pytest.approx(12 / 14)


def test_at_the_image_s_border() -> None:
    mask = np.zeros((6, 9), dtype=bool)
    mask[:, :4] = True
    _, values = described(one(mask))
    # Four pixels above and below and four more on the left, of 24 in all.
    assert values["at_border"][1] == pytest.approx((4 + 4 + 4) / 24**0.5)


@pytest.mark.parametrize("seed", range(3))
def test_every_node_s_sums_are_those_over_its_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps: Maps = {name: rng.random((40, 50)) for name in ("foreground", "center", "boundary")}
    maps["foreground"] = np.where(rng.random((40, 50)) < 0.2, 0.2, 0.5 + maps["foreground"] / 2)
    picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    grown, values = described(maps, picture)
    assert len(grown) > 100
    for node in range(1, len(grown), 7):
        mask = grown.paint(np.array([node])) == 1
        assert values["size"][node] == pytest.approx(np.log(mask.sum() / (np.pi * 25)), abs=1e-5)
        assert values["foreground"][node] == pytest.approx(maps["foreground"][mask].mean(), abs=1e-5)
        assert values["sure_foreground"][node] == pytest.approx((maps["foreground"][mask] > 0.8).mean(), abs=1e-5)
        assert values["center_peak"][node] == pytest.approx(maps["center"][mask].max(), abs=1e-5)
        assert values["boundary"][node] == pytest.approx(maps["boundary"][mask].mean(), abs=1e-5)
        assert values["spread"][node] == pytest.approx(picture.mean(axis=2)[mask].std() / 255, abs=1e-5)
        points = np.argwhere(mask)
        axes = np.sqrt(np.linalg.eigvalsh(np.cov(points.T, bias=True).reshape(2, 2) + np.eye(2) / 12))
        assert values["elongation"][node] == pytest.approx(axes[0] / axes[1], abs=1e-4)
        corners = np.concatenate([points + step for step in ([0, 0], [0, 1], [1, 0], [1, 1])])
        assert values["solidity"][node] == pytest.approx(len(points) / ConvexHull(corners).volume, abs=1e-4)
        padded = np.pad(mask, 1).astype(int)
        edges = sum(np.abs(np.diff(padded, axis=axis)).sum() for axis in (0, 1))
        inner = edges - sum(edge.sum() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
        assert values["outline"][node] == pytest.approx(inner / mask.sum() ** 0.5, abs=1e-4)


def test_nothing_to_describe() -> None:
    described(one(np.zeros((5, 5), dtype=bool)))


def test_size_is_in_units_of_the_diameter() -> None:
    _, small = described(two_squares(), diameter=10.0)
    _, large = described(two_squares(), diameter=20.0)
    assert small["size"][1:] - large["size"][1:] == pytest.approx(np.log(4))
    assert small["solidity"] == pytest.approx(large["solidity"])
