"""What game engines load, written from a sheet's layout and pages: a module for each engine."""
