-- Bad lines leave the requests and join the objects that could not be read at all.
INSERT INTO unreadable
SELECT hour, key, line_number, reason, excerpt
FROM request JOIN usage_object USING (object_number, hour)
WHERE reason IS NOT NULL;

DELETE FROM request WHERE reason IS NOT NULL;
