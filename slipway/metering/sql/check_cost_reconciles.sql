-- One row per hour, org, deployment and price version of the asked hours: summed tokens, cost, and that price.
-- An org's own version has its name in it, so that deployment and version find one row of prices.
WITH summed AS (
    SELECT
        hour, org, deployment, price_version,
        sum(input_uncached)::BIGINT AS input_uncached, sum(input_cached)::BIGINT AS input_cached,
        sum(output)::BIGINT AS output, sum(cost)::DECIMAL(38, 12) AS cost
    FROM usage_hourly
    WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
    GROUP BY hour, org, deployment, price_version
),
versions AS (
    SELECT
        deployment, version, count(*) AS prices_found,
        any_value(input) AS price_input, any_value(cached) AS price_cached, any_value(output) AS price_output
    FROM price
    GROUP BY deployment, version
)
SELECT summed.*, coalesce(prices_found, 0) AS prices_found, price_input, price_cached, price_output
FROM summed
LEFT JOIN versions ON versions.deployment = summed.deployment AND versions.version = summed.price_version
ORDER BY hour, org, deployment, price_version;
