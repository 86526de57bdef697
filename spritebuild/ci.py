"""What the environment says of who builds here: a build server, and whether for a fork."""

from __future__ import annotations

import json
from collections.abc import Mapping

VARIABLES = ("CI", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID")


def is_ci(environ: Mapping[str, str]) -> bool:
    """Whether a build server works here rather than a person."""
    return environ.get("CI", "").lower() not in ("", "0", "false")


def is_of_a_fork(environ: Mapping[str, str]) -> bool:
    """Whether GitHub or GitLab says that what is built comes from another repository; also if it does not say."""
    if environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        try:
            with open(environ["GITHUB_EVENT_PATH"], "rb") as file:
                sides = json.load(file)["pull_request"]
            return bool(sides["head"]["repo"]["full_name"] != sides["base"]["repo"]["full_name"])
        except (OSError, ValueError, KeyError, TypeError):
            return True
    source = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
    return source is not None and source != environ.get("CI_MERGE_REQUEST_PROJECT_ID")
