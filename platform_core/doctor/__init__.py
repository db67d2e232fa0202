"""The failure doctor: rules look at a job and its host and say what is wrong, why it matters and what to change."""
