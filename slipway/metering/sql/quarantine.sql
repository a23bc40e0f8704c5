-- One row per line or object of the chunk that could not be counted.
INSERT INTO quarantine SELECT hour, object, line_number, reason, excerpt, $run_id FROM unreadable;
