-- One row per line of an hour's usage: what a compacted object holds. Sorted, so that like stands beside like; by
-- everything that tells lines apart, so that the same lines make the same object.
SELECT * FROM kept
ORDER BY deployment, org, api_key, "user", model, request_id, object, line_number
