-- What usage costs by unit and tier: what invoices, reports and checks of money read.

-- One row per row of usage_hourly, priced unit and tier, where anything of the unit was billed.
-- unit: input_uncached, input_cached, output (tokens), input_audio_ms, output_audio_ms, characters, documents, searches.
-- tier: 0 where the unit has one price whatever the volume. cost = quantity x price_pico x 10^-12, exact; the costs of a
-- row of usage_hourly sum to its cost. A unit without a price has no row here; one that is free ("0") has.
-- A view, so that a rollup writes nothing more for it.
CREATE VIEW IF NOT EXISTS cost_hourly AS
SELECT
    hour, org, "user", api_key, deployment, model, price_version,
    rated.unit AS unit, rated.tier AS tier, rated.quantity AS quantity, rated.price_pico AS price_pico,
    (rated.quantity::HUGEINT * rated.price_pico)::DECIMAL(38, 0) * 0.000000000001::DECIMAL(12, 12) AS cost,
    currency
FROM (
    SELECT
        hour, usage_hourly.org, "user", api_key, usage_hourly.deployment, model, price_version, usage_hourly.currency,
        unnest([
            {'unit': 'input_uncached', 'tier': 0, 'quantity': input_uncached, 'price_pico': price.input},
            {'unit': 'input_cached', 'tier': 0, 'quantity': input_cached, 'price_pico': price.cached},
            {'unit': 'output', 'tier': 0, 'quantity': usage_hourly.output, 'price_pico': price.output},
            {'unit': 'input_audio_ms', 'tier': 0, 'quantity': input_audio_ms, 'price_pico': price.input_audio},
            {'unit': 'output_audio_ms', 'tier': 0, 'quantity': output_audio_ms, 'price_pico': price.output_audio},
            {'unit': 'characters', 'tier': 0, 'quantity': usage_hourly.characters, 'price_pico': price.characters},
            {'unit': 'documents', 'tier': 0, 'quantity': usage_hourly.documents, 'price_pico': price.documents},
            {'unit': 'searches', 'tier': 0, 'quantity': usage_hourly.searches, 'price_pico': price.searches}
        ]) AS rated
    FROM usage_hourly
    JOIN price ON price.deployment = usage_hourly.deployment AND price.version = usage_hourly.price_version
)
WHERE rated.quantity > 0 AND rated.price_pico IS NOT NULL;
