-- One row per step of time (NULL: the whole period), deployment and currency: what ran, what it cost and what it earned.
-- cost_per_1m_tokens: what GPUs cost for a million tokens, read and written. utilisation: the share of GPU time in hours with
-- any request. margin is NULL where a part of the cost is not known: gpu_hours of a class without a price.
SELECT
    date_trunc($step, hour) AS start,
    deployment, currency,
    sum(requests)::BIGINT AS requests, sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens,
    (sum(gpu_seconds) / 3600)::DOUBLE AS gpu_hours, (sum(idle_gpu_seconds) / 3600)::DOUBLE AS idle_gpu_hours,
    (sum(unpriced_gpu_seconds) / 3600)::DOUBLE AS unpriced_gpu_hours,
    (1 - sum(idle_gpu_seconds) / nullif(sum(gpu_seconds), 0))::DOUBLE AS utilisation,
    sum(earned)::DECIMAL(38, 12) AS earned, sum(gpu_cost)::DECIMAL(38, 12) AS gpu_cost,
    CASE WHEN count(*) = count(margin) THEN sum(margin)::DECIMAL(38, 12) END AS margin,
    (sum(gpu_cost) * 1000000 / nullif(sum(input_tokens + output_tokens), 0))::DECIMAL(38, 6) AS cost_per_1m_tokens
FROM economics_hourly
WHERE hour >= $start AND hour < $end
    AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
GROUP BY ALL
ORDER BY ALL;
