"""The skill library: prototypes as files, their digests, the scoring rule, and lint."""

from scribe_core.skills.content import digest_of, dump_prototype, parse_prototype, schema
from scribe_core.skills.library import GENERAL, Library, merge
from scribe_core.skills.lint import (
    NEAR_DUPLICATE,
    Problem,
    alike,
    calibration_problems,
    calibration_request,
    lint,
)
from scribe_core.skills.loading import load_folder, load_prototype
from scribe_core.skills.prototype import CalibrationCase, Check, FailureMode, Prototype, Routing
from scribe_core.skills.scoring import apply_rubric

__all__ = [
    "GENERAL",
    "NEAR_DUPLICATE",
    "CalibrationCase",
    "Check",
    "FailureMode",
    "Library",
    "Problem",
    "Prototype",
    "Routing",
    "alike",
    "apply_rubric",
    "calibration_problems",
    "calibration_request",
    "digest_of",
    "dump_prototype",
    "lint",
    "load_folder",
    "load_prototype",
    "merge",
    "parse_prototype",
    "schema",
]
