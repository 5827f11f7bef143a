"""Annotations of slicer.parameterNodeWrapper: a default value and the limits of a parameter."""

from dataclasses import dataclass


@dataclass
class Default:
    value: object


@dataclass
class WithinRange:
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value {value} is not within [{self.minimum}, {self.maximum}].")


@dataclass
class Minimum:
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value {value} is below {self.minimum}.")


@dataclass
class Maximum:
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value {value} is above {self.maximum}.")


class Choice:
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value {value!r} is none of {self.choices}.")
