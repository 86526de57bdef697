"""What is told about installed assets to those who get them: provenance, a bill of materials, signed copies."""
