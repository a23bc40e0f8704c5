-- One row per asked hour of which gateways told: events that they recorded, and those that were metered or set aside.
-- More may be metered than was counted: of a gateway that was killed, the last minute is not.
SELECT
    run.hour, told.recorded, (rows_in - duplicates)::BIGINT AS metered, quarantined::BIGINT AS quarantined
FROM rollup_run AS run
JOIN (SELECT hour, sum(recorded)::BIGINT AS recorded FROM gateway_hourly GROUP BY hour) AS told USING (hour)
WHERE run.final AND run.hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
ORDER BY run.hour;
