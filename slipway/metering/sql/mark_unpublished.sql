-- One row per table and day of the given hours, each time that they change.
INSERT INTO unpublished_day
SELECT table_name, day, uuid()
FROM (SELECT unnest($tables::VARCHAR[]) AS table_name), (SELECT DISTINCT unnest($hours::TIMESTAMPTZ[])::DATE AS day);
