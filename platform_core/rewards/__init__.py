"""Rewards: what they are made of, how answers are scored, where other people's code runs."""
