-- What is over is looked for by its age.
CREATE INDEX observations_by_time ON observations (seen_at);
CREATE INDEX incidents_by_end ON incidents (resolved_at) WHERE open = 0;
CREATE INDEX stretches_by_end ON stretches (ended);
