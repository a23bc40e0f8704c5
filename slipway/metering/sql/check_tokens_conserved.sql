-- One row per asked hour: requests, tokens and units of the events, of the latency rows, and billed + unbilled.
WITH asked AS (SELECT unnest($hours::TIMESTAMPTZ[]) AS hour),
latency AS (
    SELECT
        hour, sum(requests)::BIGINT AS requests, sum(input_tokens)::BIGINT AS input_tokens,
        sum(cached_tokens)::BIGINT AS cached_tokens, sum(output_tokens)::BIGINT AS output_tokens,
        sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
        sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches
    FROM deployment_hourly SEMI JOIN asked USING (hour) GROUP BY hour
),
usage AS (
    SELECT
        hour, sum(requests)::BIGINT AS requests, sum(input_uncached + input_cached)::BIGINT AS input_tokens,
        sum(input_cached)::BIGINT AS cached_tokens, sum(output)::BIGINT AS output_tokens,
        sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
        sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches
    FROM usage_hourly SEMI JOIN asked USING (hour) GROUP BY hour
)
SELECT
    hour, rows_in - duplicates AS requests, run.input_tokens, run.cached_tokens, run.output_tokens,
    run.input_audio_ms, run.output_audio_ms, run.characters, run.documents, run.searches,
    coalesce(latency.requests, 0) AS latency_requests,
    coalesce(latency.input_tokens, 0) AS latency_input_tokens,
    coalesce(latency.cached_tokens, 0) AS latency_cached_tokens,
    coalesce(latency.output_tokens, 0) AS latency_output_tokens,
    coalesce(usage.requests, 0) AS usage_requests,
    coalesce(usage.input_tokens, 0) + unbilled_input_tokens AS usage_input_tokens,
    coalesce(usage.cached_tokens, 0) + unbilled_cached_tokens AS usage_cached_tokens,
    coalesce(usage.output_tokens, 0) + unbilled_output_tokens AS usage_output_tokens,
    coalesce(latency.input_audio_ms, 0) AS latency_input_audio_ms,
    coalesce(latency.output_audio_ms, 0) AS latency_output_audio_ms,
    coalesce(latency.characters, 0) AS latency_characters,
    coalesce(latency.documents, 0) AS latency_documents,
    coalesce(latency.searches, 0) AS latency_searches,
    coalesce(usage.input_audio_ms, 0) + unbilled_input_audio_ms AS usage_input_audio_ms,
    coalesce(usage.output_audio_ms, 0) + unbilled_output_audio_ms AS usage_output_audio_ms,
    coalesce(usage.characters, 0) + unbilled_characters AS usage_characters,
    coalesce(usage.documents, 0) + unbilled_documents AS usage_documents,
    coalesce(usage.searches, 0) + unbilled_searches AS usage_searches
FROM rollup_run AS run
SEMI JOIN asked USING (hour)
LEFT JOIN latency USING (hour)
LEFT JOIN usage USING (hour)
ORDER BY hour;
