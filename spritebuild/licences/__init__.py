"""Licences: what people call them, how they flow into assets, and what the project allows."""

from spritebuild.licences.expressions import UNKNOWN, carries_restrictions, combined, expression, met
from spritebuild.licences.flow import Component, Origins, origins
from spritebuild.licences.policy import Offence, check_policy, offences, refusal, remedy

__all__ = [
    "UNKNOWN",
    "Component",
    "Offence",
    "Origins",
    "carries_restrictions",
    "check_policy",
    "combined",
    "expression",
    "met",
    "offences",
    "origins",
    "refusal",
    "remedy",
]
