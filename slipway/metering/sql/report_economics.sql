-- One row per step of time, deployment and currency: GPU time, what it cost, what requests earned, and the margin. What has
-- no currency (nothing was earned, and no GPU has a price) stands in the one that the deployment mostly earns or costs in
-- (NULL: none), so that idle time stands beside what was earned. $deployments: as in report_usage.
WITH usual AS (
    SELECT deployment, coalesce(mode(currency) FILTER (WHERE earned IS NOT NULL), mode(currency)) AS usual_currency
    FROM economics_hourly
    WHERE hour >= $start AND hour < $end
    GROUP BY deployment
)
SELECT
    date_trunc($step, hour) AS hour, deployment, coalesce(currency, usual_currency) AS currency,
    sum(requests)::BIGINT AS requests, sum(output_tokens)::BIGINT AS output,
    sum(earned)::DECIMAL(38, 12) AS earned, sum(gpu_cost)::DECIMAL(38, 12) AS gpu_cost,
    CASE WHEN sum(unpriced_gpu_seconds) = 0 THEN (coalesce(sum(earned), 0) - sum(gpu_cost))::DECIMAL(38, 12) END AS margin,
    sum(replica_seconds)::BIGINT AS replica_seconds, sum(gpu_seconds)::DOUBLE AS gpu_seconds,
    sum(idle_gpu_seconds)::DOUBLE AS idle_gpu_seconds
FROM economics_hourly
LEFT JOIN usual USING (deployment)
WHERE hour >= $start AND hour < $end
    AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
GROUP BY ALL
ORDER BY hour, deployment, currency;
