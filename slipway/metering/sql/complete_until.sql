-- One row: the end of the last hour before which no hour is missing and each was rolled up after its end,
-- counted from the first hour that was ever rolled up. NULL where that first one is not over.
WITH first_hour AS (SELECT min(hour) AS hour FROM rollup_run),
over AS (
    SELECT hour, row_number() OVER (ORDER BY hour) AS place
    FROM (SELECT DISTINCT hour FROM rollup_run WHERE final)
)
SELECT max(over.hour) + INTERVAL 1 HOUR AS complete_until
FROM over, first_hour
WHERE over.hour = first_hour.hour + (place - 1) * INTERVAL 1 HOUR;
