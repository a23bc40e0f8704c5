-- One row per judged line: into `request` those that count, into `unreadable` the others.
INSERT INTO unreadable
SELECT hour, object, line_number, reason, left(line, 512) FROM judged WHERE reason IS NOT NULL;

INSERT INTO request BY NAME
SELECT * EXCLUDE (object, line_number, reason, line) FROM judged WHERE reason IS NULL;

DROP TABLE judged;
