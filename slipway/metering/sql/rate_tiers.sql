-- Rows of cost_rated of units with tiers, as they must be from the first changed hour of each month to its end.
-- In: usage_hourly, price, rated_span(month_start, since, month_end).
-- The volume of a month is counted for an org, deployment, unit and, where prices of one model name rated it, that
-- name; it goes on over all prices. Order: hour, instant from which the price is in force, user, key, model, version.
CREATE OR REPLACE TEMP TABLE tiered_unit AS
SELECT deployment, model, unit, version, above, price, tier,
    lead(above) OVER (PARTITION BY deployment, version, unit ORDER BY above) AS ends_above
FROM (
    SELECT
        deployment, coalesce(model, '') AS model, version, step.unit AS unit, step.above AS above, step.price AS price,
        row_number() OVER (PARTITION BY deployment, version, step.unit ORDER BY step.above) AS tier
    FROM (SELECT deployment, model, version, unnest(tiers) AS step FROM price)
);

CREATE OR REPLACE TEMP TABLE rated AS
WITH counted AS (
    SELECT
        hour, month_start, since, usage.org, "user", api_key, usage.deployment, usage.model, price_version,
        usage.currency, effective_from, coalesce(price.model, '') AS scope,
        unnest([
            {'unit': 'input_uncached', 'quantity': input_uncached}, {'unit': 'input_cached', 'quantity': input_cached},
            {'unit': 'output', 'quantity': usage.output}, {'unit': 'input_audio_ms', 'quantity': input_audio_ms},
            {'unit': 'output_audio_ms', 'quantity': output_audio_ms},
            {'unit': 'characters', 'quantity': usage.characters}, {'unit': 'documents', 'quantity': usage.documents},
            {'unit': 'searches', 'quantity': usage.searches}
        ]) AS used
    FROM usage_hourly AS usage
    JOIN rated_span ON hour >= month_start AND hour < month_end
    JOIN price ON price.deployment = usage.deployment AND price.version = price_version
    WHERE usage.deployment IN (SELECT deployment FROM tiered_unit)
        AND hour >= (SELECT min(month_start) FROM rated_span) AND hour < (SELECT max(month_end) FROM rated_span)
),
billed AS (
    SELECT counted.* EXCLUDE (used), used.unit AS unit, used.quantity AS quantity
    FROM counted
    WHERE used.quantity > 0 AND (deployment, scope, used.unit) IN (SELECT (deployment, model, unit) FROM tiered_unit)
),
begun AS (
    SELECT month_start, org, deployment, scope, unit, sum(quantity) AS volume
    FROM billed WHERE hour < since
    GROUP BY month_start, org, deployment, scope, unit
),
placed AS (
    SELECT
        billed.*,
        coalesce(volume, 0) + sum(quantity) OVER (
            PARTITION BY month_start, org, deployment, scope, unit
            ORDER BY hour, effective_from, "user", api_key, billed.model, price_version
            ROWS UNBOUNDED PRECEDING
        ) AS volume_after
    FROM billed
    LEFT JOIN begun USING (month_start, org, deployment, scope, unit)
    WHERE hour >= since
),
cut AS (
    SELECT
        placed.*, tier, price,
        (least(volume_after, coalesce(ends_above, volume_after))
            - greatest(volume_after - quantity, above))::BIGINT AS within
    FROM placed
    JOIN tiered_unit AS step
        ON step.deployment = placed.deployment AND step.version = price_version AND step.unit = placed.unit
)
SELECT
    hour, org, "user", api_key, deployment, model, price_version, unit, tier::INTEGER AS tier, within AS quantity,
    price AS price_pico, (within::HUGEINT * price)::DECIMAL(38, 0) * 0.000000000001::DECIMAL(12, 12) AS cost, currency
FROM cut
WHERE within > 0;
