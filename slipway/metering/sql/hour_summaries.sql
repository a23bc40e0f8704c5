-- One row per asked hour and currency (one row without it for an empty hour), in HourSummary's order.
SELECT
    rollup_run.hour, run_id, final, objects, rows_in, rows_in - duplicates AS requests,
    duplicates, conflicts, unpriced, quarantined, input_tokens, cached_tokens, output_tokens,
    rollup_run.input_audio_ms, rollup_run.output_audio_ms, rollup_run.characters, rollup_run.documents,
    rollup_run.searches,
    usage.currency, usage.cost
FROM rollup_run
LEFT JOIN (
    SELECT hour, currency, sum(cost)::DECIMAL(38, 12) AS cost
    FROM usage_hourly
    WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
    GROUP BY hour, currency
) AS usage ON usage.hour = rollup_run.hour
WHERE rollup_run.hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
ORDER BY rollup_run.hour, usage.currency;
