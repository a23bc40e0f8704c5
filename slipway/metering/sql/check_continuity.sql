-- One row per asked hour that is over and in which no gateway told of itself (replica NULL), though one did before; and per
-- start of a gateway that told of itself before and after the hour, and not in it.
WITH asked AS (SELECT hour FROM rollup_run WHERE final AND hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))),
alive AS (SELECT hour, replica, start FROM gateway_hourly WHERE first_at IS NOT NULL),
lives AS (SELECT replica, start, min(hour) AS born, max(hour) AS last_seen FROM alive GROUP BY replica, start)
SELECT hour, NULL AS replica, 'no gateway told of itself' AS problem
FROM asked
WHERE hour > (SELECT min(hour) FROM alive) AND hour NOT IN (SELECT hour FROM alive)
UNION ALL
SELECT asked.hour, lives.replica, 'told of itself before and after, and not in it' AS problem
FROM asked
JOIN lives ON asked.hour > born AND asked.hour < last_seen
ANTI JOIN alive ON alive.hour = asked.hour AND alive.replica = lives.replica AND alive.start = lives.start
WHERE asked.hour IN (SELECT hour FROM alive)
ORDER BY ALL;
