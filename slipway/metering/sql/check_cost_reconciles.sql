-- One row per hour, org, deployment and price version of the asked hours: summed tokens and units, cost, and that price.
-- An org's own version has its name in it, so that deployment and version find one row of prices.
WITH summed AS (
    SELECT
        hour, org, deployment, price_version,
        sum(input_uncached)::BIGINT AS input_uncached, sum(input_cached)::BIGINT AS input_cached,
        sum(output)::BIGINT AS output,
        sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
        sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches,
        sum(cost)::DECIMAL(38, 12) AS cost
    FROM usage_hourly
    WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
    GROUP BY hour, org, deployment, price_version
),
versions AS (
    SELECT
        deployment, version, count(*) AS prices_found,
        any_value(input) AS price_input, any_value(cached) AS price_cached, any_value(output) AS price_output,
        coalesce(any_value(input_audio), 0) AS price_input_audio_ms,
        coalesce(any_value(output_audio), 0) AS price_output_audio_ms,
        coalesce(any_value(characters), 0) AS price_characters, coalesce(any_value(documents), 0) AS price_documents,
        coalesce(any_value(searches), 0) AS price_searches
    FROM price
    GROUP BY deployment, version
)
SELECT summed.*, coalesce(prices_found, 0) AS prices_found, versions.* EXCLUDE (deployment, version, prices_found)
FROM summed
LEFT JOIN versions ON versions.deployment = summed.deployment AND versions.version = summed.price_version
ORDER BY hour, org, deployment, price_version;
