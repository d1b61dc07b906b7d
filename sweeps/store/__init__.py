"""The study's folder: bytes, tables, claims, care."""
