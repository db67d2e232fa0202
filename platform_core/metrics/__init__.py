"""The time series, events, samples, vectors and progress of one job, in one SQLite file: `jobs/<id>/metrics.sqlite`."""
