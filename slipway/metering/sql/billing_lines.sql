-- One row per org, hour, deployment, model, unit, price version, tier and price: what is billed of some hours.
-- In: cost_hourly, whose users and keys are summed.
SELECT
    org, hour, deployment, model, unit, price_version, tier, price_pico, currency,
    sum(quantity)::BIGINT AS quantity, sum(cost)::DECIMAL(38, 12) AS cost
FROM cost_hourly
WHERE hour >= $since AND hour < $until
GROUP BY ALL
ORDER BY ALL;
