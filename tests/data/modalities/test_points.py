"""The points processor: one centre and one scale for space, features standardised, thinned the same way each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import PointsConfig, column_config
from omnifuse.data.modalities.points import PointsProcessor


def cloud(count: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, 4)) * [30, 20, 2, 5] + [100, 0, 0, 50]).astype(np.float32)


def fitted(clouds: list[Any], **options: Any) -> tuple[PointsProcessor, list[bytes]]:
    points = PointsProcessor(PointsConfig(**options))
    raws = [points.canonical(value) for value in clouds]
    points.fit(raws)
    return points, raws


def test_space_has_one_scale_and_features_their_own():
    clouds = [cloud(200), cloud(100, 1)]
    points, raws = fitted(clouds)
    assert points.spec.shape == (None, 4)
    assert points.spec.names == ("x", "y", "z", "intensity")
    values = points.encode([*raws, None])
    assert values.data.shape == (3, 200, 4)
    assert values.mask is not None
    assert values.mask.sum(1).tolist() == [200, 100, 0]
    seen = values.data[values.mask]
    assert torch.allclose(seen.mean(0), torch.zeros(4), atol=1e-4)
    assert float(seen[:, :3].pow(2).mean()) == pytest.approx(1, abs=1e-3)
    assert float(seen[:, 3].std(correction=0)) == pytest.approx(1, abs=1e-3)
    deviations = seen[:, :3].std(0)
    assert deviations[0] / deviations[2] == pytest.approx(15, rel=0.2), "the shape of space is kept"
    for found, given in zip(points.decode(values.data), clouds, strict=False):
        assert np.allclose(found[: len(given)], given, atol=1e-3)


def test_a_large_cloud_is_thinned_the_same_way_each_time():
    points, raws = fitted([cloud(500), cloud(500, 1)], max_points=64)
    item = points.item(raws[0])
    assert item.shape == (64, 4)
    assert np.array_equal(item, points.item(raws[0]))
    given = cloud(500)
    found = points.decode(torch.from_numpy(item)[None])[0]
    places = [int(np.abs(given - point).sum(1).argmin()) for point in found]
    assert np.allclose(given[places], found, atol=1e-3)
    assert places == sorted(set(places)), "each point once, in the order of the file"
    assert max(places) > 400, "from all of it"
    other = points.decode(torch.from_numpy(points.item(raws[1]))[None])[0]
    assert places != [int(np.abs(cloud(500, 1) - point).sum(1).argmin()) for point in other], "the draw depends on the content"


def test_features_that_all_files_share_are_used():
    first, second = cloud(20), cloud(30, 1)
    by_name = {"x": first[:, 0], "y": first[:, 1], "z": first[:, 2], "speed": first[:, 3], "intensity": first[:, 0]}
    points, raws = fitted([by_name, second])
    assert points.features_ == ["intensity"]
    bare = points.canonical(second[:, :3])
    with pytest.raises(BadValue, match='no feature "intensity"'):
        points.item(bare)
    points, raws = fitted([by_name, second[:, :3]])
    assert points.spec.shape == (None, 3)
    assert points.item(raws[0]).shape == (20, 3)


def test_features_are_chosen_and_a_cloud_without_them_is_refused_at_preparation():
    values = cloud(20)
    by_name = {"x": values[:, 0], "y": values[:, 1], "z": values[:, 2], "a": values[:, 3], "b": values[:, 0]}
    points, raws = fitted([by_name], features=("b",))
    assert points.spec.names == ("x", "y", "z", "b")
    points.inspect(raws[0])
    with pytest.raises(BadValue, match='no feature "b"'):
        points.inspect(points.canonical(values))
    points, _ = fitted([by_name], features=())
    assert points.spec.shape == (None, 3)
    with pytest.raises(OmnifuseError, match='no training file has a feature "c"'):
        fitted([by_name], features=("c",))


def test_columns_say_what_files_without_names_hold():
    points = PointsProcessor(PointsConfig(columns=("speed", "x", "y", "z")))
    raw = cloud(10).tobytes()
    facts = points.inspect(raw)
    assert facts.numbers["points"] == 10
    assert facts.numbers["x_min"] == cloud(10)[:, 1].min()
    assert facts.numbers["z_max"] == cloud(10)[:, 3].max()
    points.fit([raw])
    assert points.features_ == ["speed"]


def test_one_point_and_points_in_one_place_stay_finite():
    points, raws = fitted([np.ones((1, 4)), np.ones((5, 4))])
    values = points.encode(raws)
    assert not values.data.any()
    assert np.allclose(points.decode(values.data)[0][0], 1)


@pytest.mark.parametrize("options", [{"columns": ["x", "y"]}, {"columns": ["x", "y", "z", "z"]}, {"features": ["x"]}, {"max_points": 0}])
def test_wrong_options_are_refused(options: dict[str, Any]):
    with pytest.raises(OmnifuseError, match=r"columns\.lidar"):
        column_config(Column("lidar", "points", **options))
