-- One row per asked hour and currency that there is: what all deployments earned, what their GPUs cost, and the margin.
-- In every hour a row for each currency of the whole table, so that a plot has no gaps.
WITH asked AS (SELECT unnest($hours::TIMESTAMPTZ[]) AS hour),
known AS (SELECT DISTINCT currency FROM economics_hourly WHERE currency IS NOT NULL UNION SELECT currency FROM gpu_price)
SELECT
    asked.hour, known.currency,
    coalesce(sum(earned), 0)::DECIMAL(38, 12) AS earned, coalesce(sum(gpu_cost), 0)::DECIMAL(38, 12) AS gpu_cost,
    coalesce(sum(earned), 0)::DECIMAL(38, 12) - coalesce(sum(gpu_cost), 0)::DECIMAL(38, 12) AS margin
FROM asked
CROSS JOIN known
LEFT JOIN economics_hourly ON economics_hourly.hour = asked.hour AND economics_hourly.currency = known.currency
GROUP BY asked.hour, known.currency
ORDER BY asked.hour, known.currency;
