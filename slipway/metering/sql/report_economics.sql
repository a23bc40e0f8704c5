-- One row per step of time, deployment and currency: GPU time, and what requests earned. Where nothing was earned the
-- currency is the one that the deployment mostly earns in (NULL: none), so that idle time stands beside what was earned.
-- GPU time stands in the row of one currency alone, so that it can be summed. $deployments: as in report_usage.
WITH summed AS (
    SELECT
        date_trunc($step, hour) AS hour, deployment, currency, sum(requests)::BIGINT AS requests,
        sum(output)::BIGINT AS output, sum(cost)::DECIMAL(38, 12) AS earned
    FROM usage_hourly
    WHERE hour >= $start AND hour < $end AND deployment <> ''
    GROUP BY ALL
),
earned AS (
    SELECT *, row_number() OVER (PARTITION BY hour, deployment ORDER BY currency NULLS LAST) AS place FROM summed
),
usual AS (SELECT deployment, mode(currency) AS usual_currency FROM summed GROUP BY deployment),
ran AS (
    SELECT
        date_trunc($step, hour) AS hour, deployment, 1 AS place,
        sum(replica_seconds)::BIGINT AS replica_seconds, sum(gpu_seconds)::DOUBLE AS gpu_seconds
    FROM replicas_hourly
    WHERE hour >= $start AND hour < $end
    GROUP BY ALL
)
SELECT
    hour, deployment, coalesce(currency, usual_currency) AS currency, coalesce(requests, 0) AS requests, coalesce(output, 0) AS output, earned,
    coalesce(replica_seconds, 0) AS replica_seconds, coalesce(gpu_seconds, 0) AS gpu_seconds
FROM earned
FULL JOIN ran USING (hour, deployment, place)
LEFT JOIN usual USING (deployment)
WHERE $deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment)
ORDER BY hour, deployment, currency;
