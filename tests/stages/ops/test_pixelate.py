"""Soft pictures down to true pixels."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sets import SPRITES, needs_sprites
from spritebuild_stages.images import png
from spritebuild_stages.ops import cells, deblur
from spritebuild_stages.ops.pixelate import Mode, pixelate
