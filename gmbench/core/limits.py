"""Limits of numbers in settings, checked where a configuration is read."""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
