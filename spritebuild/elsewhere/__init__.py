"""Actions that run on other machines: who gives them out, and who takes them there."""
