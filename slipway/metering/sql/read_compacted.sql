-- One row per line of a compacted object: into `request` those that count, into `unreadable` the others.
INSERT INTO request BY NAME
SELECT * EXCLUDE (object, line_number, reason, line) FROM {source} WHERE reason IS NULL;

INSERT INTO unreadable
SELECT hour, object, line_number, reason, left(line, 512) FROM {source} WHERE reason IS NOT NULL;
