-- One row per hour, org, user, API key, deployment, model and price version.
-- In: metered, price. Money: a price is pico-units per token, so the sum is exact in HUGEINT, and one
-- multiplication by 10^-12 makes it an exact DECIMAL. Nothing is rounded here.
INSERT INTO usage_hourly
SELECT
    hour, metered.org, "user", api_key, metered.deployment, model, price.version,
    requests, successes, client_errors, server_errors, limited, cancelled,
    input_uncached, input_cached, metered.output,
    (
        input_uncached::HUGEINT * price.input
        + input_cached::HUGEINT * price.cached
        + metered.output::HUGEINT * price.output
    )::DECIMAL(38, 0) * 0.000000000001::DECIMAL(12, 12),
    price.currency, bounded
FROM metered
LEFT JOIN price ON price.rowid = metered.price_row;
