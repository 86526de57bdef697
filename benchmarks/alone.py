"""Runs the benchmark's stages in a loop, without a build: what they cost themselves, the engine does not add.

Arguments: a folder, how many sprites, and how many actions each.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tools import seeds

from spritebuild.stage import BoundAction, Context, Stage, Stages


def main() -> None:
    folder, sprites, actions = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    stages = Stages(Path(__file__).with_name("stages"))
    context = Context(folder, 1)
    for name, seed in seeds(sprites):
        drawn = _run(stages["draw"], context, folder / f"{name}.png", {"seed": seed}, {})
        if actions == 2:
            _run(stages["polish"], context, folder / f"{name}-polished.png", {}, {"image": drawn})


def _run(stage: Stage, context: Context, image: Path, params: dict[str, Any], inputs: dict[str, Any]) -> Path:
    bound = BoundAction(
        stage.Params.model_construct(**params),
        stage.Inputs.model_construct(**inputs),
        stage.Outputs.model_construct(image=image),
    )
    stage.run(bound, context)
    return image


if __name__ == "__main__":
    main()
