-- One row per deployment and org that used in the asked hours what had no price in force: tokens without any, or
-- units of a kind without one (units.sql). What names no deployment (a model that is not there) or used nothing could
-- not cost anything.
WITH judged AS (
    SELECT
        usage_hourly.*,
        used_unpriced(
            price_version IS NOT NULL, input_uncached + input_cached + usage_hourly.output,
            input_audio_ms, output_audio_ms, usage_hourly.characters, usage_hourly.documents, usage_hourly.searches,
            price.input_audio, price.output_audio, price.characters, price.documents, price.searches
        ) AS is_unpriced
    FROM usage_hourly
    LEFT JOIN price ON price.deployment = usage_hourly.deployment AND price.version = usage_hourly.price_version
    WHERE usage_hourly.deployment <> '' AND hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
)
SELECT
    deployment, org, price_version, sum(requests)::BIGINT AS requests,
    sum(input_uncached + input_cached)::BIGINT AS input_tokens, sum(output)::BIGINT AS output_tokens,
    sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
    sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches,
    min(hour) AS first_hour
FROM judged
WHERE is_unpriced
GROUP BY deployment, org, price_version
ORDER BY deployment, org, price_version;
