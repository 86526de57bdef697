"""Artifacts that come from elsewhere, by digest: what is known of them, where they are, and how they get here."""
