"""Limits of numbers in settings, checked where a configuration is read."""

from typing import Annotated

from annotated_types import Ge, Le

Count = Annotated[int, Ge(1)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
