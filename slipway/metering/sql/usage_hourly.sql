-- One row per hour, org, user, API key, deployment, model and price version.
-- In: metered, price. Money: a price is pico-units per token or unit, so the sum is exact in HUGEINT, and one
-- multiplication by 10^-12 makes it an exact DECIMAL. Nothing is rounded here. A unit without a price costs nothing.
-- As if every unit had one price whatever the volume: rating.py puts tiers and minimums in where a price has them.
INSERT INTO usage_hourly
SELECT
    hour, metered.org, "user", api_key, metered.deployment, metered.model, price.version,
    requests, successes, client_errors, server_errors, limited, cancelled,
    input_uncached, input_cached, metered.output,
    (
        input_uncached::HUGEINT * price.input
        + input_cached::HUGEINT * price.cached
        + metered.output::HUGEINT * price.output
        + input_audio_ms::HUGEINT * coalesce(price.input_audio, 0)
        + output_audio_ms::HUGEINT * coalesce(price.output_audio, 0)
        + metered.characters::HUGEINT * coalesce(price.characters, 0)
        + metered.documents::HUGEINT * coalesce(price.documents, 0)
        + metered.searches::HUGEINT * coalesce(price.searches, 0)
    )::DECIMAL(38, 0) * 0.000000000001::DECIMAL(12, 12),
    price.currency, bounded,
    input_audio_ms, output_audio_ms, metered.characters, metered.documents, metered.searches,
    task
FROM metered
LEFT JOIN price ON price.rowid = metered.price_row;
