-- One row per org, deployment and price version with usage in [$start, $end); $org NULL asks for all.
SELECT
    org, deployment, price_version, currency,
    sum(requests)::BIGINT AS requests,
    sum(input_uncached)::BIGINT AS input_uncached, sum(input_cached)::BIGINT AS input_cached,
    sum(output)::BIGINT AS output,
    sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
    sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches,
    sum(cost)::DECIMAL(38, 12) AS cost
FROM usage_hourly
WHERE hour >= $start AND hour < $end AND ($org::VARCHAR IS NULL OR org = $org)
GROUP BY org, deployment, price_version, currency
ORDER BY org, deployment, price_version;
