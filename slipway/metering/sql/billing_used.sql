-- One row per org, currency, deployment, unit, price version, tier and price of a closed month.
SELECT
    org, currency, deployment, unit, price_version, tier, price_pico,
    sum(quantity)::BIGINT AS quantity, sum(cost)::DECIMAL(38, 12) AS cost
FROM closed_line
WHERE month = $month
GROUP BY ALL
ORDER BY ALL;
