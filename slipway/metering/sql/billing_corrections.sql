-- One row per adjustment numbered in (after, up_to], org, currency, key of an invoice line, hour, reason and run.
-- before: the exact cost of the key in its month, with the adjustments of earlier invoices.
WITH billed AS (
    SELECT month, org, currency, deployment, unit, price_version, tier, price_pico, sum(cost) AS cost
    FROM (
        SELECT month, org, currency, deployment, unit, price_version, tier, price_pico, cost FROM closed_line
        UNION ALL
        SELECT month, org, currency, deployment, unit, price_version, tier, price_pico, cost
        FROM usage_adjustment WHERE number <= $after
    )
    GROUP BY ALL
),
carried AS (
    SELECT
        org, currency, deployment, unit, price_version, tier, price_pico, month, hour, number, reason, run_id,
        sum(quantity) AS quantity, sum(cost) AS cost
    FROM usage_adjustment WHERE number > $after AND number <= $up_to
    GROUP BY ALL
)
SELECT
    org, currency, deployment, unit, price_version, tier, price_pico, month, hour, number, reason, run_id,
    carried.quantity::BIGINT AS quantity, carried.cost::DECIMAL(38, 12) AS cost,
    coalesce(billed.cost, 0)::DECIMAL(38, 12) AS before
FROM carried LEFT JOIN billed USING (month, org, currency, deployment, unit, price_version, tier, price_pico)
ORDER BY ALL;
