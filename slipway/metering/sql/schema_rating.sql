-- What usage costs by unit and tier: what invoices, reports and checks of money read.

-- model: the one name in requests that the price is for, NULL: all of them. tiers: of units whose price depends on the
-- volume of the month, in order of unit and volume; each begins above a volume and ends where the next begins.
-- minimum: least that a successful request costs, in pico-units.
ALTER TABLE price ADD COLUMN IF NOT EXISTS model VARCHAR;
ALTER TABLE price ADD COLUMN IF NOT EXISTS tiers STRUCT(unit VARCHAR, above BIGINT, price BIGINT)[];
ALTER TABLE price ADD COLUMN IF NOT EXISTS minimum BIGINT;

-- What of cost_hourly cannot be seen from usage_hourly and price alone: units with tiers, and minimums. Nothing for
-- prices that are the same whatever the volume. Columns and grain are those of cost_hourly.
CREATE TABLE IF NOT EXISTS cost_rated (
    hour TIMESTAMPTZ, org VARCHAR, "user" VARCHAR, api_key VARCHAR, deployment VARCHAR, model VARCHAR,
    price_version VARCHAR, unit VARCHAR, tier INTEGER, quantity BIGINT, price_pico BIGINT, cost DECIMAL(38, 12),
    currency VARCHAR
);

-- One row per hour and deployment that was used in it: a digest of the prices that it was rated at (hour_prices.sql).
CREATE TABLE IF NOT EXISTS hour_prices (hour TIMESTAMPTZ, deployment VARCHAR, fingerprint VARCHAR);

-- One row per row of usage_hourly, priced unit and tier, where anything of the unit was billed.
-- unit: input_uncached, input_cached, output (tokens), input_audio_ms, output_audio_ms, characters, documents, searches.
-- tier: 0 where the unit has one price whatever the volume, else counted from 1, what is free included.
-- cost = quantity x price_pico x 10^-12, exact; the costs of a row of usage_hourly sum to its cost.
-- unit 'minimum' (tier 0): quantity is the requests that cost less than the least, cost what they lacked together;
-- price_pico is 0, as it differs from one to the next.
-- A unit without a price has no row here; one that is free ("0") has. A view, so that a rollup writes nothing more for it.
CREATE VIEW IF NOT EXISTS cost_hourly AS
SELECT
    hour, org, "user", api_key, deployment, model, price_version,
    rated.unit AS unit, rated.tier AS tier, rated.quantity AS quantity, rated.price_pico AS price_pico,
    (rated.quantity::HUGEINT * rated.price_pico)::DECIMAL(38, 0) * 0.000000000001::DECIMAL(12, 12) AS cost,
    currency
FROM (
    SELECT
        hour, usage_hourly.org, "user", api_key, usage_hourly.deployment, usage_hourly.model, price_version,
        usage_hourly.currency,
        unnest([
            {'unit': 'input_uncached', 'tier': 0, 'quantity': input_uncached, 'price_pico': flat.input},
            {'unit': 'input_cached', 'tier': 0, 'quantity': input_cached, 'price_pico': flat.cached},
            {'unit': 'output', 'tier': 0, 'quantity': usage_hourly.output, 'price_pico': flat.output},
            {'unit': 'input_audio_ms', 'tier': 0, 'quantity': input_audio_ms, 'price_pico': flat.input_audio},
            {'unit': 'output_audio_ms', 'tier': 0, 'quantity': output_audio_ms, 'price_pico': flat.output_audio},
            {'unit': 'characters', 'tier': 0, 'quantity': usage_hourly.characters, 'price_pico': flat.characters},
            {'unit': 'documents', 'tier': 0, 'quantity': usage_hourly.documents, 'price_pico': flat.documents},
            {'unit': 'searches', 'tier': 0, 'quantity': usage_hourly.searches, 'price_pico': flat.searches}
        ]) AS rated
    FROM usage_hourly
    JOIN (
        -- The prices of units that have no tiers.
        SELECT
            deployment, version,
            CASE WHEN NOT list_contains(tiered, 'input_uncached') THEN input END AS input,
            CASE WHEN NOT list_contains(tiered, 'input_cached') THEN cached END AS cached,
            CASE WHEN NOT list_contains(tiered, 'output') THEN output END AS output,
            CASE WHEN NOT list_contains(tiered, 'input_audio_ms') THEN input_audio END AS input_audio,
            CASE WHEN NOT list_contains(tiered, 'output_audio_ms') THEN output_audio END AS output_audio,
            CASE WHEN NOT list_contains(tiered, 'characters') THEN characters END AS characters,
            CASE WHEN NOT list_contains(tiered, 'documents') THEN documents END AS documents,
            CASE WHEN NOT list_contains(tiered, 'searches') THEN searches END AS searches
        FROM (SELECT *, coalesce(list_transform(tiers, lambda tier: tier.unit), []) AS tiered FROM price)
    ) AS flat ON flat.deployment = usage_hourly.deployment AND flat.version = usage_hourly.price_version
)
WHERE rated.quantity > 0 AND rated.price_pico IS NOT NULL
UNION ALL
FROM cost_rated;
