-- One row per hour, org, deployment and price version of the asked hours: summed tokens and units, cost, and that price.
-- An org's own version has its name in it, so that deployment and version find one row of prices.
-- The price of a unit with tiers is 0 here; in_tiers is how much of those was used, by_tier how much of it stands in
-- tiers, tier_pico what that costs, and minimum_cost what was added up to the least that a request costs.
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
rated AS (
    SELECT
        hour, org, deployment, price_version,
        sum(quantity) FILTER (WHERE unit <> 'minimum') AS by_tier,
        sum(quantity::HUGEINT * price_pico) FILTER (WHERE unit <> 'minimum') AS tier_pico,
        sum(cost) FILTER (WHERE unit = 'minimum') AS minimum_cost
    FROM cost_rated
    WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
    GROUP BY hour, org, deployment, price_version
),
versions AS (
    SELECT
        deployment, version, count(*) AS prices_found,
        list_distinct(flatten(list(coalesce(list_transform(tiers, lambda tier: tier.unit), [])))) AS tiered,
        any_value(input) AS price_input, any_value(cached) AS price_cached, any_value(output) AS price_output,
        coalesce(any_value(input_audio), 0) AS price_input_audio_ms,
        coalesce(any_value(output_audio), 0) AS price_output_audio_ms,
        coalesce(any_value(characters), 0) AS price_characters, coalesce(any_value(documents), 0) AS price_documents,
        coalesce(any_value(searches), 0) AS price_searches
    FROM price
    GROUP BY deployment, version
),
tiered AS (
    SELECT
        deployment, version, prices_found,
        list_contains(tiered, 'input_uncached')::INTEGER AS input_tiered,
        list_contains(tiered, 'input_cached')::INTEGER AS cached_tiered,
        list_contains(tiered, 'output')::INTEGER AS output_tiered,
        list_contains(tiered, 'input_audio_ms')::INTEGER AS input_audio_tiered,
        list_contains(tiered, 'output_audio_ms')::INTEGER AS output_audio_tiered,
        list_contains(tiered, 'characters')::INTEGER AS characters_tiered,
        list_contains(tiered, 'documents')::INTEGER AS documents_tiered,
        list_contains(tiered, 'searches')::INTEGER AS searches_tiered,
        price_input * (1 - input_tiered) AS price_input, price_cached * (1 - cached_tiered) AS price_cached,
        price_output * (1 - output_tiered) AS price_output,
        price_input_audio_ms * (1 - input_audio_tiered) AS price_input_audio_ms,
        price_output_audio_ms * (1 - output_audio_tiered) AS price_output_audio_ms,
        price_characters * (1 - characters_tiered) AS price_characters,
        price_documents * (1 - documents_tiered) AS price_documents,
        price_searches * (1 - searches_tiered) AS price_searches
    FROM versions
)
SELECT
    summed.*, coalesce(prices_found, 0) AS prices_found, tiered.* EXCLUDE (
        deployment, version, prices_found, input_tiered, cached_tiered, output_tiered, input_audio_tiered,
        output_audio_tiered, characters_tiered, documents_tiered, searches_tiered
    ),
    coalesce(
        input_uncached * input_tiered + input_cached * cached_tiered + output * output_tiered
        + input_audio_ms * input_audio_tiered + output_audio_ms * output_audio_tiered + characters * characters_tiered
        + documents * documents_tiered + searches * searches_tiered, 0
    )::BIGINT AS in_tiers,
    coalesce(by_tier, 0)::BIGINT AS by_tier, coalesce(tier_pico, 0)::HUGEINT AS tier_pico,
    coalesce(minimum_cost, 0)::DECIMAL(38, 12) AS minimum_cost
FROM summed
LEFT JOIN tiered ON tiered.deployment = summed.deployment AND tiered.version = summed.price_version
LEFT JOIN rated
    ON rated.hour = summed.hour AND rated.org = summed.org AND rated.deployment = summed.deployment
    AND rated.price_version = summed.price_version
ORDER BY summed.hour, summed.org, summed.deployment, summed.price_version;
