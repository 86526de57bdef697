"""How weights are learned: one loop, draws, losses and the settings of each kind."""
