"""What pixel art is measured and judged by, sprite by sprite, in numbers and sentences; changes no picture."""
