"""Reports of jobs to take along: one neutral document, drawn as HTML or PDF; metrics as CSV."""
