-- One row per hour of a closed month that was billed and is not rolled up in this file: it cannot be compared.
SELECT DISTINCT hour
FROM (
    SELECT hour FROM closed_line WHERE month = $month
    UNION ALL
    SELECT hour FROM usage_adjustment WHERE month = $month
)
ANTI JOIN (SELECT hour FROM rollup_run WHERE final) USING (hour)
ORDER BY hour;
