"""Diagnoses that were made: kept, shown, muted, sent."""
