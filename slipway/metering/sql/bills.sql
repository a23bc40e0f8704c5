-- One row per org and currency (NULL: no price was in force) with usage in [$start, $end); $org NULL asks for all.
SELECT
    org, currency,
    sum(requests)::BIGINT AS requests,
    sum(successes)::BIGINT AS successes, sum(client_errors)::BIGINT AS client_errors,
    sum(server_errors)::BIGINT AS server_errors, sum(limited)::BIGINT AS limited, sum(cancelled)::BIGINT AS cancelled,
    sum(input_uncached)::BIGINT AS input_uncached, sum(input_cached)::BIGINT AS input_cached,
    sum(output)::BIGINT AS output,
    sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
    sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches,
    sum(cost)::DECIMAL(38, 12) AS cost
FROM usage_hourly
WHERE hour >= $start AND hour < $end AND ($org::VARCHAR IS NULL OR org = $org)
GROUP BY org, currency
ORDER BY org, currency;
