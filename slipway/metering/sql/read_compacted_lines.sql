-- One row per line of a compacted object whose columns are of an earlier version: its lines, to be read again.
INSERT INTO usage_object
SELECT
    (SELECT coalesce(max(object_number), -1) FROM usage_object) + row_number() OVER (ORDER BY object), hour, object
FROM (SELECT DISTINCT hour, object FROM {source});

CREATE OR REPLACE TEMP TABLE batch AS
SELECT object_number, line_number, line
FROM {source} AS line_of_usage
JOIN (SELECT key, max(object_number) AS object_number FROM usage_object GROUP BY key) AS named
    ON named.key = line_of_usage.object;
