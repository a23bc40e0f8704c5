-- One row per line of a closed month that is rated otherwise now than it was billed, adjustments included.
-- In: cost_hourly of hours that are rolled up and over; closed_line and usage_adjustment of the month.
WITH rated AS (
    SELECT
        org, hour, deployment, model, unit, price_version, tier, price_pico, currency,
        sum(quantity) AS quantity, sum(cost) AS cost
    FROM cost_hourly SEMI JOIN (SELECT hour FROM rollup_run WHERE final) USING (hour)
    WHERE hour >= $since AND hour < $until
    GROUP BY ALL
),
billed AS (
    SELECT
        org, hour, deployment, model, unit, price_version, tier, price_pico, currency,
        sum(quantity) AS quantity, sum(cost) AS cost
    FROM (
        SELECT org, hour, deployment, model, unit, price_version, tier, price_pico, currency, quantity, cost
        FROM closed_line WHERE month = $month
        UNION ALL
        SELECT org, hour, deployment, model, unit, price_version, tier, price_pico, currency, quantity, cost
        FROM usage_adjustment WHERE month = $month
    )
    GROUP BY ALL
)
SELECT
    org, hour, deployment, model, unit, price_version, tier, price_pico, currency,
    (coalesce(rated.quantity, 0) - coalesce(billed.quantity, 0))::BIGINT AS quantity,
    (coalesce(rated.cost, 0) - coalesce(billed.cost, 0))::DECIMAL(38, 12) AS cost
FROM rated FULL JOIN billed USING (org, hour, deployment, model, unit, price_version, tier, price_pico, currency)
WHERE coalesce(rated.quantity, 0) <> coalesce(billed.quantity, 0) OR coalesce(rated.cost, 0) <> coalesce(billed.cost, 0)
ORDER BY ALL;
