"""BearingGeometry against published orders, kinematics written plainly, and what takes such an object."""

import copy
import pickle

import numpy as np
import pytest

from sktransfer import BearingGeometry, SlidingWindows, Windows

SKF_6205 = BearingGeometry(9, 7.94, 39.04)


def test_orders_of_two_bearings_of_the_case_western_benchmark():
    # as listed with the records; the ball's order is listed for both races, twice the spin
    np.testing.assert_allclose(SKF_6205.orders, [3.5848, 5.4152, 4.7135 / 2, 0.39828], rtol=1e-3)
    skf_6203 = BearingGeometry(8, 6.746, 28.499)
    np.testing.assert_allclose(skf_6203.orders, [3.0530, 4.9469, 3.9874 / 2, 0.3817], rtol=1e-3)


@pytest.mark.parametrize("angle", [0.0, 15.0, 40.0])
def test_orders_follow_from_rolling_without_slip(angle):
    n, d, pitch = 11, 9.0, 52.0
    cosine = np.cos(np.deg2rad(angle))
    inner, outer = (pitch - d * cosine) / 2, (pitch + d * cosine) / 2  # radii of the contacts
    turn = 2 * np.pi
    centre = turn * inner / 2  # way of a roller's centre in a turn of the shaft: half of that of the inner contact
    cage = centre / (turn * pitch / 2)
    spin = turn * outer * cage / (turn * d / 2)  # against the outer race, seen from the cage
    found = BearingGeometry(n, d, pitch, contact_angle=angle).orders
    np.testing.assert_allclose(found, [n * cage, n * (1 - cage), spin, cage], rtol=1e-12)


def test_every_roller_passes_one_race_or_the_other_once_a_turn_of_the_shaft():
    outer, inner, _, cage = SKF_6205.orders
    assert outer + inner == pytest.approx(9)
    assert outer == pytest.approx(9 * cage)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((2, 8.0, 39.0), "n_rollers is a whole number of at least 3, got 2"),
        ((9.0, 8.0, 39.0), "n_rollers is a whole number"),
        ((True, 8.0, 39.0), "n_rollers is a whole number"),
        ((9, 0.0, 39.0), "roller_diameter is a positive number, such as mm, got 0.0"),
        ((9, 8.0, np.nan), "pitch_diameter is a positive number"),
        ((9, 8.0, np.inf), "pitch_diameter is a positive number"),
        ((9, "8", 39.0), "roller_diameter is a positive number, such as mm, got '8'"),
        ((9, 39.0, 8.0), "9 rollers of diameter 39 do not fit on a pitch circle of diameter 8"),
        ((9, 7.94, 19.52), "do not fit on a pitch circle.*Give diameters, not radii"),
        ((9, 8.0, 39.0, 90), "contact_angle is a number of degrees from 0 to below 90, got 90"),
        ((9, 8.0, 39.0, -1.0), "contact_angle"),
    ],
)
def test_what_is_no_bearing_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        BearingGeometry(*arguments)


def test_rollers_side_by_side_are_a_bearing():
    n, pitch = 20, 50.0
    full = pitch * np.sin(np.pi / n)
    assert BearingGeometry(n, full, pitch).orders[3] == pytest.approx((1 - np.sin(np.pi / n)) / 2)
    with pytest.raises(ValueError, match="do not fit"):
        BearingGeometry(n, 1.05 * full, pitch)


def test_windows_take_it_in_place_of_four_orders():
    X, other = np.zeros((3, 1, 64)), BearingGeometry(8, 6.746, 28.499)
    np.testing.assert_array_equal(Windows.of(X, orders=SKF_6205).orders, [SKF_6205.orders] * 3)
    each = Windows.of(X, orders=[SKF_6205, other, SKF_6205])
    np.testing.assert_array_equal(each[1:2].orders, [other.orders])


def test_recordings_take_one_for_all_or_one_each():
    other = BearingGeometry(8, 6.746, 28.499)
    recordings = {"a": np.zeros(200), "b": np.ones(100)}
    cutter = SlidingWindows(100, sampling_rate=1000)
    for orders, expected in (
        (SKF_6205, [SKF_6205, SKF_6205, SKF_6205]),
        ([other, SKF_6205], [other, other, SKF_6205]),
        ({"b": other, "a": SKF_6205}, [SKF_6205, SKF_6205, other]),
    ):
        X, _, _ = cutter.cut(recordings, rpm=1800, orders=orders)
        np.testing.assert_array_equal(X.orders, [bearing.orders for bearing in expected])
    four = [SKF_6205] * 4
    X, _, _ = cutter.cut([np.zeros(100)] * 4, orders=four)
    np.testing.assert_array_equal(X.orders, [SKF_6205.orders] * 4)


def test_it_is_a_value():
    same = BearingGeometry(n_rollers=9, roller_diameter=7.94, pitch_diameter=39.04)
    assert same == SKF_6205
    assert len({same, SKF_6205}) == 1
    assert pickle.loads(pickle.dumps(same)) == copy.deepcopy(same) == same
    with pytest.raises(AttributeError):
        same.n_rollers = 8
    assert np.asarray(same, dtype=np.float32).dtype == np.float32
    outer, inner, spin, cage = same
    assert (outer, inner, spin, cage) == same.orders
    assert len(same) == 4
