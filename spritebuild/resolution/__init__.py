"""From a spritefile to the graph: sprites, what is made of them and what is trained for them."""
