"""Where an option stands in --help: `rank: Adapter[int] = 16` puts it into the panel "What is trained"."""

from __future__ import annotations

from typing import Annotated, TypeVar

from cyclopts import Group, Parameter

T = TypeVar("T")

# The panels after the one with the common options, in this order.
Drawing = Annotated[T, Parameter(group=Group.create_ordered("Drawing"))]
Question = Annotated[T, Parameter(group=Group.create_ordered("Question and files"))]
Adapter = Annotated[T, Parameter(group=Group.create_ordered("What is trained"))]
Optimizer = Annotated[T, Parameter(group=Group.create_ordered("How it is trained"))]
Watching = Annotated[T, Parameter(group=Group.create_ordered("How it is watched"))]
Memory = Annotated[T, Parameter(group=Group.create_ordered("Memory"))]
Machine = Annotated[T, Parameter(group=Group.create_ordered("Where it runs"))]
