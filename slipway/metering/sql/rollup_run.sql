-- One row per hour of the chunk, hours without objects included.
-- In: chunk_hour, request (deduplicated), copies, metered, unreadable.
-- unpriced: as in check_unpriced.
INSERT INTO rollup_run
WITH counted AS (
    SELECT
        hour, count(*) AS kept, sum(input_tokens)::BIGINT AS input_tokens,
        sum(cached_tokens)::BIGINT AS cached_tokens, sum(output_tokens)::BIGINT AS output_tokens
    FROM request GROUP BY hour
),
rated AS (
    SELECT
        hour,
        coalesce(
            sum(requests) FILTER (
                WHERE price_row IS NULL AND deployment <> '' AND input_uncached + input_cached + output > 0
            ), 0
        )::BIGINT AS unpriced,
        sum(unbilled_input_tokens)::BIGINT AS unbilled_input_tokens,
        sum(unbilled_cached_tokens)::BIGINT AS unbilled_cached_tokens,
        sum(unbilled_output_tokens)::BIGINT AS unbilled_output_tokens
    FROM metered GROUP BY hour
),
aside AS (SELECT hour, count(*) AS quarantined FROM unreadable GROUP BY hour)
SELECT
    hour, $run_id, chunk_hour.fingerprint, chunk_hour.objects,
    coalesce(kept, 0) + coalesce(duplicates, 0), coalesce(duplicates, 0), coalesce(conflicts, 0),
    coalesce(unpriced, 0), coalesce(quarantined, 0),
    chunk_hour.final, $now,
    coalesce(input_tokens, 0), coalesce(cached_tokens, 0), coalesce(output_tokens, 0),
    coalesce(unbilled_input_tokens, 0), coalesce(unbilled_cached_tokens, 0), coalesce(unbilled_output_tokens, 0)
FROM chunk_hour
LEFT JOIN counted USING (hour)
LEFT JOIN rated USING (hour)
LEFT JOIN copies USING (hour)
LEFT JOIN aside USING (hour);
