"""The failure doctor: rules that look at a job and its host and say what is wrong, why it matters and what to change."""
