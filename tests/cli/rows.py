"""Labelled rows of four sensors, and new ones, for the tests of the commands."""

import pandas as pd

from tests.helpers import moons

COLUMNS = ["flow", "pressure", "level", "speed"]


X, Y = moons(60)


FRAME = pd.DataFrame(X, columns=COLUMNS)


ROWS = pd.DataFrame(moons(20, seed=1)[0], columns=COLUMNS)
